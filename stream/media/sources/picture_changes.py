"""Picture changes: what of a recording's pictures is otherwise later than at its beginning.

Calls that were recorded as they came change their size, and files that were joined anything. An
output has one kind of pictures: that of the first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.video.stream import VideoStream

from stream.media.pyav import exact, side_data
from stream.media.time_jumps import TimeJumps

UPRIGHT = struct.pack("=9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
"""The display matrix of pictures that say nothing of how they are turned."""


@dataclass(frozen=True)
class Findings:
    """What was noticed."""

    changes: tuple[str, ...] = ()
    """What is lost where all pictures are encoded like the first, a line each."""
    missing_s: float = 0.0
    """From the first packet until the first picture: there may be no key picture before."""
    joints: int = 0
    """Places where times begin anew, see `TimeJumps`."""

    def wrong(self, picture_s: float) -> list[str]:
        """What was wrong with the recording, in words that follow its name.

        Args: picture_s: how long a picture is shown, about.
        """
        lines = []
        if self.missing_s > 0.5 * picture_s:
            lines.append(f"begins with {self.missing_s:.2f} s that need pictures before them")
        if self.joints:
            lines.append(f"is joined: its times begin anew at {self.joints} places and go on here")
        return lines


class PictureChanges:
    """Looks at each picture as it is decoded.

    Args: jumps: of the recording's times, which it mends.
    """

    def __init__(self, jumps: TimeJumps) -> None:
        self._jumps = jumps
        self._corrupt = self._without_picture = 0
        self._first: dict[str, object] | None = None
        self._counts = {"size": 0, "pixels": 0, "turn": 0, "aspect": 0}
        self._begin: int | None = None
        self._missing_s = 0.0

    def read(self, packet: Packet[VideoStream]) -> None:
        """Take in the next packet of the pictures, before it is decoded, and mend its times."""
        self._jumps(packet)
        self._corrupt += packet.is_corrupt
        self._without_picture += packet.size > 0 and not packet.is_discard
        if self._first is None and packet.pts is not None and not packet.is_discard:
            self._begin = packet.pts if self._begin is None else min(self._begin, packet.pts)

    def see(self, frame: av.VideoFrame, stream: VideoStream) -> None:
        """Take in the next picture of a stream."""
        self._corrupt -= frame.is_corrupt
        self._without_picture -= 1
        if self._first is None and self._begin is not None and frame.pts is not None:
            clock = exact(stream.time_base) or Fraction(0)
            self._missing_s = float(max(0, frame.pts - self._begin) * clock)
        matrix = side_data(frame).get("DISPLAYMATRIX")
        kind: dict[str, object] = {
            "size": (frame.width, frame.height),
            "pixels": frame.format.name,
            "turn": bytes(matrix) if isinstance(matrix, SideData) else None,
            "aspect": exact(stream.codec_context.sample_aspect_ratio),
        }
        if self._first is None:
            silent = {"turn": UPRIGHT, "aspect": Fraction(1)}
            self._first = {name: kind[name] or silent.get(name) for name in kind}
        for name, value in kind.items():
            self._counts[name] += value is not None and value != self._first[name]

    @property
    def findings(self) -> Findings:
        """As far as it has come."""
        return Findings(tuple(self._lines()), self._missing_s, self._jumps.count)

    @property
    def unseen(self) -> int:
        """Damaged packets of which there was no damaged picture."""
        return max(0, min(self._corrupt, self._without_picture))

    def _lines(self) -> Iterator[str]:
        counts = self._counts
        if counts["size"]:
            yield f"{counts['size']} pictures of another size than the first were scaled"
        if counts["pixels"]:
            yield f"{counts['pixels']} pictures with other pixels than the first were converted"
        if counts["turn"]:
            yield "left out: later pictures say that they are turned another way"
        if counts["aspect"]:
            yield "left out: later pictures say that their pixels have another shape"
