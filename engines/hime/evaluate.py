"""How good the network is on people: PSNR and SSIM against bicubic enlargement.

    python -m engines.hime.evaluate --data FOLDER --scale 4 --size 32 --degradation call

FOLDER holds a folder of square headshots for each person. The truth is a headshot shrunk by area
to scale x size px; the input is made from it by bicubic shrinking with antialiasing (clean), or as
a call would damage it (call; seeded, the same for every method).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from engines.hime import degrade
from engines.hime.checkpoint import load_network
from engines.hime.data import Person, cut, load_people, shrink_bicubic, to_tensor
from engines.hime.model import Hime

WEIGHTS = Path(__file__).parent.parent / "weights"
SLOTS = 3
SEED = 20


@dataclass(frozen=True)
class Case:
    """One headshot of a person, and what the network may use; pictures 0..1."""

    crop: Tensor
    """(3, b, b)"""
    truth: Tensor
    """(3, s b, s b)"""
    exemplars: Tensor
    """(3 slots, 3, s b, s b) of the same person"""
    strangers: Tensor
    """likewise, of another person"""


@dataclass(frozen=True)
class Row:
    """One line of the table, averaged over all headshots."""

    method: str
    exemplars: int
    psnr: float
    ssim: float


def make_cases(
    people: list[Person], scale: int, size: int, degradation: str, limit: int | None = None
) -> list[Case]:
    """Draw exemplars and damage for every headshot; the same list for every method.

    Args:   limit: use about this many headshots, evenly over all people.
    Raises: ValueError: too few people or photos.
    """
    usable = [p for p in people if len(p.photos) > SLOTS]
    if len(usable) < 2:
        raise ValueError(
            f"needs at least 2 people with {SLOTS + 1} photos of {scale * size} px or more each"
        )
    index = [(p, k) for p, person in enumerate(usable) for k in range(len(person.photos))]
    if limit is not None and limit < len(index):
        index = [index[int(i)] for i in np.linspace(0, len(index) - 1, limit)]
    big = scale * size
    cases = []
    for p, k in index:
        rng = np.random.default_rng([SEED, p, k])
        photos = usable[p].photos
        others = [photos[i] for i in rng.permutation(len(photos)) if i != k][:SLOTS]
        stranger = usable[(p + 1 + int(rng.integers(len(usable) - 1))) % len(usable)].photos
        picks = [stranger[i] for i in rng.permutation(len(stranger))[:SLOTS]]
        truth = cut(photos[k], big, 1.0, (0.0, 0.0))
        own, wrong = ([cut(x, big, 1.0, (0.0, 0.0)) for x in xs] for xs in (others, picks))
        if degradation == "call":
            crop = to_tensor(degrade.call([truth], scale, rng))[0]
            own, wrong = ([degrade.close_up(x, rng) for x in xs] for xs in (own, wrong))
        else:
            crop = shrink_bicubic(to_tensor([truth]), scale)[0]
        cases.append(Case(crop, to_tensor([truth])[0], to_tensor(own), to_tensor(wrong)))
    return cases


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """(B, 3, H, W), 0..1 -> (B,) dB over RGB, after rounding to 8 bits."""
    a, b = ((x.clamp(0, 1) * 255).round() / 255 for x in (a, b))
    return -10 * torch.log10((a - b).square().mean(dim=(1, 2, 3)).clamp_min(1e-10))


def ssim(a: Tensor, b: Tensor) -> float:
    """(3, H, W), 0..1 -> mean over RGB; Gaussian window of 11 px (Wang et al. 2004)."""
    first, second = (
        np.ascontiguousarray((x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
        for x in (a, b)
    )
    quality: Any = cv2.quality  # its stub does not know the static form of compute()
    channels: tuple[float, ...] = quality.QualitySSIM_compute(first, second)[0]
    return float(np.mean(channels[:3]))


@torch.inference_mode()
def outputs(network: Hime, cases: list[Case], exemplars: int, wrong: bool = False) -> Tensor:
    """The network's pictures for all cases: (N, 3, s b, s b), 0..1."""
    device = next(network.parameters()).device
    made = []
    for start in range(0, len(cases), 16):
        part = cases[start : start + 16]
        crop = torch.stack([c.crop for c in part]).to(device)
        given = torch.stack([(c.strangers if wrong else c.exemplars)[:exemplars] for c in part])
        validity = torch.ones(len(part), exemplars, device=device)
        made.append(network(crop, given.to(device), validity).float().cpu())
    return torch.cat(made).clamp(0, 1)


def mean_psnr(network: Hime, cases: list[Case], exemplars: int) -> float:
    """Average over all cases, dB."""
    truth = torch.stack([c.truth for c in cases])
    return float(psnr(outputs(network, cases, exemplars), truth).mean())


def evaluate(network: Hime, cases: list[Case]) -> list[Row]:
    """Rows of the table: bicubic, 0, 1 and 3 exemplars, 3 wrong ones."""
    truth = torch.stack([c.truth for c in cases])
    crops = torch.stack([c.crop for c in cases])
    reconstruction = network.reconstruction.cpu()

    def row(method: str, count: int, pictures: Tensor) -> Row:
        similar = [ssim(x, y) for x, y in zip(pictures, truth, strict=True)]
        return Row(method, count, float(psnr(pictures, truth).mean()), float(np.mean(similar)))

    rows = [row("bicubic", 0, reconstruction.enlarge(crops))]
    rows += [row("hime", n, outputs(network, cases, n)) for n in (0, 1, SLOTS)]
    rows.append(row("hime-wrong", SLOTS, outputs(network, cases, SLOTS, wrong=True)))
    return rows


def table(rows: list[Row]) -> str:
    """Plain text, with differences to bicubic."""
    base = rows[0]
    lines = [f"{'method':<12}{'exemplars':>10}{'PSNR dB':>10}{'SSIM':>9}{'+dB':>8}{'+SSIM':>9}"]
    lines += [
        f"{r.method:<12}{r.exemplars:>10}{r.psnr:>10.2f}{r.ssim:>9.4f}"
        f"{r.psnr - base.psnr:>+8.2f}{r.ssim - base.ssim:>+9.4f}"
        for r in rows
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engines.hime.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder for each person")
    parser.add_argument("--scale", type=int, choices=(4, 8), default=4)
    parser.add_argument("--size", type=int, default=32, help="side of the input, px (default 32)")
    parser.add_argument("--degradation", choices=("clean", "call"), default="clean")
    parser.add_argument("--weights", type=Path, help="a checkpoint or *.enhance.onnx file")
    parser.add_argument("--json", type=Path, help="write the rows here")
    args = parser.parse_args(argv)
    weights = args.weights or WEIGHTS / f"hime_x{args.scale}.enhance.onnx"
    try:
        if args.size < 16 or args.size % 2:
            raise ValueError("--size must be an even number of at least 16")
        network = load_network(weights)
        if network.config.scale != args.scale:
            raise ValueError(
                f"{weights.name} enlarges {network.config.scale} times, not {args.scale}"
            )
        people = load_people(args.data, args.scale * args.size)
        cases = make_cases(people, args.scale, args.size, args.degradation)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = evaluate(network, cases)
    print(f"{len(cases)} headshots, {args.size} px x{args.scale}, {args.degradation}")
    print(table(rows))
    if args.json:
        data = {"scale": args.scale, "size": args.size, "degradation": args.degradation}
        args.json.write_text(
            json.dumps(data | {"rows": [vars(row) for row in rows]}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
