"""DecodingTimes: when packets of pictures are to be decoded, where a file does not say.

Matroska keeps only when pictures are shown; mp4 needs both.
"""

from __future__ import annotations

import heapq


class DecodingTimes:
    """The packets' times in rising order, as late as the pictures are shown out of order.

    Args: depth: how many pictures may be decoded before one that is shown earlier.
          step: between two pictures, in units of the times.
    """

    def __init__(self, depth: int, step: int) -> None:
        self._ahead = depth
        self._step = step
        self._first: int | None = None
        self._shown: list[int] = []

    def __call__(self, pts: int) -> int:
        """When to decode the packet that comes next in the file and is shown at `pts`."""
        if self._first is None:
            self._first = pts
        heapq.heappush(self._shown, pts)
        if self._ahead > 0:
            before = self._first - self._ahead * self._step
            self._ahead -= 1
            return before
        return heapq.heappop(self._shown)
