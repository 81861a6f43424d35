"""FileSource: the pictures of a recording, upright and in RGB, with their times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.codec import CodecContext
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from stream.errors import InputError
from stream.frame import Frame
from stream.media.colour import to_rgb
from stream.media.form import Form

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,ivf"
)
"""What may be opened: containers. Not playlists, which make FFmpeg open files they name."""
MAX_PIXELS = 4096 * 4096
"""Of one picture. A crafted file of 200 KB can ask for gigabytes."""
LOST_END_S = 0.25
"""A recording that stops this much before its announced end has lost something."""


def open_recording(path: Path) -> InputContainer:
    """Open a media file, and never a playlist, a device or an address.

    Raises: InputError: it does not exist, is no file, cannot be read or is no recording.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is not a file; give one recording, such as call.mp4")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes); record or copy it again")
        return av.open(
            f"file:{path.absolute()}",
            mode="r",
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            # Titles in an old encoding are no reason to refuse a recording.
            metadata_errors="replace",
        )
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: permission denied") from error
    except (FFmpegError, OSError, ValueError) as error:
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

    def __init__(self, path: Path) -> None:
        """Open the recording and decode its first picture.

        Raises: InputError: it cannot be opened, has no picture, or its pictures are too large.
        """
        self.path = path
        self._last_pts: int | None = None
        self._frames_read = 0
        self._damaged = 0
        self._broke_off = False
        self._rgb = VideoReformatter()
        self._container = open_recording(path)
        try:
            self._stream = _video_stream(self._container, path)
            self._decoded = self._decode()
            first = next(self._decoded, None)
            if first is None:
                raise InputError(f"no picture of {path} can be decoded; is it damaged?")
        except BaseException:
            self._container.close()
            raise
        self._first: av.VideoFrame | None = first
        self.form = Form.of(first, self._stream.sample_aspect_ratio or Fraction(1))
        """Of the pictures as they are coded."""
        self.width, self.height = self.form.turn.turned(self.form.size)
        """Of the upright pictures, px."""
        self.time_base = self._stream.time_base or Fraction(1, 90_000)
        self.rate = _plausible_rate(self._stream)
        self.frames_total = self._count_frames()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. May be called again."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """The pictures in the order of their presentation, each with a later pts."""
        decoded = self._first
        self._first = None
        while decoded is not None:
            pts = self._pts(decoded)
            index, self._frames_read = self._frames_read, self._frames_read + 1
            following = next(self._decoded, None)
            if following is None:
                decoded.duration = self._last_duration(decoded.duration)
            rgb = to_rgb(self._rgb, decoded, self.form.colour, self.form.size)
            yield Frame(
                image=self.form.turn.apply(rgb),
                index=index,
                pts=pts,
                time_base=self.time_base,
                captured_ns=time.monotonic_ns(),
                native=decoded,
            )
            decoded = following

    @property
    def note(self) -> str | None:
        """What was wrong with the recording, one line; None when nothing was."""
        found = []
        if self._ended_early():
            total = f" of about {self.frames_total}" if self.frames_total else ""
            found.append(f"ends early: {self._frames_read}{total} frames could be read")
        if self._damaged:
            found.append(f"has {self._damaged} damaged places")
        return f"{self.path.name} " + " and ".join(found) if found else None

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Every picture that can be decoded; a damaged packet costs only itself."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError):
                self._broke_off = True
                packet = None
            try:
                # None at the end: what is still inside the decoder comes out.
                frames = self._stream.decode(packet)
            except FFmpegError as error:
                if isinstance(error, EOFError):
                    return
                self._damaged += 1
                frames = []
            for frame in frames:
                self._damaged += int(frame.is_corrupt)
                yield frame
            if packet is None or (packet.dts is None and packet.size == 0):
                return

    def _pts(self, frame: av.VideoFrame) -> int:
        """The picture's time; made up where it is missing, pushed where it goes back."""
        step = max(1, round(1 / (self.rate * self.time_base)))
        last = self._last_pts
        if frame.pts is None:
            pts = 0 if last is None else last + step
        else:
            pts = frame.pts if last is None else max(frame.pts, last + 1)
        self._last_pts = pts
        return pts

    def _end_pts(self) -> int | None:
        """Where the pictures should end, in `time_base`, as far as the file says so."""
        if self._stream.duration:
            return (self._stream.start_time or 0) + self._stream.duration
        only_pictures = all(stream is self._stream for stream in self._container.streams)
        if self._container.duration and only_pictures:
            end_us = (self._container.start_time or 0) + self._container.duration
            return round(Fraction(end_us, 1_000_000) / self.time_base)
        return None

    def _last_duration(self, said: int) -> int:
        """How long the last picture stays; packets say how long until the next one is decoded."""
        end = self._end_pts()
        if end is None or self._last_pts is None or end <= self._last_pts or self._ended_early():
            return said
        return end - self._last_pts

    def _count_frames(self) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        if self._container.duration:
            return max(1, round(Fraction(self._container.duration, 1_000_000) * self.rate))
        return None

    def _ended_early(self) -> bool:
        if self._broke_off:
            return True
        end = self._end_pts()
        if end is None or self._last_pts is None:
            return False
        missing_s = float((end - self._last_pts) * self.time_base) - float(1 / self.rate)
        # A variable frame rate may hold the last picture for long: then no frame is missing.
        complete = self._stream.frames and self._frames_read >= self._stream.frames
        return missing_s > LOST_END_S and not complete


def _plausible_rate(stream: VideoStream) -> Fraction:
    # Browsers write recordings that announce 1000 frames a second, or none.
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 1 <= rate <= 240:
            return rate
    return Fraction(25)


def pictures_of(container: InputContainer) -> VideoStream | None:
    """The stream whose pictures are worked on: the first that moves; None without one."""
    moving = (one for one in container.streams.video if not is_cover(one))
    return next(moving, None)


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
