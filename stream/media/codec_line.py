"""CodecLine: what a call does to a picture: a video encoder and its decoder, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal

import av
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter

from stream.frame import Image
from stream.image.resample import Size
from stream.media.colour import Colour, ToYuv, to_rgb

Codec = Literal["h264", "vp8"]
ENCODERS: dict[Codec, str] = {"h264": "libx264", "vp8": "libvpx"}
OPTIONS: dict[Codec, dict[str, str]] = {
    "h264": {"preset": "veryfast", "tune": "zerolatency", "g": "250"},
    "vp8": {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "g": "250"},
}
"""As calls use them: no frame waits for a later one, key frames are rare. With a positive
`cpu-used` libvpx would go by the clock; -6 is a fixed speed."""


class CodecLine:
    """Encoder and decoder back to back; the same pictures give the same result everywhere.

    Args: size: (width, height) px, both even. rate: frames a second. bit_rate: bits a second, which
          half a second of the picture never exceeds by much.
    """

    def __init__(self, size: Size, rate: Fraction, bit_rate: int, codec: Codec = "h264") -> None:
        encoder = av.CodecContext.create(ENCODERS[codec], "w")
        decoder = av.CodecContext.create(codec, "r")
        assert isinstance(encoder, VideoCodecContext)
        assert isinstance(decoder, VideoCodecContext)
        encoder.width, encoder.height = size
        encoder.pix_fmt = "yuv420p"
        encoder.framerate, encoder.time_base = rate, 1 / rate
        encoder.bit_rate = bit_rate
        # One thread: the same bits on every machine.
        encoder.thread_count = decoder.thread_count = 1
        bounds = {"maxrate": str(bit_rate), "bufsize": str(bit_rate // 2)}
        encoder.options = OPTIONS[codec] | bounds
        self._encoder, self._decoder = encoder, decoder
        self._time_base = 1 / rate
        self._to_yuv = ToYuv(size, Colour())
        self._rgb = VideoReformatter()

    def send(self, image: Image, index: int) -> Iterator[Image]:
        """Picture number `index` in; out what has arrived: none, one or more, in order."""
        frame = self._to_yuv(image)
        frame.pts, frame.time_base = index, self._time_base
        for packet in self._encoder.encode(frame):
            yield from self._decode(packet)

    def end(self) -> Iterator[Image]:
        """What is still on its way."""
        for packet in self._encoder.encode(None):
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: av.Packet[Any] | None) -> Iterator[Image]:
        for frame in self._decoder.decode(packet):
            yield to_rgb(self._rgb, frame, Colour(), (frame.width, frame.height))
