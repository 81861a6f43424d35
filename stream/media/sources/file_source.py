"""FileSource: the pictures of a recording, upright and in RGB, with their times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self, TypeVar

import av
from av.codec import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from stream.errors import InputError
from stream.frame import Frame
from stream.media.announced_end import is_cut_off
from stream.media.deinterlacer import Deinterlacer
from stream.media.pictures_end import end_of
from stream.media.planar_image import UprightRgb
from stream.media.pyav import exact
from stream.media.sample_entry import completed, sides_in_entry
from stream.media.sources.kinds import FORMATS, is_still, open_as, refuse_encrypted
from stream.media.sources.picture_changes import Findings, PictureChanges
from stream.media.time_jumps import TimeJumps
from stream.media.video_format import (
    VideoFormat,
    plausible_rate,
    side_data_of,
    side_data_of_track,
)

MAX_PIXELS = 4096 * 4096
"""Of one picture. A crafted file of 200 KB can ask for gigabytes."""
Facts = TypeVar("Facts")
MAX_BARREN = 100_000
"""Packets in a row without a picture: an hour at 30 a second has lost what the rest needs."""
MAX_APART = 2**31 - 1
"""Ticks between two pictures; no mp4 can hold more."""
MAX_TIME_S = 3e8
"""Ten years: some recorders count from the day they were started, none from the epoch."""
LOST_END_S = 0.25
"""A recording that stops this much before its announced end has lost something."""


def open_recording(path: Path) -> InputContainer:
    """Open a media file, and never a playlist, a device or an address.

    Raises: InputError: it does not exist, is no file, cannot be read or is no recording.
    """
    if not os.path.exists(path):
        # Unlike `Path.exists` it takes a name that is too long for a name that does not exist.
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is not a file; give one recording, such as call.mp4")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes); record or copy it again")
        return open_as(path, FORMATS)
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied") from error
    except (FFmpegError, OSError, ValueError) as error:
        if is_still(path):
            raise InputError(
                f"{path} is a picture and no recording; give a file with video in it"
            ) from error
        raise InputError(
            f"{path} is not a recording that can be read: it is of another kind, damaged, or its "
            "end is missing; try to play it, or record or copy it again"
        ) from error


class FileSource:
    """A recording. A context manager; iterate once.

    Damaged pictures are passed on as far as they can be decoded, and a recording that ends early
    is read up to there; `note` says so afterwards.
    """

    live = False

    def __init__(self, path: Path, *, threads: int = 0, lazy: bool = False) -> None:
        """Open the recording and decode its first picture.

        Args:   threads: that decode, at most; 0 for as many as there are processors.
                lazy: pictures become RGB where they are read, see `LazyImage`.
        Raises: InputError: it cannot be opened, has no picture, or its pictures are too large.
        """
        self.path = path
        self.damaged = 0
        """Places in what was read so far that could not be decoded."""
        self.deinterlaced = 0
        """Pictures of two fields in it, which were made whole."""
        self.findings = Findings()
        """What was noticed of pictures and times so far."""
        self.broke_off = False
        """Whether reading ended with an error."""
        self.sides: dict[str, bytes] = {}
        """What lies beside the pictures, see `stream.media.video_format.side_data_of`."""
        self._last_pts: int | None = None
        self._frames_read = 0
        self._threads = threads
        self._container = self._open()
        try:
            self._stream = self._chosen()
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(f"no picture of {path} can be decoded; is it damaged?")
        except BaseException:
            self.close()
            raise
        self._first: av.VideoFrame | None = first
        self.video_format = self._video_format(first)
        """Of the pictures as they are coded."""
        self._rgb = UprightRgb(self.video_format, lazy)
        self.width, self.height = self.video_format.turn.turned(self.video_format.size)
        """Of the upright pictures, px."""
        self.time_base = exact(self._stream.time_base) or Fraction(1, 90_000)
        self.rate = plausible_rate(self._stream)
        self.frames_total = self._count_frames()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called again."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """The pictures in the order of their presentation, each with a later pts."""
        pictures = self.decoded()
        decoded = next(pictures, None)
        while decoded is not None:
            pts = self._pts(decoded)
            index, self._frames_read = self._frames_read, self._frames_read + 1
            following = next(pictures, None)
            if following is None:
                decoded.duration = self._last_duration(decoded.duration)
            yield Frame(
                image=self._rgb(decoded),
                index=index,
                pts=pts,
                time_base=self.time_base,
                captured_ns=time.monotonic_ns(),
                native=decoded,
            )
            decoded = following

    def decoded(self) -> Iterator[av.VideoFrame]:
        """The pictures as the decoder gives them; instead of iterating over the source."""
        first, self._first = self._first, None
        if first is not None:
            yield first
            yield from self._decoded

    @property
    def intact(self) -> int | None:
        """How many pictures were read, from the first to the last; None if some could not be."""
        whole = not (self.damaged or self.broke_off)
        return self._frames_read or None if whole else None

    def facts(self, describe: Callable[[InputContainer, VideoStream], Facts]) -> Facts:
        """What somebody wants to know of the open file."""
        return describe(self._container, self._stream)

    @property
    def losses(self) -> tuple[str, ...]:
        """What an output that is encoded anew does not have, a line each."""
        lines = list(self.findings.changes)
        if self.deinterlaced:
            lines.append(f"{self.deinterlaced} interlaced pictures were made whole (bwdif)")
        if self.video_format.unkept:
            lines.append("left out, no encoder writes it: " + ", ".join(self.video_format.unkept))
        return tuple(lines)

    @property
    def note(self) -> str | None:
        """What was wrong with the recording, one line; None when nothing was."""
        found = self.findings.wrong(1.0 / float(self.rate))
        if self._ended_early():
            total = f" of about {self.frames_total}" if self.frames_total else ""
            found.append(f"ends early: {self._frames_read}{total} frames could be read")
        if self.damaged:
            found.append(f"has {self.damaged} damaged places")
        return f"{self.path.name} " + " and ".join(found) if found else None

    def _open(self) -> InputContainer:
        return open_recording(self.path)

    def _chosen(self) -> VideoStream:
        stream = _video_stream(self._container, self.path)
        stream.codec_context.thread_count = self._threads
        return stream

    def _video_format(self, first: av.VideoFrame) -> VideoFormat:
        aspect = exact(self._stream.sample_aspect_ratio) or Fraction(1)
        sides = side_data_of(first) | side_data_of_track(self._stream, first.format.name)
        self.sides = completed(sides, sides_in_entry(self.path, self._stream.id))
        return VideoFormat.of(first, aspect, sides=self.sides)

    def _decode(self) -> Iterator[av.VideoFrame]:
        deinterlacer = Deinterlacer()
        for frame in self._coded():
            yield from deinterlacer(frame)
            self.deinterlaced = deinterlacer.count
        yield from deinterlacer.flush()

    def _coded(self) -> Iterator[av.VideoFrame]:
        """Every picture that can be decoded; a damaged packet costs only itself."""
        packets, barren = self._container.demux(self._stream), 0
        changes = PictureChanges(TimeJumps.of(self.path, self._container))
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError):
                self.broke_off = True
                packet = None
            if packet is not None:
                refuse_encrypted(self.path, packet)
                changes.read(packet)
            try:
                # None at the end: what is still inside the decoder comes out.
                frames = self._stream.decode(packet)
            except FFmpegError as error:
                if isinstance(error, EOFError):
                    return
                if isinstance(error, MemoryError):
                    raise
                self.damaged += 1
                frames = []
            barren = 0 if frames else barren + 1
            if barren > MAX_BARREN:
                raise InputError(f"{self.path} has {barren} packets in a row without a picture")
            for frame in frames:
                self.damaged += frame.is_corrupt
                changes.see(frame, self._stream)
                self.findings = changes.findings
                yield frame
            if packet is None or (packet.dts is None and packet.size == 0):
                # Of those that were cut off there may be no picture.
                self.damaged += changes.unseen
                return

    def _pts(self, frame: av.VideoFrame) -> int:
        """The picture's time; made up where it is missing, pushed where it goes back."""
        step = max(1, round(1 / (self.rate * self.time_base)))
        last = self._last_pts
        if frame.pts is None:
            pts = 0 if last is None else last + step
        else:
            pts = frame.pts if last is None else max(frame.pts, last + 1)
        apart = pts - (pts if last is None else last)
        if apart > MAX_APART or abs(pts * self.time_base) > MAX_TIME_S:
            seconds = float(pts * self.time_base)
            raise InputError(f"{self.path} has a picture at {seconds:.3g} s; its times are damaged")
        self._last_pts = pts
        return pts

    def _end_pts(self) -> int | None:
        """Where the pictures should end, in `time_base`, as far as the file says so."""
        if self.findings.joints:
            return None
        if self._stream.duration:
            return (self._stream.start_time or 0) + self._stream.duration
        only_pictures = all(stream is self._stream for stream in self._container.streams)
        # What it announces may be the end of a sound, but so much of it is not there.
        if self._container.duration and (only_pictures or self._is_cut_off()):
            end_us = (self._container.start_time or 0) + self._container.duration
            return round(Fraction(end_us, 1_000_000) / self.time_base)
        return None

    def _last_duration(self, said: int) -> int:
        """How long the last picture stays; packets say how long until the next one is decoded."""
        end = self._shown_until()
        if end is None or self._last_pts is None or end <= self._last_pts or self._ended_early():
            return said
        return min(end - self._last_pts, MAX_APART)

    def _shown_until(self) -> int | None:
        """The end of the last picture, in `time_base`, as far as the file says so."""
        with open_recording(self.path) as again:
            pictures = pictures_of(again)
            return None if pictures is None else end_of(self.path, again, pictures)

    def _is_cut_off(self) -> bool | None:
        """Whether the file has less than it announces; None where its size does not tell."""
        return is_cut_off(self.path)

    def _count_frames(self) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        if self._container.duration:
            return max(1, round(Fraction(self._container.duration, 1_000_000) * self.rate))
        return None

    def _ended_early(self) -> bool:
        if self.broke_off:
            return True
        end = self._end_pts()
        if end is None or self._last_pts is None:
            return False
        missing_s = float((end - self._last_pts) * self.time_base) - float(1 / self.rate)
        # A variable frame rate may hold the last picture for long: then no frame is missing.
        complete = self._stream.frames and self._frames_read >= self._stream.frames
        complete = complete or self._is_cut_off() is False
        return missing_s > LOST_END_S and not complete


def pictures_of(container: InputContainer) -> VideoStream | None:
    """The stream whose pictures are worked on: the first that moves and can be decoded, or else the
    first that moves; None without one."""
    moving = [one for one in container.streams.video if not is_cover(one)]
    decoded = (one for one in moving if one.codec_context is not None)
    return next(decoded, moving[0] if moving else None)


def is_cover(stream: Stream) -> bool:
    """Whether it is a single picture beside the recording, such as a cover."""
    return bool(stream.disposition & Disposition.attached_pic)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream of moving pictures, ready to decode."""
    stream = pictures_of(container)
    if stream is None:
        raise InputError(f"{path} has no moving pictures; give a recording with video in it")
    codec: CodecContext | None = stream.codec_context
    if codec is None:
        raise InputError(f"the pictures of {path} have an unknown format; convert it to H.264")
    if stream.width * stream.height > MAX_PIXELS:
        raise InputError(
            f"the pictures of {path} are {stream.width}x{stream.height}; make a smaller copy of "
            "it, at most 4096x4096"
        )
    # The decoder refuses pictures that turn out larger than the container announced.
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    stream.thread_type = "AUTO"
    return stream
