"""What close-ups could still add: what they add today, and bounds that know the truth.

    python -m engines.hime.headroom --data FOLDER --scale 8 --size 16

Where three close-ups add little over none, this tells whether to look for it in the alignment or in
the choice of close-ups: each is made perfect, one at a time, by looking at the truth. What is
missing then is in neither of them: it is not in the photos, or the network does not use it. On
people of the training files it tells whether more people would help.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from engines.errors import WeightsError, reported, run_program
from engines.hime.cases import SLOTS, Case, make_cases
from engines.hime.checkpoint import load_network, named_weights
from engines.hime.data import load_people
from engines.hime.evaluate import bicubic, outputs
from engines.hime.measures import psnr
from engines.hime.model import Hime
from engines.option_types import named_path
from engines.weights.manifest import best_weights

POOL = 7
"""Close-ups to choose the best three from."""
NEIGHBOURHOOD = 1 / 8
"""Standard deviation of the window that evens out light before motion is estimated, parts of the
side: photos of different days are lit from different sides."""


def evenly_lit(picture: Tensor) -> np.ndarray:
    """Grey, with mean and contrast of each neighbourhood made equal: (3, h, w) 0..1 -> uint8."""
    grey = picture.mean(dim=0).numpy().astype(np.float32) * 255
    width = grey.shape[0] * NEIGHBOURHOOD
    fine = grey - cv2.GaussianBlur(grey, (0, 0), width)
    contrast = np.sqrt(cv2.GaussianBlur(fine**2, (0, 0), width) + 25)
    even: np.ndarray = (fine / contrast * 40 + 128).clip(0, 255).astype(np.uint8)
    return even


def onto(close_up: Tensor, truth: Tensor) -> Tensor:
    """A close-up moved onto the truth by dense inverse search optical flow: (3, h, w), 0..1."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    still = np.zeros((*truth.shape[1:], 2), np.float32)
    flow = search.calc(evenly_lit(truth), evenly_lit(close_up), still)
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    moved = cv2.remap(
        close_up.permute(1, 2, 0).numpy(),
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    return torch.from_numpy(moved.clip(0, 1)).permute(2, 0, 1)


def best(cases: list[Case], scores: Tensor) -> list[Case]:
    """The same cases with the close-ups of the highest scores (cases, pool) alone."""
    order = scores.argsort(dim=1, descending=True)[:, :SLOTS]
    return [replace(c, exemplars=c.exemplars[o]) for c, o in zip(cases, order, strict=True)]


def headroom(network: Hime, cases: list[Case]) -> list[tuple[str, float, float]]:
    """(close-ups, dB over bicubic, dB over none), means over the cases.

    Args: cases: with at least SLOTS close-ups each; the first SLOTS are those "as drawn".
    """
    truth = torch.stack([c.truth for c in cases])

    def quality(some: list[Case], count: int = SLOTS) -> Tensor:
        return psnr(outputs(network, some, count), truth)

    base, none = psnr(bicubic(network, cases), truth), quality(cases, 0)
    pool = len(cases[0].exemplars)
    alone = [
        quality([replace(c, exemplars=c.exemplars[i : i + 1]) for c in cases], 1)
        for i in range(pool)
    ]
    warped = [
        replace(c, exemplars=torch.stack([onto(x, c.truth) for x in c.exemplars[:SLOTS]]))
        for c in cases
    ]
    rows = {
        "none": none,
        f"{SLOTS}, as drawn": quality(cases),
        f"{SLOTS}, moved onto the truth by optical flow": quality(warped),
        f"the best {SLOTS} of {pool}, each judged by the truth": quality(
            best(cases, torch.stack(alone, dim=1))
        ),
    }
    return [(k, float((v - base).mean()), float((v - none).mean())) for k, v in rows.items()]


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m engines.hime.headroom", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--data", type=named_path, required=True, help="a folder, or zip, of people")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--size", type=int, default=32, help="side of the input, px (default 32)")
    p.add_argument("--degradation", choices=("clean", "call"), default="clean")
    p.add_argument("--weights", help="as of engines.hime.evaluate; default: made for the damage")
    p.add_argument("--limit", type=int, help="use about this many headshots")
    p.add_argument("--pool", type=int, default=POOL, help=f"close-ups to choose from ({POOL})")
    args = p.parse_args(argv)
    try:
        if args.pool < SLOTS:
            raise ValueError(f"--pool must be at least {SLOTS}")
        weights = best_weights(args.scale, args.degradation)
        if args.weights:
            weights = named_weights(args.weights, args.scale)
        network = load_network(weights)
        if network.config.scale != args.scale:
            raise ValueError(f"{weights.name} enlarges {network.config.scale} times")
        people = load_people(args.data, args.scale * args.size)
        cases = make_cases(people, args.scale, args.size, args.degradation, args.limit, args.pool)
    except (OSError, ValueError, WeightsError) as error:
        return reported(error)
    print(
        f"{args.size} px x{args.scale}, {args.degradation}, {len(cases)} headshots, {weights.name}"
    )
    for name, over_bicubic, over_none in headroom(network, cases):
        print(f"{name:52} {over_bicubic:+.2f} dB, {over_none:+.3f} over none", flush=True)
    return 0


if __name__ == "__main__":
    run_program(main)
