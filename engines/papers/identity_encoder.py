"""Inet, which GWAInet's optional identity loss asks whether it is still the same person.

    python -m engines.papers.identity_encoder --data PEOPLE --samples 20000 --out inet.pt

A Siamese VGG-16 that learns to say whether two headshots show one person; what it has learnt is
then fixed, and `engines.papers.train_network --identity inet.pt` uses it.

Source: Dogan et al., GWAInet, section 3.2 (equation 5), section 3.3 (equation 7) and, for the
layers, table 2 of the supplement. Trained on as few people as there are here it knows little.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.errors import reported, run_program
from engines.files import replacing
from engines.hime.data import Rng, to_tensor
from engines.hime.devices import DEFAULT, device_of, mixed_precision
from engines.hime.people import Person, cut, load_people
from engines.hime.state_files import read_state
from engines.option_types import named_path, whole
from engines.output_file import output_file

BATCH = 8
RATE = 1e-4


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes; the defaults are the paper's at 128 px."""

    side: int = 128
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels before each halving."""
    layers: tuple[int, ...] = (2, 2, 3, 3, 3)
    """Convolutions before each halving: VGG-16's."""
    outputs: int = 4096


class IdentityEncoder(nn.Module):
    """Headshots to embedding vectors."""

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EncoderConfig()
        parts: list[nn.Module] = []
        before = 3
        for width, count in zip(config.widths, config.layers, strict=True):
            for _ in range(count):
                parts += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            parts.append(nn.MaxPool2d(2))
        for part in parts:
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)
        self.features = nn.Sequential(*parts)
        inputs = before * (config.side >> len(config.widths)) ** 2
        n = config.outputs
        self.dense = nn.Sequential(
            *(nn.Linear(inputs, n), nn.ReLU(), nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n))
        )
        self.judge = nn.Linear(n, 1)  # w and b of equation 5

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, side, side), 0..1 -> (B, outputs)."""
        y: Tensor = self.dense(self.features(pictures * 2 - 1).flatten(1))
        return y

    def same(self, one: Tensor, other: Tensor) -> Tensor:
        """Before the sigmoid of equation 5: (B,); above zero where it is one person.

        Args: one, other: (B, 3, side, side), 0..1.
        """
        y: Tensor = self.judge((self(one) - self(other)).abs()).squeeze(1)
        return y

    def loss(self, made: Tensor, truth: Tensor) -> Tensor:
        """Equation 7: squared distance of the embeddings by their length, averaged over B."""
        y: Tensor = (self(made) - self(truth)).square().mean()
        return y


def load_encoder(path: Path) -> IdentityEncoder:
    """A trained Inet, fixed.

    Raises: ValueError: the file holds something else. OSError.
    """
    saved = read_state(path)
    try:
        network = IdentityEncoder(EncoderConfig(**saved["config"]))
        network.load_state_dict(saved["inet"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: holds no Inet of engines.papers.identity_encoder") from error
    return network.eval().requires_grad_(False)


def pairs(people: list[Person], count: int, side: int, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
    """Headshots, others (count, 3, side, side), and whether they show one person (count,).

    Args: people: with two photos or more. count: how many pairs; every other is one person.
          side: px. rng: decides.
    """
    first, second = [], []
    for k in range(count):
        p, q = (int(i) for i in rng.choice(len(people), 2, replace=False))
        own = people[p].photos
        i, j = (int(n) for n in rng.choice(len(own), 2, replace=False))
        stranger = people[q].photos
        other = own[j] if k % 2 == 0 else stranger[int(rng.integers(len(stranger)))]
        first.append(cut(own[i], side, 1.0, (0.0, 0.0)))
        second.append(cut(other, side, 1.0, (0.0, 0.0)))
    same = torch.tensor([float(k % 2 == 0) for k in range(count)])
    return to_tensor(first), to_tensor(second), same


def learn(network: IdentityEncoder, people: list[Person], samples: int, seed: int) -> float:
    """Train in place, on the device of the network.

    Args:    people: with two photos or more. samples: pairs. seed: decides which.
    Returns: share of right answers over the last quarter.
    """
    rng = np.random.default_rng(seed)
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    steps = max(1, samples // BATCH)
    right: list[Tensor] = []
    for step in range(steps):
        drawn = pairs(people, BATCH, network.config.side, rng)
        one, other, same = (part.to(device) for part in drawn)
        with mixed_precision(device):
            told = network.same(one, other)
        loss = F.binary_cross_entropy_with_logits(told.float(), same)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step >= steps * 3 // 4:
            right.append(((told > 0) == (same > 0.5)).float().mean())
    return float(torch.stack(right).mean())


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(
        prog="python -m engines.papers.identity_encoder", description=__doc__
    )
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument(
        "--data", type=named_path, required=True, help="a folder for each person, or a zip"
    )
    p.add_argument("--out", type=output_file, required=True, help="the weights (.pt)")
    p.add_argument("--samples", type=int, default=20_000, help="pairs of headshots")
    p.add_argument("--seed", type=whole(), default=1)
    p.add_argument("--device", default=DEFAULT)
    args = p.parse_args(argv)
    try:
        if args.samples < BATCH:
            raise ValueError(f"--samples must be {BATCH} or more")
        config = EncoderConfig()
        people = [p for p in load_people(args.data, config.side) if len(p.photos) > 1]
        if len(people) < 2:
            raise ValueError(f"{args.data}: needs two people of two photos or more")
        torch.manual_seed(args.seed)
        network = IdentityEncoder(config).to(device_of(args.device))
        start = time.monotonic()
        right = learn(network, people, args.samples, args.seed)
        with replacing(args.out) as part:
            state = {"inet": network.state_dict(), "config": asdict(config)}
            torch.save(state | {"samples": args.samples}, part)
    except (OSError, ValueError) as error:
        return reported(error)
    print(f"{args.samples} pairs in {time.monotonic() - start:.0f} s: {right:.1%} right")
    return 0


if __name__ == "__main__":
    run_program(main)
