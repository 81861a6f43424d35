"""Close-ups that somebody is learnt from, and those that are kept back to judge by."""

from __future__ import annotations

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
MOST_BLOCKS = 3
"""Blocks of time in which they lie: neighbours in time are nearly copies of each other, so that
single ones would judge what was learnt by heart."""


@dataclass(frozen=True)
class CloseUp:
    """A sharp headshot, seen at some time."""

    picture: Image
    """RGB uint8 (n, n, 3)."""
    time_s: float


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
