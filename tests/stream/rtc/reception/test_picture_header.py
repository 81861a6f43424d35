"""Sizes and key frames read from pictures that encoders made."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.rtc.reception.picture_header import picture_size


def encoded(codec: str, size: tuple[int, int], options: dict[str, str]) -> list[bytes]:
    """A key frame, and one that is none."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base, encoder.options = "yuv420p", Fraction(1, 30), options
    packets = []
    for index in range(2):
        image = np.full((size[1], size[0], 3), 50 * index, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = index
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in packets + encoder.encode(None)]


@pytest.mark.parametrize("size", [(16, 16), (320, 240), (1280, 720), (4096, 2160)])
def test_sizes(size: tuple[int, int]) -> None:
    key, other = encoded("libvpx", size, {"deadline": "realtime", "cpu-used": "8"})
    assert picture_size("VP8", key) == size
    assert picture_size("VP8", other) is None
    for profile in ("baseline", "high"):
        options = {"preset": "ultrafast", "tune": "zerolatency", "profile": profile}
        key, other = encoded("libx264", size, options)
        found = picture_size("H264", key)
        assert found is not None
        assert all(0 <= one - wanted < 16 for one, wanted in zip(found, size, strict=True))
        assert picture_size("H264", other) is None


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_damaged_headers_raise_nothing(codec: str) -> None:
    name = {"VP8": "libvpx", "H264": "libx264"}[codec]
    key = encoded(name, (64, 64), {})[0]
    for length in range(min(len(key), 120)):
        picture_size(codec, key[:length])
        picture_size(codec, key[:length] + bytes(20))
        picture_size(codec, key[:length] + b"\xff" * 20)
