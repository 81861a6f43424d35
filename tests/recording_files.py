"""Small recordings that the tests make for themselves, and ways to look into one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from stream.frame import Image
from stream.media.sinks.encoder import Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams

VFR_PTS = (0, 3003, 6006, 7500, 15_000, 15_001, 24_024, 30_000, 45_045, 60_000)
"""In 1/90000 s: every gap another."""
CLOCK = Fraction(1, 90_000)


def picture(size: tuple[int, int] = (64, 48), step: int = 0) -> Image:
    """Red, green, blue and grey quarters (grey at the bottom right), brighter with `step`."""
    width, height = size
    image = np.full((height, width, 3), 128, np.uint8)
    image[: height // 2, : width // 2] = (200, 30, 30)
    image[: height // 2, width // 2 :] = (30, 180, 30)
    image[height // 2 :, : width // 2] = (30, 30, 210)
    return np.clip(image.astype(np.int16) + step, 0, 255).astype(np.uint8)


def write_recording(
    path: Path,
    *,
    pts: Sequence[int] = VFR_PTS,
    size: tuple[int, int] = (64, 48),
    sounds: int = 1,
    video: bool = True,
    turn: int | None = None,
    mirror: bool = False,
    pix_fmt: str = "yuv420p",
    matrix: int = 6,
    cover: bool = False,
    options: dict[str, str] | None = None,
) -> None:
    """A recording with a picture at each of `pts` (1/90000 s) and a second of each sound.

    Args: turn: degrees of the display matrix. cover: an attached picture comes before the video.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata["title"] = "A call"
        attached = _add_cover(container) if cover else None
        stream = container.add_stream("libx264", rate=25) if video else None
        tones = [container.add_stream("aac", rate=48_000, layout="mono") for _ in range(sounds)]
        if stream is not None:
            stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
            stream.codec_context.time_base = CLOCK
            stream.codec_context.options = {"preset": "ultrafast", "crf": "4"}
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 1
            if turn is not None or mirror:
                stream.set_display_rotation(turn or 0, hflip=mirror)
            for index, time in enumerate(pts):
                rgb = av.VideoFrame.from_ndarray(picture(size, index), format="rgb24")
                frame = rgb.reformat(
                    format=pix_fmt, dst_colorspace={1: 1, 6: 5}[matrix], dst_color_range=1
                )
                frame.pts, frame.time_base = time, CLOCK
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if attached is not None:
            cover_picture = av.VideoFrame.from_ndarray(picture((32, 32)), format="rgb24")
            cover_picture.pts = 0
            container.mux(attached.encode(cover_picture.reformat(format="yuvj420p")))
            container.mux(attached.encode(None))
        for number, tone in enumerate(tones):
            noise = np.random.default_rng(number).normal(0, 0.1, (47, 1, 1024)).astype(np.float32)
            for index, samples in enumerate(noise):
                sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                sound.sample_rate, sound.pts = 48_000, 1024 * index
                sound.time_base = Fraction(1, 48_000)
                container.mux(tone.encode(sound))
            container.mux(tone.encode(None))


def _add_cover(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
    stream.disposition = Disposition.attached_pic
    return stream


def rewrite(
    source: Path,
    target: Path,
    stream_copy: CopiedStreams | None = None,
    encoding: Encoding | None = None,
) -> FileSink:
    """A recording from source to sink with nothing in between.

    Args: stream_copy: what else the target gets; its pictures alone when left out.
    """
    with FileSource(source) as pictures:
        sink = FileSink(
            target,
            (pictures.width, pictures.height),
            pictures.rate,
            pictures.time_base,
            video_format=pictures.video_format,
            stream_copy=stream_copy,
            encoding=encoding,
        )
        for frame in pictures:
            sink.send(frame)
        sink.close()
    return sink


def packets_of(path: Path, kind: str) -> list[tuple[int, Fraction, bytes]]:
    """(stream number of that kind, time s, bytes) of each packet of "audio" or "subtitle"."""
    with av.open(str(path)) as container:
        streams: list[Stream] = [one for one in container.streams if one.type == kind]
        return [
            (streams.index(packet.stream), packet.pts * packet.time_base, bytes(packet))
            for packet in (container.demux(*streams) if streams else ())
            if packet.pts is not None
        ]


def times_of(path: Path) -> list[Fraction]:
    """The time of each picture of the first video stream, seconds."""
    with av.open(str(path)) as container:
        return [
            frame.pts * frame.time_base
            for frame in container.decode(container.streams.video[0])
            if frame.pts is not None and frame.time_base is not None
        ]
