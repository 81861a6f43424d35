"""DescriptorSet: how somebody's face looked in the course of a track, evenly over it, in bounded
memory."""

from __future__ import annotations

import numpy as np

from stream.frame import Floats

EVERY = 5
"""Of the faces of a track one in so many is looked at, at first: neighbours are alike."""
CAPACITY = 16
"""Then every other descriptor goes, and half as many are taken from there on: 8 to 16 of any
track."""
MOST = 32
"""Of a person, all tracks together."""


class DescriptorSet:
    """Descriptions of one person's face; see `stream.recordings.people.hog_descriptor`."""

    def __init__(self) -> None:
        self._kept: list[Floats] = []
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
        """Of the two descriptors that are most alike; 0 where there is nothing to compare."""
        if not self._kept or not other._kept:
            return 0.0
        return float(np.max(np.stack(self._kept) @ np.stack(other._kept).T))

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
