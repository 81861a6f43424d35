"""DescriptorSet: how somebody's face looked in the course of a track, evenly over it, in bounded
memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from stream.frame import Floats

EVERY = 5
"""Of the faces of a track one in so many is looked at, at first: neighbours are alike."""
CAPACITY = 16
"""Then every other descriptor goes, and half as many are taken from there on: 8 to 16 of any
track."""
MOST = 32
"""Of a person, all tracks together."""
CLEARLY = 0.0906
"""Somebody who is nearly as much like another person, who is in the picture with the first one,
is neither. So far likeness changes with the descriptors that were taken, in 95 of 100 pairs of
people; chosen by `python -m calibration.thresholds`, figures in
calibration/thresholds/thresholds.toml."""


def clearly_same(
    likeness: Mapping[int, float], best: int, rivals: Iterable[int], same: float
) -> bool:
    """Whether a face is somebody's beyond doubt.

    Args: likeness: of the face to the people it may be, 0..1. best: whose it seems to be. rivals:
          who surely is another person than `best`, or than this one. same: `Describer.same`.
    """
    closest = max((likeness[one] for one in rivals), default=0.0)
    return likeness[best] >= same and closest <= likeness[best] - CLEARLY


class DescriptorSet:
    """Descriptions of one person's face; see `stream.stages.exemplars.hog_descriptor`.

    Args: kept: the first ones.
    """

    def __init__(self, kept: Iterable[Floats] = ()) -> None:
        self._kept = list(kept)
        self._every = EVERY
        self._passed = EVERY - 1

    def __len__(self) -> int:
        return len(self._kept)

    def wants(self) -> bool:
        """Whether to describe this face: ask once for each."""
        self._passed += 1
        if self._passed < self._every:
            return False
        self._passed = 0
        return True

    def add(self, description: Floats) -> None:
        """Take a descriptor in; it is this collection's own from now on."""
        self._kept.append(description)
        if len(self._kept) >= CAPACITY:
            self._thin()
            self._every *= 2

    def likeness(self, other: DescriptorSet) -> float:
        """Of the two descriptors that are most alike, 0..1; 0 where there is nothing to compare."""
        if not self._kept or not other._kept:
            return 0.0
        return max(0.0, float(np.max(np.stack(self._kept) @ np.stack(other._kept).T)))

    def absorb(self, other: DescriptorSet) -> None:
        """Take over the descriptors of the same person's other track, which has none afterwards."""
        self._kept += other._kept
        other._kept = []
        while len(self._kept) > MOST:
            self._thin()

    def wipe(self) -> None:
        """Overwrite all with zeros and let go of them."""
        for one in self._kept:
            one.fill(0.0)
        self._kept.clear()

    def _thin(self) -> None:
        for one in self._kept[1::2]:
            one.fill(0.0)
        self._kept = self._kept[::2]
