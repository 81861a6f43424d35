"""Corpus files: a small recording in every container, codec and pixel format that FFmpeg writes.

    python -m bench.corpus_files FOLDER --most 400

Combinations that FFmpeg does not write, or does not read back, are left out. The pictures change
smoothly from one to the next; each file has sound where the container takes any.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec import Codec
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from engines.errors import run_program
from engines.option_types import named_path, whole

CONTAINERS = {
    "nut": "nut", "matroska": "mkv", "avi": "avi", "mov": "mov", "mp4": "mp4", "mpegts": "ts",
    "mpeg": "mpg", "vob": "vob", "dvd": "vob", "flv": "flv", "f4v": "f4v", "asf": "asf",
    "ogg": "ogv", "webm": "webm", "ivf": "ivf", "3gp": "3gp", "3g2": "3g2", "mxf": "mxf",
    "mxf_d10": "mxf", "gxf": "gxf", "dv": "dv", "rm": "rm", "wtv": "wtv", "swf": "swf",
    "yuv4mpegpipe": "y4m", "gif": "gif", "apng": "apng", "h261": "h261", "h263": "h263",
    "h264": "h264", "hevc": "hevc", "obu": "obu", "m4v": "m4v", "mpeg1video": "m1v",
    "mpeg2video": "m2v", "mjpeg": "mjpeg", "mpjpeg": "mpjpeg", "smjpeg": "smjpeg", "ismv": "ismv",
    "psp": "psp", "ipod": "ipod.m4v", "amv": "amv", "roq": "roq", "film_cpk": "cpk",
    "filmstrip": "flm", "dnxhd": "dnxhd", "vc1test": "rcv", "avm2": "avm2.swf", "svcd": "svcd.mpg",
    "vcd": "vcd.mpg", "cavsvideo": "cavs", "dirac": "drc", "avif": "avif",
}  # fmt: skip
"""FFmpeg's name of a muxer → ending."""
UNUSABLE = ("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi", "_vulkan", "vnull", "a64multi")
"""Encoders that need hardware, or make no pictures."""
SIZES = {"dvvideo": (720, 576), "dnxhd": (1280, 720), "h261": (176, 144), "h263": (176, 144),
         "roqvideo": (128, 128), "amv": (176, 144), "xface": (48, 48),
         "cfhd": (320, 240)}  # fmt: skip
SIZE = (160, 128)
SOUNDS = ("aac", "libmp3lame", "mp2", "pcm_s16le", "pcm_s16be", "pcm_mulaw", "flac", "libopus",
          "libopencore_amrnb", "adpcm_swf", "real_144", "adpcm_ima_amv", "roq_dpcm")  # fmt: skip
PICTURES, RATE = 8, 25
FORMATS_EACH = 3
RATE_HZ = {"libopencore_amrnb": 8000, "pcm_mulaw": 8000, "libopus": 48_000, "real_144": 8000,
           "roq_dpcm": 22_050, "adpcm_ima_amv": 22_050}  # fmt: skip


def encoders() -> list[str]:
    """Of pictures, in a fixed order."""
    found = []
    for name in sorted(av.codecs_available):
        try:
            codec = Codec(name, "w")
        except (FFmpegError, ValueError):
            continue
        if codec.type == "video" and not name.endswith(UNUSABLE) and codec.video_formats:
            found.append(name)
    return found


def combinations() -> Iterator[tuple[str, str, str]]:
    """(container, encoder, pixel format), each container in turn, so that few are of all kinds."""
    columns = []
    for container in CONTAINERS:
        column = []
        for codec in encoders():
            known = Codec(codec, "w").video_formats or ()
            column += [(container, codec, one.name) for one in known[:FORMATS_EACH]]
        columns.append(column)
    for row in zip_longest(*columns):
        yield from (one for one in row if one is not None)


def write(path: Path, container: str, codec: str, pixels: str) -> None:
    """Write one.

    Args:   container, codec, pixels: FFmpeg's names.
    Raises: FFmpegError, ValueError, OSError: FFmpeg does not write it.
    """
    with av.open(str(path), "w", format=container) as output:
        width, height = SIZES.get(codec, (720, 576) if container == "mxf_d10" else SIZE)
        pictures = output.add_stream(codec, rate=RATE)
        assert isinstance(pictures, VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = width, height, pixels
        if codec == "dnxhd":
            pictures.bit_rate = 60_000_000
        sound = _sound(output)
        x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
        for number in range(PICTURES):
            image = np.stack([x, y, 0 * x + 16 * number], -1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(pictures.encode(frame))
            if sound is not None:
                output.mux(sound.encode(_tone(sound, number)))
        output.mux(pictures.encode(None))
        if sound is not None:
            output.mux(sound.encode(None))


def _sound(output: OutputContainer) -> AudioStream | None:
    for codec in SOUNDS:
        try:
            stream = output.add_stream(codec, rate=RATE_HZ.get(codec, 44_100), layout="mono")
        except (FFmpegError, ValueError):
            continue
        assert isinstance(stream, AudioStream)
        return stream
    return None


def _tone(sound: AudioStream, number: int) -> av.AudioFrame:
    step = sound.rate // RATE
    times = (np.arange(step) + number * step) / sound.rate
    wave = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
    frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
    frame.pts = number * step
    return frame


def reads_back(path: Path) -> bool:
    """Whether FFmpeg gives a picture of it."""
    try:
        with av.open(str(path)) as container:
            return any(True for _ in container.decode(video=0))
    except (FFmpegError, OSError, ValueError, IndexError):
        return False


def main() -> int:
    """Write them, print how many. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.corpus_files", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=named_path)
    parser.add_argument("--most", type=whole(1), default=400, help="so many files (400)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    av.logging.set_level(None)
    written = 0
    for container, codec, pixels in combinations():
        if written >= given.most:
            break
        path = given.folder / f"{container}-{codec}-{pixels}.{CONTAINERS[container]}"
        try:
            write(path, container, codec, pixels)
            readable = reads_back(path)
        except (FFmpegError, ValueError, OSError, RuntimeError):
            readable = False
        if readable:
            written += 1
        else:
            path.unlink(missing_ok=True)
    print(f"{written} recordings in {given.folder}")
    return 0


if __name__ == "__main__":
    run_program(main)
