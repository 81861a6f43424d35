"""PacketTimes: packets that are copied get times that a file can hold; none is dropped for its.

Browsers write two pictures at one time, and some files say of a packet only when it is shown, or
nothing at all. Without such a packet the pictures that refer to it are destroyed.
"""

from __future__ import annotations

import math
from fractions import Fraction

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from stream.media.decoding_times import DecodingTimes
from stream.media.pyav import exact
from stream.media.shown_times import ShownTimes

NOT_RISING = ("matroska",)
"""Containers that hold packets of one track at equal times."""


class PacketTimes:
    """Of one track that is copied.

    Args: source, copy: the track as it was and as it will be, in `container`.
          shown: how long its pictures are shown, where that is known.
    """

    def __init__(
        self,
        source: Stream,
        copy: Stream,
        container: OutputContainer,
        shown: ShownTimes | None = None,
    ) -> None:
        self._source, self._copy, self._shown = source, copy, shown
        # Two lines of text may begin together.
        timed = source.type in ("audio", "video")
        self._rising = timed and container.format.name not in NOT_RISING
        self._usual = _usual_step(source)
        self._decoded: DecodingTimes | None = None
        self._last_dts: int | None = None

    def __call__(self, packet: Packet[Stream]) -> None:
        """Complete the times of the next packet, in the time base that it has."""
        shown_at = packet.pts
        if isinstance(self._source, VideoStream):
            self._date(packet, self._source)
        if packet.dts is None:
            packet.dts = self._made_up(packet.pts)
        if self._last_dts is not None:
            packet.dts = max(packet.dts, self._last_dts + self._least_step(packet))
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        if self._shown is not None:
            self._shown(packet, shown_at)
        if not packet.duration:
            # The last packet of an mp4 or mov that lasts no time is not shown, and not heard.
            if isinstance(self._source, VideoStream):
                packet.duration = self._usual
            elif self._source.type == "audio" and self._last_dts is not None:
                packet.duration = packet.dts - self._last_dts
        self._last_dts = packet.dts
        self._usual = packet.duration or self._usual

    def _made_up(self, pts: int | None) -> int:
        """When to decode one that does not say: as long after the packet before as that lasts."""
        if self._last_dts is None:
            return pts or 0
        after = self._last_dts + self._usual
        return after if pts is None else max(self._last_dts, min(after, pts))

    def _least_step(self, packet: Packet[Stream]) -> int:
        """Between two packets, so that they still differ in the clock of the copy."""
        if not self._rising:
            return 0
        before, after = exact(packet.time_base), exact(self._copy.time_base)
        return math.ceil(after / before) if before and after else 1

    def _date(self, packet: Packet[Stream], stream: VideoStream) -> None:
        """Say when to decode a picture, where the file does not from the first one on."""
        if packet.pts is None:
            return
        if packet.dts is None and self._last_dts is None:
            depth = stream.codec_context.reorder_depth
            self._decoded = DecodingTimes(depth, self._usual)
        if self._decoded is not None:
            packet.dts = self._decoded(packet.pts)


def _usual_step(stream: Stream) -> int:
    """Between two pictures, in the track's time base, as far as it says so; 1 of other tracks."""
    base = exact(stream.time_base)
    if base is None or not isinstance(stream, VideoStream):
        return 1
    return max(1, round(1 / ((exact(stream.average_rate) or Fraction(25)) * base)))
