"""Train HIME, on CUDA or on the CPU in bfloat16, and go on from where it stopped.

    python -m engines.hime.train --data PEOPLE [--data MORE ...] --val PEOPLE --out runs/x4
    python -m engines.hime.train --config x4.toml [anything else: it wins over the file]

PEOPLE is a folder or a zip with a folder of square headshots for each person. Every source has
an equal share of the samples. The file has the names of the command line: `data = ["a", "b.zip"]`,
`lr = 3e-4`. The run folder gets checkpoint.pt (model, EMA, optimisers, step), log.csv and
curves.png; the same command continues from them. The batch of a step depends on the seed and the
step alone, the learning rate on the step alone, and no layer draws random numbers, so a resumed run
equals an uninterrupted one.

Perception-oriented weights start from finished ones (HIME, supplement, section A.2):

    python -m engines.hime.train ... --init runs/x4/checkpoint.pt --lr 1e-4 --correlation 0.1 \\
        --adversarial 0.1 [--perceptual 0.01 --features onet.pt]

Weights that others may use are trained on pictures of known licences alone, from none or from such
weights; the checkpoint then says what it was trained on:

    python -m engines.hime.train ... --licences open --sources sources.csv --made 0.4
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.errors import reported, run_program
from engines.hime import curves
from engines.hime.cases import Case, make_cases
from engines.hime.checkpoint import start_from
from engines.hime.data import Batch, load_people
from engines.hime.devices import device_of, mixed_precision
from engines.hime.discriminator import Discriminator
from engines.hime.evaluate import gains
from engines.hime.face_features import FaceFeatures, load_features
from engines.hime.flow_alignment import FlowAlignment
from engines.hime.loader import DataError, batches
from engines.hime.losses import (
    Perceptual,
    adversarial_loss,
    charbonnier,
    correlation_loss,
    discriminator_loss,
)
from engines.hime.memory import keep_memory
from engines.hime.model import Config, Hime
from engines.hime.network_sizes import FULL, sized_config
from engines.hime.options import parse
from engines.hime.origins import allowed_origins, permit_of
from engines.hime.paper_sizes import paper_config
from engines.hime.spynet import load_flow
from engines.hime.state_files import Part, follow, load_parts, read_state, save_parts

DETAIL = ("sharpness", "right", "coherence")


def rate(step: int, args: argparse.Namespace) -> float:
    """Learning rate: linear warm-up, then a cosine to 1 % of the top."""
    if step < args.warmup:
        return float(args.lr * (step + 1) / args.warmup)
    done = min(1.0, (step - args.warmup) / max(1, args.steps - args.warmup))
    return float(args.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))))


def adam(module: torch.nn.Module) -> torch.optim.Adam:
    """The learning rate is set before every step."""
    return torch.optim.Adam(module.parameters(), betas=(0.9, 0.99))


@dataclass
class Run:
    """All that a run must remember, in memory and in its checkpoint."""

    network: Hime
    ema: Hime
    optimiser: torch.optim.Adam
    opponent: Discriminator | None
    opponent_optimiser: torch.optim.Adam | None
    perceptual: Perceptual | FaceFeatures | None
    step: int = 0
    samples: int = 0
    origins: list[dict[str, Any]] | None = None
    """What it was trained on (`licences.Credits.rows`), the weights that it started from included;
    None: nobody asked for licences."""

    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {"network": self.network, "ema": self.ema}
        parts["optimiser"] = self.optimiser
        if self.opponent is not None and self.opponent_optimiser is not None:
            parts |= {"opponent": self.opponent, "opponent_optimiser": self.opponent_optimiser}
        return parts

    def save(self, path: Path) -> None:
        """See `checkpoint.save_parts`."""
        values = {"config": asdict(self.network.config), "step": self.step, "samples": self.samples}
        save_parts(path, self._parts(), values | {"origins": self.origins})

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises: ValueError: it is of another network, or of a run without a discriminator.
        """
        state = read_state(path)
        own = self.network.config
        # by way of Config: an older checkpoint lacks what has been added since
        if "config" in state and Config(**state["config"]) != own:
            raise ValueError(f"{path} holds another network: {state['config']}")
        load_parts(path, state, self._parts())
        self.step, self.samples = state["step"], state["samples"]
        if state.get("origins") != self.origins:
            raise ValueError(f"{path} was begun on other sources: take another folder, or its own")


def configured(args: argparse.Namespace) -> Config:
    """The network that the options name.

    Raises: ValueError: they do not fit together.
    """
    if not args.paper:
        kind = Config(args.scale, alignment=args.alignment, aggregation=args.aggregation)
        return sized_config(kind, args.size)
    if args.size != FULL:
        raise ValueError("--paper has its own sizes: leave out --size")
    if args.alignment == "pixels":
        raise ValueError("--paper needs --alignment deformable, flow or none")
    return paper_config(args.scale, args.alignment, args.aggregation)


