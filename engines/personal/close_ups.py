"""Close-ups that somebody is learnt from, and those that are kept back to judge by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

LEAST_CLOSE_UPS = 6
"""From fewer nothing is learnt: two to judge by, and four to learn from."""
MOST_CLOSE_UPS = 36
"""So many are kept of each person who is learnt: 7 MB."""
HELD_OUT = 0.25
"""Share of the close-ups that is never learnt from."""
SIDES = {4: (32, 48, 64), 8: (16, 24, 32)}
"""Those that there are. What is learnt at one size need not help at another: of a webcam's picture
140 steps at 32 px gained 0.47 dB on held-out close-ups at that size, 0.02 dB at 64 px."""
CALL_FAR_PX = 64.0
"""Taken for the side of the headshots far away, px of the camera, where it is not known yet."""
ENLARGED = 1.15
"""So much larger than it was seen a close-up may become by that."""
MOST_BLOCKS = 3
"""Blocks of time in which they lie: neighbours in time are nearly copies of each other, so that
single ones would judge what was learnt by heart."""


@dataclass(frozen=True)
class CloseUp:
    """A sharp headshot, seen at some time."""

    picture: Image
    """RGB uint8 (n, n, 3)."""
    time_s: float


def crop_side(scale: int, far_px: float, close_px: Sequence[float]) -> int:
    """Side of the crops to learn from, px: that of the faces far away, as far as close-ups have the
    detail for it.

    Args: scale: 4 or 8. far_px: side of the headshots that are to be enhanced, px of the camera.
          close_px: of the close-ups, likewise; the one in their middle counts.
    """
    able_px = ENLARGED * sorted(close_px)[len(close_px) // 2] if close_px else 0.0
    able = [side for side in SIDES[scale] if scale * side <= able_px]
    return min(able or SIDES[scale][:1], key=lambda side: abs(math.log(side / max(far_px, 1.0))))


def split(close_ups: Sequence[CloseUp]) -> tuple[list[CloseUp], list[CloseUp]]:
    """What to learn from, and what to judge by: a quarter, in blocks of neighbours in time.

    Returns: (learnt from, held out), each in the order of time; nothing is in both.
    Raises:  ValueError: there are fewer than `LEAST_CLOSE_UPS`.
    """
    if len(close_ups) < LEAST_CLOSE_UPS:
        raise ValueError(f"{len(close_ups)} close-ups; {LEAST_CLOSE_UPS} are needed to learn from")
    in_order = sorted(close_ups, key=lambda one: one.time_s)
    count = max(2, round(HELD_OUT * len(in_order)))
    blocks = min(MOST_BLOCKS, count // 2)
    held: set[int] = set()
    for block in range(blocks):
        size = count // blocks + (block < count % blocks)
        # the middle of each part: later and earlier ones are learnt from
        middle = (block + 0.5) * len(in_order) / blocks
        first = min(max(0, round(middle - size / 2)), len(in_order) - size)
        held |= set(range(first, first + size))
    learnt = [one for place, one in enumerate(in_order) if place not in held]
    return learnt, [one for place, one in enumerate(in_order) if place in held]
