"""FileSink: writes pictures, with what accompanies them, into a recording.

Nothing appears under the output's name before it is complete: the file grows beside it as
`.<name>.part` and gets its name at the end.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError, PatchWelcomeError
from av.packet import Packet
from av.video.stream import VideoStream

from stream.errors import CloseupError, OutputError
from stream.frame import Frame
from stream.media.colour import Colour, ToYuv
from stream.media.companion import Companion

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Extension → FFmpeg's name of the container."""
CRF = 18
"""Constant quality of x264: next to no visible loss."""
PRESET = "veryfast"
"""Measured on two cores at 2560x1440, crf 18: superfast 25 fps, veryfast 20 fps with files less
than half as large, faster 10 fps without a further gain."""


def check_output(path: Path, overwrite: bool, recording: Path | None = None) -> None:
    """Whether a recording can be written there, before any work is done.

    Args:   recording: the input, which must not be overwritten.
    Raises: OutputError: it exists, is the input, is no known container, or its folder is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(
            f"{path} has no ending that names a kind of recording; use {', '.join(FORMATS)}"
        )
    check_place(path, overwrite)
    if recording is not None and path.exists() and path.samefile(recording):
        raise OutputError(f"{path} is the input itself; give the output another name")


def check_place(path: Path, overwrite: bool) -> None:
    """Whether any file can be written there.

    Raises: OutputError: it exists, its folder is missing or closed to us.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; create it first")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; add --overwrite to replace it")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} is closed for writing; choose another one")


def part_path(path: Path) -> Path:
    """Where a file grows until it is complete."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the system say while writing into one clear error.

    Raises: OutputError: `path` cannot be written.
    """
    try:
        yield
    except CloseupError:
        raise
    except (FFmpegError, OSError) as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(f"{path} cannot be written: {reason}") from error


class FileSink:
    """Writes H.264 with the times of the frames and a companion's sound into a recording."""

    name = "write"

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: Fraction,
        time_base: Fraction,
        *,
        colour: Colour | None = None,
        pixel_aspect: Fraction | None = None,
        companion: Companion | None = None,
        overwrite: bool = False,
    ) -> None:
        """Check that it can be written; nothing is written before the first frame.

        Args:   size: (width, height) px of the frames; an odd side loses its last line.
                rate: frames per second on average, for the encoder's decisions only.
                time_base: of the frames' pts, seconds.
                colour: how to store the pictures; BT.709, limited range, when left out.
                pixel_aspect: width of a pixel by its height.
                companion: sound and titles; closed by the sink.
        Raises: OutputError: see `check_output`.
                ValueError: the size is below 2 px a side.
        """
        if min(size) < 2:
            raise ValueError(f"a recording of {size[0]}x{size[1]} px")
        check_output(path, overwrite)
        self.path = path
        self._size = size
        self._even = (size[0] // 2 * 2, size[1] // 2 * 2)
        self._rate = rate
        self._time_base = time_base
        self._colour = colour or Colour()
        self._pixel_aspect = pixel_aspect
        self._companion = companion
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._held: Packet[VideoStream] | None = None
        self._first_dts: int | None = None
        self._first_pts: int | None = None
        self._last_pts: int | None = None
        self._to_yuv = ToYuv(self._even, self._colour)
        self.packets_left_out = 0
        """Damaged packets of the companion that could not be written."""

    def send(self, frame: Frame) -> None:
        """Write a frame's output, or the camera's picture where there is none.

        Raises: OutputError: it cannot be written.
                ValueError: the picture has another size than announced.
        """
        image = frame.image if frame.output is None else frame.output
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(f"a picture {image.shape} for a recording of {self._size}")
        with writing(self.path):
            container, stream = self._opened()
            picture = self._to_yuv(image[: self._even[1], : self._even[0]])
            picture.pts = frame.pts
            picture.time_base = frame.time_base
            for packet in stream.encode(picture):
                self._mux(container, packet)
            self._accompany(container, frame.time_s)

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises: OutputError: it cannot be written, or no frame came.
        """
        if self._container is None or self._stream is None:
            raise OutputError(f"{self.path} was not written: no picture came")
        with writing(self.path):
            for packet in self._stream.encode(None):
                self._mux(self._container, packet)
            self._mux(self._container, None)
            self._accompany(self._container, math.inf)
            self._container.close()
            self._container = None
            os.replace(part_path(self.path), self.path)
        self._close_companion()

    def abort(self) -> None:
        """Remove the half-written file. May be called again, also after `close` failed."""
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except (FFmpegError, OSError):
            # For example a full disk: the file goes anyway.
            pass
        finally:
            part_path(self.path).unlink(missing_ok=True)
            self._close_companion()

    def _opened(self) -> tuple[OutputContainer, VideoStream]:
        if self._container is not None and self._stream is not None:
            return self._container, self._stream
        kind = FORMATS[self.path.suffix.lower()]
        options = {}
        if kind != "matroska" and self._time_base.numerator == 1:
            # Otherwise the writer chooses a clock of its own, and rounds the start to 1 ms.
            clock = str(self._time_base.denominator)
            options = {"video_track_timescale": clock, "movie_timescale": clock}
        container = av.open(
            f"file:{part_path(self.path).absolute()}",
            mode="w",
            format=kind,
            options=options,
        )
        self._container = container
        stream = container.add_stream("libx264", rate=self._rate)
        stream.codec_context.options = {"preset": PRESET, "crf": str(CRF)}
        stream.width, stream.height = self._even
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = self._time_base
        stream.codec_context.colorspace = self._colour.matrix
        stream.codec_context.color_range = self._colour.range_tag
        stream.codec_context.color_primaries = self._colour.primaries
        stream.codec_context.color_trc = self._colour.transfer
        if self._pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = self._pixel_aspect
        self._stream = stream
        if self._companion is not None:
            self._companion.add_to(container)
        container.start_encoding()
        return container, stream

    def _mux(self, container: OutputContainer, packet: Packet[VideoStream] | None) -> None:
        """Write the packet before this one; None: it was the last.

        An mp4 lasts as long as its packets in the order of decoding, and ends there for some
        players. At a variable frame rate that is not where the last picture ends, unless the last
        packet makes up for it.
        """
        held, self._held = self._held, packet
        if held is None or held.dts is None or held.pts is None:
            return
        self._first_dts = held.dts if self._first_dts is None else self._first_dts
        self._first_pts = held.pts if self._first_pts is None else self._first_pts
        self._last_pts = max(held.pts, self._last_pts or held.pts)
        if packet is None:
            step = max(1, round(1 / (self._rate * self._time_base)))
            lasting = self._last_pts + step - self._first_pts
            held.duration = max(1, lasting - (held.dts - self._first_dts))
        container.mux(held)

    def _accompany(self, container: OutputContainer, time_s: float) -> None:
        if self._companion is not None:
            for packet in self._companion.packets_until(time_s):
                try:
                    container.mux(packet)
                except (ArgumentError, InvalidDataError, PatchWelcomeError):
                    # The packet is damaged: the writer looks into it and refuses it.
                    self.packets_left_out += 1

    def _close_companion(self) -> None:
        if self._companion is not None:
            self._companion.close()
