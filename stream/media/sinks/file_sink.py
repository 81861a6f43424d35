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
from functools import partial
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError, PatchWelcomeError
from av.packet import Packet
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from engines.files import LONGEST_NAME, discard, give_name, grows, part_path
from stream.errors import CloseupError, OutputError
from stream.frame import Frame, Image
from stream.media.colour import Colour, ToYuv, is_grey
from stream.media.decoding_times import last_packet
from stream.media.sinks.encoder import Encoder, Encoding, check_encoding, choose_encoder, holds
from stream.media.sinks.native import Native
from stream.media.sinks.provenance import Provenance
from stream.media.sinks.scheduling import usual_scheduling
from stream.media.stream_copy import StreamCopy
from stream.media.video_format import VideoFormat, scaled_matrix

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Extension → FFmpeg's name of the container."""


def check_output(
    path: Path, overwrite: bool, recording: Path | None = None, encoding: Encoding | None = None
) -> None:
    """Whether a recording can be written there, before any work is done.

    Args:   recording: the input, which must not be overwritten. encoding: as it will be written.
    Raises: OutputError: it exists, is the input, is no known container or one that cannot hold the
            codec, or its folder is missing.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(
            f"{path} has no ending that names a kind of recording; use {', '.join(FORMATS)}"
        )
    if encoding is not None and (wrong := check_encoding(encoding, kind)):
        raise OutputError(f"{path}: {wrong}")
    check_place(path, overwrite)
    if recording is not None and path.exists() and path.samefile(recording):
        raise OutputError(f"{path} is the input itself; give the output another name")


def check_place(path: Path, overwrite: bool) -> None:
    """Whether any file can be written there.

    Raises: OutputError: it exists, its folder is missing or closed to us.
    """
    folder = path.parent
    if (size := len(os.fsencode(path.name))) > LONGEST_NAME:
        raise OutputError(
            f"{path}: a name of {size} bytes is too long; {LONGEST_NAME} are possible"
        )
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; create it first")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; add --overwrite to replace it")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} is closed for writing; choose another one")


def muxer_options(kind: str, time_base: Fraction) -> dict[str, str]:
    """What makes a container of this kind (of `FORMATS`' values) keep times in `time_base`, and
    come out the same twice."""
    if kind == "matroska":
        # Otherwise file and tracks get names by chance.
        return {"fflags": "+bitexact"}
    # Otherwise the writer chooses a clock of its own, and rounds the start to 1 ms.
    clock = str(time_base.denominator)
    return {"video_track_timescale": clock, "movie_timescale": clock, "strict": "unofficial"}


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
    """Writes pictures with the times of the frames, and what accompanies them, into a recording."""

    name = "write"

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        rate: Fraction,
        time_base: Fraction,
        *,
        video_format: VideoFormat | None = None,
        encoding: Encoding | None = None,
        stream_copy: StreamCopy | None = None,
        provenance: Provenance | None = None,
        overwrite: bool = False,
    ) -> None:
        """Check that it can be written; nothing is written before the first frame.

        Args:   size: (width, height) px of the frames; an odd side loses its last line where the
                encoder has no odd ones.
                rate: frames per second on average, for the encoder's decisions only.
                time_base: of the frames' pts, seconds.
                video_format: of the recording that the frames come from: its pixel format, colours,
                orientation and pixel aspect are kept. Left out: yuv420p, BT.709, upright.
                encoding: how to encode; H.264 when left out.
                stream_copy: sound and titles; closed by the sink.
                provenance: what the file says when a face was enhanced.
        Raises: OutputError: see `check_output`, `choose_encoder`.
                ValueError: the size is below 2 px a side.
        """
        if min(size) < 2:
            raise ValueError(f"a recording of {size[0]}x{size[1]} px")
        encoding = encoding or Encoding()
        check_output(path, overwrite, encoding=encoding)
        self.path = path
        self._size = size
        self._kept = size
        """(width, height) px of the upright pictures that are written."""
        self._rate = rate
        self._time_base = time_base
        self._video_format = video_format or VideoFormat(size, "yuv420p", Colour(), _tags(Colour()))
        self._coded = self._video_format.turn.turned(size)
        self._stream_copy = stream_copy
        self._provenance = provenance
        self._enhanced = False
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._held: Packet[VideoStream] | None = None
        self._first: tuple[int, int] | None = None
        """dts and pts of the first packet."""
        self._sent_pts: int | None = None
        self._pictures = 0
        self._last_step = max(1, round(1 / (rate * time_base)))
        self._steps: dict[int, int] = {}
        """How long pictures are shown whose packets have not come yet, by their pts."""
        self.encoder: Encoder = choose_encoder(
            encoding, self._video_format.format, self._coded, self._video_format.light
        ).told(self._video_format, FORMATS[path.suffix.lower()])
        self._check_pixels()
        self._lines_left_out = not holds(self.encoder, self._coded)
        if self._lines_left_out:
            self._kept = (size[0] // 2 * 2, size[1] // 2 * 2)
            self._coded = self._video_format.turn.turned(self._kept)
        self._native = Native(self._video_format, self._kept, self.encoder.planar)
        self._to_yuv = ToYuv(self._coded, self._video_format.colour, self.encoder.planar)
        self._repack = VideoReformatter()
        self.packets_left_out = 0
        """Damaged packets of the copied streams that could not be written."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What did not go as asked for."""
        if not self._lines_left_out:
            return self.encoder.notes
        wide, high = self._kept
        line = f"{self.encoder.name} needs even sides here: {wide}x{high} of "
        return (*self.encoder.notes, line + f"{self._size[0]}x{self._size[1]} pixels are kept")

    def send(self, frame: Frame) -> None:
        """Write a frame's output, or the camera's picture where there is none.

        Of a frame that has its `native`, the parts that nothing changed are written as they are.

        Raises: OutputError: it cannot be written.
                ValueError: the picture has another size than announced.
        """
        image = frame.image if frame.output is None else frame.output
        if image.shape != (self._size[1], self._size[0], 3):
            raise ValueError(f"a picture {image.shape} for a recording of {self._size}")
        self._pictures += 1
        self._enhanced |= frame.enhanced > 0
        # the first picture opens the encoder
        with writing(self.path), usual_scheduling(watched=self._pictures == 1):
            container, stream = self._opened(frame)
            for packet in stream.encode(self._picture(frame, image, stream)):
                self._mux(container, packet)
            self._accompany(container, frame.time_s)

    def _check_pixels(self) -> None:
        """FFmpeg's Matroska has no place for the shape of pixels, and these codecs neither."""
        matroska = FORMATS[self.path.suffix.lower()] == "matroska"
        square = self._video_format.pixel_aspect in (None, 1)
        if matroska and not square and self.encoder.codec in ("av1", "vp9", "ffv1"):
            raise OutputError(
                f"{self.path}: {self.encoder.codec} in a .mkv file cannot say that pixels are not "
                "square, as those of the input; use --codec h264 or hevc"
            )

    def _picture(self, frame: Frame, image: Image, stream: VideoStream) -> av.VideoFrame:
        if frame.native is not None:
            # At a variable frame rate the last picture may stay for long.
            self._last_step = frame.native.duration or self._last_step
            picture = self._native(frame)
        else:
            upright = image[: self._kept[1], : self._kept[0]]
            picture = self._to_yuv(self._video_format.turn.undo(upright))
        if picture.format.name != self.encoder.format:
            picture = self._repack.reformat(picture, format=self.encoder.format)
        context = stream.codec_context
        picture.colorspace, picture.color_range = context.colorspace, context.color_range
        picture.color_primaries, picture.color_trc = context.color_primaries, context.color_trc
        picture.pts, picture.time_base = frame.pts, frame.time_base
        if self._sent_pts is not None:
            self._steps[self._sent_pts] = frame.pts - self._sent_pts
        self._sent_pts = frame.pts
        return picture

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
            if self._provenance is not None:
                self._provenance.finish(part_path(self.path), self.path, self._enhanced)
            give_name(part_path(self.path), self.path)
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
            discard(part_path(self.path))
            self._close_companion()

    def _opened(self, frame: Frame) -> tuple[OutputContainer, VideoStream]:
        if self._container is not None and self._stream is not None:
            return self._container, self._stream
        kind = FORMATS[self.path.suffix.lower()]
        options = {} if self._stream_copy is None else self._stream_copy.options(kind)
        options |= muxer_options(kind, self._time_base)
        grows(part_path(self.path))
        address = f"file:{part_path(self.path).absolute()}"
        container = av.open(address, mode="w", format=kind, options=options)
        self._container = container
        add_pictures = partial(self._add_pictures, container, frame.native is not None)
        if self._stream_copy is None:
            self._stream = add_pictures()
        else:
            self._stream = self._stream_copy.add_to(container, add_pictures)
        if self._provenance is not None:
            self._provenance.add_to(container.metadata)
        container.start_encoding()
        return container, self._stream

    def _add_pictures(self, container: OutputContainer, native: bool) -> VideoStream:
        video_format, encoder = self._video_format, self.encoder
        stream = container.add_stream(encoder.name, rate=self._rate)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.options = dict(encoder.options)
        context.thread_count = encoder.threads
        stream.width, stream.height = self._coded
        stream.pix_fmt = encoder.format
        context.time_base = self._time_base
        # What players assume of silent recordings depends on the size, and silent grey has full
        # range, until a decoder gives it as YUV: where either becomes another, they are told.
        kept = native and self._coded == video_format.size and encoder.planar == video_format.format
        kept = kept and not is_grey(video_format.format)
        tags = video_format.tags if kept else _tags(video_format.colour)
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = tags
        if video_format.pixel_aspect is not None:
            context.sample_aspect_ratio = video_format.pixel_aspect
        if encoder.tag is not None and container.format.name != "matroska":
            context.codec_tag = encoder.tag
        if video_format.stereo is not None and container.format.name == "matroska":
            stream.metadata["stereo_mode"] = video_format.stereo
        if video_format.display_matrix is not None:
            stream.set_display_matrix(
                scaled_matrix(video_format.display_matrix, video_format.size, self._coded)
            )
        return stream

    def _mux(self, container: OutputContainer, packet: Packet[VideoStream] | None) -> None:
        """Write the packet before this one, which lasts until the next picture is shown; None: it
        was the last."""
        held, self._held = self._held, packet
        if held is None or held.dts is None or held.pts is None:
            return
        if self._pictures <= 2:
            # Two pictures are in no other order than the one they came in. x265 learns its delay
            # from the third: without one it reads memory that nothing was written to.
            held.dts = held.pts
        self._first = self._first or (held.dts, held.pts)
        shown = held.duration = self._steps.pop(held.pts, self._last_step)
        if packet is None and self._sent_pts is not None:
            end = self._sent_pts + self._last_step
            last = last_packet(held.dts, held.pts, shown, self._first, end)
            held.dts, held.duration = last
        container.mux(held)

    def _accompany(self, container: OutputContainer, time_s: float) -> None:
        if self._stream_copy is not None:
            for packet in self._stream_copy.packets_until(time_s):
                try:
                    container.mux(packet)
                except (ArgumentError, InvalidDataError, PatchWelcomeError):
                    # The packet is damaged: the writer looks into it and refuses it.
                    self.packets_left_out += 1

    def _close_companion(self) -> None:
        if self._stream_copy is not None:
            self._stream_copy.close()


def _tags(colour: Colour) -> tuple[int, int, int, int]:
    return colour.matrix, colour.primaries, colour.transfer, colour.range_tag
