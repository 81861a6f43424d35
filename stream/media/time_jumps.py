"""Time jumps: where the times of a transport or program stream begin anew, and how to go on.

Such recordings may be joined as they are, byte for byte, and recorders that start again write on.
Each part then has times of its own. Here a part follows the one before it; players do the same. A
packet whose time alone is far off, after damage, has none. Where the clock of 33 bits overflows
(ISO/IEC 13818-1, 2.4.3.7) FFmpeg gives what comes before times below 0, which an mp4 does not show:
then all begins at 0.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from stream.media.pyav import exact
from stream.media.sources.kinds import FORMATS, open_as

KINDS = ("mpegts", "mpeg")
"""FFmpeg's names of what may be joined so."""
BACK_S = Fraction(1, 10)
"""Times of one track that go back by more begin anew (FFmpeg's program takes as much)."""
FORTH_S = 3600
"""So do those that go on by more; a shorter pause may be one."""


@dataclass(frozen=True)
class _Seen:
    """A packet of sound or pictures."""

    at: int
    """Where it begins in the file, bytes."""
    track: int
    decoded_s: Fraction
    shown_s: Fraction
    end_s: Fraction


class TimeJumps:
    """Mends the packets of one reading of a file, in the order of each track.

    Args: starts: bytes from the beginning of the file, of each part but the first.
          later_s: how much later each part is shown than its own times say; the first one, too.
          wrong: where packets begin whose times are wrong.
    """

    def __init__(
        self,
        starts: tuple[int, ...] = (),
        later_s: tuple[Fraction, ...] = (Fraction(0),),
        wrong: frozenset[int] = frozenset(),
    ) -> None:
        self.count = len(starts)
        self._wrong = wrong
        self._starts, self._later_s = starts, later_s
        self._parts: dict[int, int] = {}

    @classmethod
    def of(cls, path: Path, container: InputContainer) -> TimeJumps:
        """Those of a recording, which is open; it is read through once more for them."""
        if container.format.name not in KINDS:
            return cls()
        try:
            told = path.stat()
        except OSError:
            return cls()
        return cls(*_jumps(path, told.st_size, told.st_mtime_ns))

    def __call__(self, packet: Packet[Any]) -> None:
        """Mend the next packet."""
        if packet.pos in self._wrong:
            packet.pts = packet.dts = None
        if not any(self._later_s):
            return
        track = packet.stream.index
        if packet.pos is not None and packet.pos >= 0:
            self._parts[track] = bisect_right(self._starts, packet.pos)
        # What shares its place with the packet before does not say where it is.
        later = self._later_s[self._parts.get(track, 0)] / (exact(packet.time_base) or 1)
        if packet.pts is not None:
            packet.pts += round(later)
        if packet.dts is not None:
            packet.dts += round(later)


@lru_cache(maxsize=8)
def _jumps(
    path: Path, size: int, changed_ns: int
) -> tuple[tuple[int, ...], tuple[Fraction, ...], frozenset[int]]:
    """Args: size, changed_ns: of the file as it is."""
    starts: list[int] = []
    later_s: list[Fraction] = []
    end_s: Fraction | None = None
    wrong: set[int] = set()
    for part in _parts(sorted(_read(path), key=lambda one: one.at), wrong):
        begin_s, last_s = min(one.shown_s for one in part), max(one.end_s for one in part)
        starts.append(part[0].at)
        later_s.append(max(Fraction(0), -begin_s) if end_s is None else end_s - begin_s)
        end_s = last_s + later_s[-1]
    return tuple(starts[1:]), tuple(later_s or [Fraction(0)]), frozenset(wrong)


def _read(path: Path) -> Iterator[_Seen]:
    # What cannot be read has no times to mend.
    with suppress(FFmpegError, OSError, ValueError), open_as(path, FORMATS) as container:
        tracks = [*container.streams.video, *container.streams.audio]
        for packet in container.demux(*tracks):
            base = exact(packet.time_base)
            if base is None or packet.pts is None or packet.dts is None:
                continue
            if packet.pos is not None and packet.pos >= 0:
                shown_s = packet.pts * base
                end_s = shown_s + (packet.duration or 0) * base
                decoded_s = packet.dts * base
                yield _Seen(packet.pos, packet.stream.index, decoded_s, shown_s, end_s)


def _parts(packets: list[_Seen], wrong: set[int]) -> Iterator[list[_Seen]]:
    """The packets of each part, in their order.

    Args: wrong: gets where packets begin whose times alone are off.
    """
    following: dict[int, _Seen] = {}
    after: dict[int, _Seen | None] = {}
    for number in reversed(range(len(packets))):
        after[number] = following.get(packets[number].track)
        following[packets[number].track] = packets[number]
    part: list[_Seen] = []
    last_s: dict[int, Fraction] = {}
    for number, packet in enumerate(packets):
        before_s = last_s.get(packet.track)
        if before_s is not None and _is_jump(before_s, packet.decoded_s):
            next_one = after[number]
            if next_one is None or not _is_jump(before_s, next_one.decoded_s):
                wrong.add(packet.at)
                continue
            yield part
            part, last_s = [], {}
        part.append(packet)
        last_s[packet.track] = packet.decoded_s
    if part:
        yield part


def _is_jump(before_s: Fraction, now_s: Fraction) -> bool:
    return now_s < before_s - BACK_S or now_s > before_s + FORTH_S
