"""ShownTimes: how long each picture of a track is shown, read before its packets are copied.

A packet of an mp4 says how long it is until the next one is decoded. Where pictures are decoded
before others, at a variable frame rate, that is not how long the picture is shown, and a container
that takes it at its word shows the last one too long or too short.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from av.error import FFmpegError
from av.packet import Packet

from stream.media.decoding_times import last_packet
from stream.media.pictures_end import PicturesEnd
from stream.media.sources.file_source import open_recording
from stream.media.time_jumps import TimeJumps


class ShownTimes:
    """Of a track whose packets are given in their order; it changes how long they last.

    Browsers write several pictures at one time: each of these lasts until the next later one.

    Args: times: pts of its packets, each of them, in the ticks of the packets.
          end: of the picture that is shown last, pts.
    """

    def __init__(self, times: Collection[int], end: int) -> None:
        self._after = dict(pairwise([*sorted({*times}), end]))
        self._to_come = len(times)
        self._end = end
        self._first: tuple[int, int] | None = None

    @classmethod
    def of(cls, path: Path, tracks: Collection[int]) -> dict[int, Self]:
        """Those of some tracks of pictures, by their index; without those with a packet that has no
        time.

        Raises: InputError: the recording cannot be opened.
        """
        if not tracks:
            return {}
        with ExitStack() as stack:
            container = stack.enter_context(open_recording(path))
            pictures = [one for one in container.streams.video if one.index in tracks]
            seen = {one.index: _Seen(PicturesEnd(path, container, one)) for one in pictures}
            # All packets: the end of the others may be the end of the file.
            with suppress(FFmpegError, OSError):
                jumps = TimeJumps.of(path, container)
                for packet in container.demux():
                    jumps(packet)
                    for index, track in seen.items():
                        track.see(packet, is_own=packet.stream.index == index)
            found = {index: (track.times, track.end.ticks) for index, track in seen.items()}
        return {
            index: cls(times, end)
            for index, (times, end) in found.items()
            if times and end is not None and end > max(times)
        }

    def __call__(self, packet: Packet[Any], shown: int | None) -> None:
        """Say how long the next packet lasts, and of the last one also when to decode it.

        Args: shown: its pts in the recording, where the copy cannot hold two at one time.
        """
        self._to_come -= 1
        if packet.pts is None or packet.dts is None or shown not in self._after:
            return
        self._first = self._first or (packet.dts, packet.pts)
        packet.duration = max(1, self._after[shown] - packet.pts)
        if self._to_come == 0:
            packet.dts, packet.duration = last_packet(
                packet.dts, packet.pts, packet.duration, self._first, self._end
            )


class _Seen:
    """What was read of a track."""

    def __init__(self, end: PicturesEnd) -> None:
        self.end = end
        self.times: list[int] = []
        self._vague = False

    def see(self, packet: Packet[Any], *, is_own: bool) -> None:
        self.end.see(packet)
        if not is_own or self._vague or (packet.size == 0 and packet.dts is None):
            return
        if packet.pts is None:
            self._vague, self.times = True, []
        else:
            self.times.append(packet.pts)
