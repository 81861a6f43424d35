"""Which parts of which close-up PWAve uses: its weights W as heat maps (figures 6 and 9).

    python -m engines.papers.heat_maps --data PEOPLE --weights runs/pwave/checkpoint.pt \\
        --sheet weights.png

A line for each headshot: input, what is made of it, truth, and three close-ups with the weights
over them, the warmer the higher, as in the paper's figures: from nothing (blue) to all (red).
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import reported, run_program
from engines.hime.cases import SLOTS, Case, make_cases
from engines.hime.data import load_people
from engines.hime.tables import write_sheet
from engines.option_types import named_path
from engines.output_file import output_file
from engines.papers import networks
from engines.papers.networks import SIDES
from engines.papers.pwave import Pwave

SHARE = 0.5
"""Of the colours; the rest is the close-up."""


def coloured(weights: Tensor) -> Tensor:
    """Weights (N, 1, h, w), 0..1 -> jet colours, RGB (N, 3, h, w), 0..1."""
    levels = (weights.clamp(0, 1) * 255).round().byte().numpy()
    maps = [cv2.applyColorMap(np.ascontiguousarray(w[0]), cv2.COLORMAP_JET) for w in levels]
    return torch.from_numpy(np.stack(maps)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255


def overlaid(exemplars: Tensor, weights: Tensor) -> Tensor:
    """Close-ups with their weights over them: (N, 3, H, W).

    Args: exemplars: (N, 3, H, W), 0..1. weights: (N, 1, h, w), 0..1.
    """
    large = F.interpolate(weights, size=exemplars.shape[-2:], mode="nearest")
    return SHARE * coloured(large) + (1 - SHARE) * exemplars


def columns_of(network: Pwave, cases: list[Case]) -> dict[str, Tensor]:
    """The sheet's columns by title.

    Args: cases: headshots with three close-ups each.
    """
    crop = torch.stack([case.crop for case in cases])
    exemplars = torch.stack([case.given("own", SLOTS) for case in cases])
    with torch.inference_mode():
        made = network.make(crop, exemplars, torch.ones(exemplars.shape[:2]))
    shown = {"input": crop, "PWAve": made.picture.clamp(0, 1)}
    shown["truth"] = torch.stack([case.truth for case in cases])
    for k in range(SLOTS):
        for grid, weights in zip(("", " x2"), made.weights, strict=True):
            shown[f"W {k + 1}{grid}"] = overlaid(exemplars[:, k], weights[:, k])
    return shown


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m engines.papers.heat_maps", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--data", type=named_path, required=True, help="a folder for each person")
    p.add_argument("--weights", type=named_path, required=True, help="a checkpoint of PWAve")
    p.add_argument("--sheet", type=output_file, required=True, help="where the picture goes (.png)")
    p.add_argument("--limit", type=int, default=6, help="headshots (default 6)")
    args = p.parse_args(argv)
    try:
        network = networks.load(args.weights).network
        if not isinstance(network, Pwave):
            raise ValueError(f"{args.weights} holds no PWAve")
        side = SIDES[network.scale]
        people = load_people(args.data, side * network.scale)
        cases = make_cases(people, network.scale, side, "clean", args.limit, least=8)
        write_sheet(args.sheet, columns_of(network, cases))
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
