"""PicturesEnd: when the last picture of a recording ceases to be shown.

The packet of a picture says how long it is until the next one is decoded, if anything: with
pictures that are decoded before others, or where the last one stays for long, that is another time.
What the container says of the track comes first, then the end of the file where nothing else
reaches it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from stream.media.announced_end import ShownUntil, edit_list_end
from stream.media.pyav import exact
from stream.media.time_jumps import TimeJumps

MATROSKA_TICK = Fraction(1, 1000)
"""FFmpeg writes the times of Matroska in milliseconds, whatever they were."""
DURATION = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")
MICROSECOND = Fraction(1, 1_000_000)


class PicturesEnd:
    """Of a recording whose packets are shown to it, all of them or those of sound and pictures.

    Args: path, container, pictures: the recording, open, and its pictures.
    """

    def __init__(self, path: Path, container: InputContainer, pictures: VideoStream) -> None:
        self._path, self._container, self._pictures = path, container, pictures
        self._joined = TimeJumps.of(path, container).count > 0
        self._begins_s: Fraction | None = None
        self._last_s: Fraction | None = None
        self._said_s = Fraction(0)
        self._others_end_s: Fraction | None = None

    def see(self, packet: Packet[Any]) -> None:
        """One that was read."""
        if packet.pts is None or packet.is_discard:
            return
        begins_s = packet.pts * (exact(packet.time_base) or MICROSECOND)
        lasting_s = (packet.duration or 0) * (exact(packet.time_base) or MICROSECOND)
        if packet.stream.index != self._pictures.index:
            end_s = begins_s + lasting_s
            self._others_end_s = max(end_s, self._others_end_s or end_s)
            return
        self._begins_s = min(begins_s, begins_s if self._begins_s is None else self._begins_s)
        if self._last_s is None or begins_s >= self._last_s:
            self._last_s, self._said_s = begins_s, lasting_s

    def __call__(self) -> ShownUntil | None:
        """The end, after the last packet; None where the file does not say."""
        if self._last_s is None:
            return None
        for found in (*self._of_the_track(), *self._of_the_file()):
            if found.end_s > self._last_s:
                return found
        return ShownUntil(self._said_end_s, self._tick_s) if self._said_s else None

    @property
    def _said_end_s(self) -> Fraction:
        """What the last packet says, which only where pictures come in order is the end."""
        return (self._last_s or 0) + self._said_s

    @property
    def ticks(self) -> int | None:
        """The end in the time base of the pictures."""
        found = self()
        return None if found is None else round(found.end_s / self._tick_s)

    @property
    def _tick_s(self) -> Fraction:
        return exact(self._pictures.time_base) or MICROSECOND

    def _of_the_track(self) -> Iterator[ShownUntil]:
        kind, summed = self._container.format.name, None
        if self._joined:
            # FFmpeg takes the difference of times that do not belong together.
            return
        if "matroska" in kind:
            # What FFmpeg gives for the track's duration there is the file's.
            if (tagged_s := self._tagged_s()) is not None:
                yield ShownUntil(tagged_s, MATROSKA_TICK)
            return
        counted = "mp4" in kind
        if self._pictures.duration:
            end_s = ((self._pictures.start_time or 0) + self._pictures.duration) * self._tick_s
            # What FFmpeg estimates may leave the last packet out.
            summed = ShownUntil(end_s if counted else max(end_s, self._said_end_s), self._tick_s)
        edited = edit_list_end(self._path, self._pictures.id) if counted else None
        if edited and not (summed and abs(edited.end_s - summed.end_s) <= edited.tick_s):
            yield edited
        if summed:
            yield summed

    def _tagged_s(self) -> Fraction | None:
        """Matroska's DURATION, "00:00:02.500000000": FFmpeg counts it from the file's beginning,
        mkvmerge, which leaves its name, from the first picture."""
        told = self._pictures.metadata
        found = DURATION.match(told.get("DURATION") or "")
        if found is None:
            return None
        hours, minutes, seconds = found.groups()
        lasting_s = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
        by_mkvmerge = any(key.startswith("_STATISTICS") for key in told)
        return lasting_s + (self._begins_s or 0) if by_mkvmerge else lasting_s

    def _of_the_file(self) -> Iterator[ShownUntil]:
        container, tick = self._container, max(self._tick_s, MATROSKA_TICK)
        if self._joined or not container.duration:
            return
        end_s = ((container.start_time or 0) + container.duration) * MICROSECOND
        # Rounded, it may be the end of a sound as well.
        if self._others_end_s is None or end_s > self._others_end_s + 2 * tick:
            yield ShownUntil(end_s, tick)


def end_of(path: Path, container: InputContainer, pictures: VideoStream) -> int | None:
    """The end in the time base of the pictures, of a recording that is read through for it.

    Args: path, container, pictures: the recording, open and not yet read, and its pictures.
    """
    end = PicturesEnd(path, container, pictures)
    with suppress(FFmpegError, OSError):
        jumps = TimeJumps.of(path, container)
        for packet in container.demux():
            jumps(packet)
            end.see(packet)
    return end.ticks
