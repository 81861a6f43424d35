"""Decoding times: when packets of pictures are to be decoded, where a file does not say.

Matroska keeps only when pictures are shown; mp4 needs both, and lasts as long as its packets in the
order of decoding, as its edit list says until when pictures are shown.
"""

from __future__ import annotations

import heapq


def last_packet(
    dts: int, pts: int, shown: int, first: tuple[int, int], end: int
) -> tuple[int, int]:
    """When to decode the packet that comes last, and how long it lasts, so that the packets last as
    long as the pictures, or longer, and none is shown beyond the end.

    Args: dts, pts, shown: of the last packet, and how long it is shown. first: dts and pts of the
          first packet. end: of the picture that is shown last, pts.
    """
    whole = end - first[1]
    lasting = max(shown, min(end - pts, whole - (dts - first[0])))
    return max(dts, min(pts, first[0] + whole - lasting)), lasting


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
