"""Verify: whether an output has all that its input had, at the same times.

Both are read through packet by packet; nothing is decoded but the first picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError
from av.stream import Stream

from stream.media.announced_end import ShownUntil
from stream.media.converted_sound import lacks_header
from stream.media.pictures_end import MATROSKA_TICK, PicturesEnd
from stream.media.pyav import exact
from stream.media.sources.file_source import is_cover, open_recording, pictures_of
from stream.media.time_jumps import TimeJumps
from stream.media.tracks import codec_of, is_made_by_the_file
from stream.recordings.picture_properties import PictureProperties
from stream.telemetry.check import Check

FRAMES_OF_SOUND = Fraction(1, 4)
"""Seconds: by so much a sound may last longer in another codec, which begins with a frame before
the sound and ends with a whole one (AAC: 0.128 s each at 8 kHz)."""


@dataclass
class _Span:
    """The packets of a track."""

    packets: int = 0
    first: Fraction | None = None
    last: Fraction | None = None
    """Where the last one begins."""
    end: Fraction | None = None
    """Of the one that ends last; one that does not say how long it lasts, lasts as long as the one
    before."""
    undated: int = 0
    codec: str = ""

    @property
    def lasting(self) -> Fraction | None:
        if self.first is None or self.end is None or not self.timed:
            return None
        return self.end - self.first

    @property
    def timed(self) -> bool:
        """Whether times tell anything: some files give all packets of a sound the same one."""
        return self.packets < 2 or self.first != self.last

    def add(self, start: Fraction | None, duration: Fraction = Fraction(0)) -> None:
        self.packets += 1
        if start is None:
            self.undated += 1
            return
        self.first = start if self.first is None else min(self.first, start)
        end = start + (duration or (start - self.last if self.last is not None else 0))
        self.last = start if self.last is None else max(self.last, start)
        self.end = end if self.end is None else max(self.end, end)

    @property
    def dated(self) -> bool:
        return self.packets > 0 and self.undated == 0 and self.timed


@dataclass
class _Content:
    """What there is in a recording."""

    pictures: _Span = field(default_factory=_Span)
    sounds: list[_Span] = field(default_factory=list)
    tracks: dict[str, int] = field(default_factory=dict)
    chapters: int = 0
    tick: Fraction = Fraction(0)
    """How far a time may be off because the file counts in steps."""
    until: ShownUntil | None = None
    """The end of the last picture, where the file says so."""

    def duration(self, *, to_end: bool) -> Fraction | None:
        """Of the pictures: until the last one begins or ends."""
        span = self.pictures
        if span.first is None or span.last is None or not (span.dated or to_end):
            return None
        end = self.until.end_s if to_end and self.until else span.last
        return end - span.first

    def apart(self, sound: int, at_end: bool) -> Fraction | None:
        """How much later a sound begins than the pictures, or its last packet than the last."""
        heard, seen = self.sounds[sound], self.pictures
        a, b = (heard.last, seen.last) if at_end else (heard.first, seen.first)
        return None if a is None or b is None or not (heard.dated and seen.dated) else a - b


def check_recording(
    before: Path,
    after: Path,
    decoded: int | None = None,
    properties: PictureProperties | None = None,
) -> Check:
    """Compare an output with its input.

    Args:   decoded: pictures that the input has, where all were decoded; a packet may be a field.
            properties: of the input's pictures; that of the output's is compared with it.
    Raises: InputError: one of them cannot be read.
    """
    old, new = _content(before), _content(after)
    differences = []
    if decoded is not None and new.pictures.packets != old.pictures.packets:
        old.pictures.packets = decoded
    if old.pictures.packets != new.pictures.packets:
        differences.append(f"{new.pictures.packets} pictures instead of {old.pictures.packets}")
    for kind in sorted({*old.tracks, *new.tracks}):
        a, b = old.tracks.get(kind, 0), new.tracks.get(kind, 0)
        if a != b:
            differences.append(f"{b} {kind} tracks instead of {a}")
    if old.chapters != new.chapters:
        differences.append(f"{new.chapters} chapters instead of {old.chapters}")
    # Each of two times may be rounded, in each of the files.
    slack = 2 * (old.tick + new.tick)
    to_end = old.until is not None and new.until is not None
    lasting = (old.duration(to_end=to_end), new.duration(to_end=to_end))
    rough = 2 * sum((one.until.tick_s for one in (old, new) if one.until), Fraction(0))
    words = ("less", "longer")
    differences += _late("the pictures last", *lasting, max(slack, rough), words)
    for sound in range(min(len(old.sounds), len(new.sounds))):
        name = f"sound {sound + 1} "
        if old.sounds[sound].codec != new.sounds[sound].codec:
            # It was converted, a note says so: other packets, but as long.
            lengths = (old.sounds[sound].lasting, new.sounds[sound].lasting)
            differences += _late(f"{name}lasts", *lengths, slack + FRAMES_OF_SOUND, words)
            continue
        heard = (old.sounds[sound].packets, new.sounds[sound].packets)
        if heard[0] != heard[1]:
            differences.append(f"{name}has {heard[1]} packets instead of {heard[0]}")
            continue
        for at_end, word in ((False, "begins"), (True, "ends")):
            apart = (old.apart(sound, at_end), new.apart(sound, at_end))
            differences += _late(f"{name}{word}", *apart, slack)
    shown = None if properties is None else PictureProperties.read(after)
    if properties is not None and shown is not None:
        differences += properties.lost_in(shown)
    return Check(
        same=not differences,
        differences=differences,
        pictures=(old.pictures.packets, new.pictures.packets),
        duration_s=(_seconds(lasting[0]), _seconds(lasting[1])),
        tracks=(sum(old.tracks.values()), sum(new.tracks.values())),
        sound_begins_s=(_apart(old, False), _apart(new, False)),
        sound_ends_s=(_apart(old, True), _apart(new, True)),
    )


def _content(path: Path) -> _Content:
    found = _Content()
    with open_recording(path) as recording:
        main = pictures_of(recording)
        kind = recording.format.name
        end = None if main is None else PicturesEnd(path, recording, main)
        found.chapters = len(recording.chapters())
        sounds: dict[int, _Span] = {}
        for stream in recording.streams:
            if is_made_by_the_file(stream):
                continue
            track = _kind(stream)
            found.tracks[track] = found.tracks.get(track, 0) + 1
            if stream.type == "audio":
                bare = " without a header" if lacks_header(stream, path) else ""
                sounds[stream.index] = _Span(codec=codec_of(stream) + bare)
        found.sounds = list(sounds.values())
        read = [recording.streams[index] for index in sounds]
        if main is not None:
            read.append(main)
        ticks = [exact(stream.time_base) or Fraction(0) for stream in read]
        found.tick = MATROSKA_TICK if "matroska" in kind else max(ticks, default=Fraction(0))
        packets, jumps = recording.demux(*read) if read else iter(()), TimeJumps.of(path, recording)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError):
                # Broken off: what was there is compared.
                break
            if packet is None:
                break
            jumps(packet)
            is_picture = packet.stream is main
            # Pictures that an mp4 says not to show are not in the output.
            if packet.size == 0 or (is_picture and packet.is_discard):
                continue
            if end is not None:
                end.see(packet)
            span = found.pictures if is_picture else sounds[packet.stream.index]
            start = None if packet.pts is None else packet.pts * packet.time_base
            span.add(start, (packet.duration or 0) * packet.time_base)
        found.until = None if end is None else end()
    return found


def _kind(stream: Stream) -> str:
    return "cover" if is_cover(stream) else "picture" if stream.type == "video" else stream.type


def _late(
    what: str,
    old: Fraction | None,
    new: Fraction | None,
    slack: Fraction,
    words: tuple[str, str] = ("earlier", "later"),
) -> list[str]:
    if old is None or new is None or abs(new - old) <= slack:
        return []
    word = words[new > old]
    return [f"{what} {abs(float(new - old)) * 1000:.1f} ms {word}"]


def _apart(content: _Content, at_end: bool) -> float | None:
    return _seconds(content.apart(0, at_end)) if content.sounds else None


def _seconds(time: Fraction | None) -> float | None:
    return None if time is None else round(float(time), 6)
