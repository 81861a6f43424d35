"""How well a far face is told from a stranger's by its close-ups, before another background.

    python -m bench.alike --people PEOPLE

PEOPLE holds a folder of square headshots of one session for each person. Far faces are 32 px with
noise, before a made-up background that the close-ups do not have: people walk.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from bench.harm import Rng, noisy, read, shrunk
from stream.frame import Image
from stream.stages.resemblance import UNLIKE, resemblance

SIDE, NOISE = 32, 8.0


def elsewhere(photo: Image, rng: Rng) -> Image:
    """The head, an oval of the headshot, before something smooth."""
    side = photo.shape[0]
    coarse = rng.integers(20, 235, (3, 3, 3)).astype(np.uint8)
    behind = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    grid = (np.arange(side) + 0.5) / side * 2.0 - 1.0
    radius = np.hypot(grid[None, :] / 0.72, grid[:, None] / 0.95)
    alpha = np.clip((1.0 - radius) / 0.08, 0.0, 1.0)[..., None]
    return np.asarray(photo * alpha + behind * (1.0 - alpha), np.uint8)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m bench.alike", description=__doc__)
    p.add_argument("--people", type=Path, required=True, help="a folder for each person")
    args = p.parse_args(argv)
    try:
        people = list(read(args.people).values())
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rng = np.random.default_rng(0)
    own, other = [], []
    for number, photos in enumerate(people):
        for k, photo in enumerate(photos):
            far = noisy(shrunk(elsewhere(photo, rng), SIDE), NOISE, rng)
            rest = [x for i, x in enumerate(photos) if i != k]
            own.append(resemblance(far, [rest[int(i)] for i in rng.permutation(len(rest))[:3]]))
            stranger = people[(number + 1 + int(rng.integers(len(people) - 1))) % len(people)]
            other.append(resemblance(far, stranger[:3]))
    for name, values in (("their own", own), ("a stranger's", other)):
        low, middle, high = np.percentile(values, [5, 50, 95])
        print(
            f"{name:<14}{low:>7.2f}{middle:>7.2f}{high:>7.2f}   unlike (below {UNLIKE:g}): "
            f"{np.mean(np.array(values) < UNLIKE):.1%} of {len(values)}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
