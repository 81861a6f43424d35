"""StreamChild: the process that encodes a call and sends it to a server, for `StreamSink`.

PyAV (18) opens and ends an output while it holds Python's global lock: in the program's own process
a server that does not answer would stop the whole call.

A line of JSON tells where to (`Settings`); a line "ready" answers it, or one that says why not.
Then messages follow: HEAD, and so many bytes: a picture (yuv420p), or sound (s16, stereo). The
address is in no list of processes, because it may hold a key.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from stream.media.stream_error import reason_of

HEAD = struct.Struct("<cqI")
"""Kind, time (in `CLOCK` or samples), bytes."""
PICTURE, SOUND = b"p", b"s"
READY = "ready"
CLOCK = Fraction(1, 90_000)
SOUND_RATE, SOUND_BITS = 48_000, 128_000
OPEN_S, WRITE_S = 10.0, 5.0
"""A server must answer within this time, and take what is sent."""
KEY_S = 2
"""Seconds between two key frames: who begins to watch waits for one."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is sent, and where to."""

    url: str
    format: str
    """FFmpeg's name of the container."""
    width: int
    height: int
    """Of every picture, px; even."""
    rate: float
    bit_rate: int
    sound: bool

    def line(self) -> bytes:
        """For the child."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Writer:
    """Encodes and sends. Raises: FFmpegError, OSError, ValueError: the server is not there."""

    def __init__(self, settings: Settings) -> None:
        self._size = settings.width, settings.height
        self._container = av.open(settings.url, "w", format=settings.format)
        rate = Fraction(settings.rate).limit_denominator(1001)
        video = self._container.add_stream("libx264", rate=rate)
        self._video: Any = video
        video.width, video.height = self._size
        video.pix_fmt, video.bit_rate = "yuv420p", settings.bit_rate
        context = video.codec_context
        context.time_base, context.gop_size = CLOCK, max(1, round(KEY_S * rate))
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries = context.color_trc = 1  # BT.709
        most = str(settings.bit_rate)
        video.options = {"preset": "veryfast", "tune": "zerolatency", "maxrate": most,
                         "bufsize": most}  # fmt: skip
        self._audio: Any = None
        if settings.sound:
            self._audio = self._container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
            self._audio.bit_rate = SOUND_BITS
        self._container.start_encoding()

    def picture(self, data: bytes, time: int) -> None:
        """Send a picture."""
        width, height = self._size
        planes = np.frombuffer(data, np.uint8).reshape(height * 3 // 2, width)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = time, CLOCK
        self._container.mux(self._video.encode(frame))

    def sound(self, data: bytes, time: int) -> None:
        """Send sound."""
        samples = np.frombuffer(data, np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, time, Fraction(1, SOUND_RATE)
        self._container.mux(self._audio.encode(frame))

    def close(self) -> None:
        """Send what the encoders hold, and the end."""
        for stream in (self._video, self._audio):
            if stream is not None:
                self._container.mux(stream.encode(None))
        self._container.close()


def main(messages: BinaryIO | None = None) -> int:
    """Send what comes, on standard input by default. Returns the exit status."""
    messages = messages or sys.stdin.buffer
    settings = Settings(**json.loads(messages.readline()))
    try:
        _limit(OPEN_S)
        writer = Writer(settings)
        print(READY, flush=True)
        while len(head := messages.read(HEAD.size)) == HEAD.size:
            kind, time, size = HEAD.unpack(head)
            data = messages.read(size)
            if len(data) < size:
                break
            _limit(WRITE_S)
            (writer.picture if kind == PICTURE else writer.sound)(data, time)
            _limit(0)
        _limit(WRITE_S)
        writer.close()
    except (FFmpegError, OSError, ValueError) as error:
        print(reason_of(error, settings.url.partition(":")[0]), flush=True)
        # Not the usual way: PyAV would end the output, which waits for the server again.
        os._exit(1)
    return 0


def _limit(seconds: float) -> None:
    """End this process after so long, whatever it is in; 0: no more."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