def begin(args: argparse.Namespace) -> Run:
    """A new run, or the one that is in the folder.

    Raises: ValueError: weights, options and checkpoint do not fit together. OSError.
    """
    if args.perceptual and not args.features:
        raise ValueError("--perceptual needs --features, a file with the weights of a network")
    device = device_of(args.device)
    torch.manual_seed(args.seed)
    network = Hime(configured(args))
    if args.flow:
        if not isinstance(network.alignment, FlowAlignment):
            raise ValueError("--flow is for --alignment flow")
        network.alignment.spynet.load_state_dict(load_flow(args.flow))
    if args.init:
        print("new layers:", ", ".join(start_from(network, args.init)) or "none")
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = copy.deepcopy(network).eval().requires_grad_(False)
    opponent = Discriminator().to(device) if args.adversarial else None
    origins = allowed_origins(args.data, args.photographs or [], args.init, permit_of(args))
    run = Run(
        network,
        ema,
        adam(network),
        opponent,
        adam(opponent) if opponent else None,
        load_features(args.features).to(device) if args.perceptual else None,
        origins=origins,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        run.load(checkpoint)
        print(f"resuming at step {run.step}, {run.samples} samples")
    return run


def challenge(run: Run, made: Tensor, truth: Tensor) -> Tensor:
    """One step of the discriminator; returns its loss.

    Args: made, truth: (B, 3, H, W), 0..1.
    """
    assert run.opponent is not None
    assert run.opponent_optimiser is not None
    run.opponent.requires_grad_(True)
    with mixed_precision(made.device):
        loss = discriminator_loss(run.opponent(truth), run.opponent(made.detach()))
    run.opponent_optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    run.opponent_optimiser.step()
    run.opponent.requires_grad_(False)
    return loss.detach()


def learn(run: Run, batch: Batch, args: argparse.Namespace) -> dict[str, Tensor]:
    """One step of training; returns the losses, unweighted, and their weighted sum `loss`.

    Args: args: of the command line: weights of the losses, rates.
    """
    device = next(run.network.parameters()).device
    for optimiser in (run.optimiser, run.opponent_optimiser):
        for group in optimiser.param_groups if optimiser else ():
            group["lr"] = rate(run.step, args)
    crop = batch.crop.to(device, memory_format=torch.channels_last)
    truth = batch.truth.to(device)
    with mixed_precision(device):
        made = run.network(crop, batch.exemplars.to(device), batch.validity.to(device))
    made = made.float()
    parts = {"charbonnier": charbonnier(made, truth)}
    told = {}
    if args.correlation:
        parts["correlation"] = correlation_loss(made, truth, args.window, args.dilation)
    if run.perceptual is not None:
        with mixed_precision(device):
            parts["perceptual"] = run.perceptual(made, truth)
    if run.opponent is not None:
        told["discriminator"] = challenge(run, made, truth)
        with mixed_precision(device):
            parts["adversarial"] = adversarial_loss(run.opponent(truth), run.opponent(made))
    weights = vars(args) | {"charbonnier": args.reconstruction}
    loss = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimiser.step()
    run.step += 1
    run.samples += len(crop)
    follow(run.ema, run.network, run.step, args.ema)
    return {"loss": loss.detach()} | {n: v.detach() for n, v in parts.items()} | told


def validate(network: Hime, cases: dict[str, list[Case]]) -> dict[str, float]:
    """dB over bicubic, dB that all exemplars add, and detail, for each degradation."""
    found = {}
    for name, these in cases.items():
        gained = gains(network, these)
        found[name], found[f"{name}_3_over_0"] = gained.over_bicubic, gained.over_none
        for measure in DETAIL:
            found[f"{name}_{measure}"] = getattr(gained.detail, measure)
    return found


def report(
    run: Run,
    args: argparse.Namespace,
    cases: dict[str, list[Case]],
    losses: list[dict[str, Tensor]],
    speed: float,
) -> None:
    """Save the checkpoint, measure, and add to the log, the curves and the screen.

    Args: cases: held-out ones, by damage. losses: of every step since the last report. speed:
          samples a second.
    """
    run.save(args.out / "checkpoint.pt")
    # numbers leave the device here only: to ask for one in every step would halt it
    means = {k: float(torch.stack([x[k] for x in losses]).mean()) for k in (losses or [{}])[0]}
    scores = validate(run.ema, cases)
    seen: dict[str, float] = {"step": run.step, "samples": run.samples, "samples_per_s": speed}
    curves.append(args.out / "log.csv", seen | means | scores)
    curves.draw(args.out / "log.csv", args.out / "curves.png")
    words = [f"step {run.step}/{args.steps}, {run.samples} samples, {speed:.0f}/s"]
    words += [f"{name} {value:.5f}" for name, value in means.items()]
    words += [
        f"{name} {value:.3f}" if name.endswith(DETAIL) else f"{name} {value:+.3f} dB"
        for name, value in scores.items()
    ]
    print(", ".join(words), flush=True)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(__doc__ or "", argv)
    small = 16 if args.scale == 8 else 32
    try:
        people = load_people(args.val, small * args.scale)
        slots = args.val_exemplars
        cases = {k: make_cases(people, args.scale, small, k, 48, slots) for k in ("clean", "call")}
        run = begin(args)
        coming = batches(args, run.step)
    except (OSError, ValueError) as error:
        return reported(error)
    losses: list[dict[str, Tensor]] = []
    start, before = time.monotonic(), run.samples
    try:
        for batch in coming:
            losses.append(learn(run, batch, args))
            took = time.monotonic() - start
            if took > args.save:
                report(run, args, cases, losses, (run.samples - before) / took)
                losses, start, before = [], time.monotonic(), run.samples
    except DataError as error:
        return reported(error)
    if losses:
        report(run, args, cases, losses, (run.samples - before) / (time.monotonic() - start))
    return 0


if __name__ == "__main__":
    keep_memory("engines.hime.train")
    run_program(main)
