"""On a slow network pictures become smaller, and only there."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import pytest

from stream.rtc.reception.fitted_encoder import FittedEncoder


class Encoder:
    """Stands for aiortc's."""

    def __init__(self, bits: int) -> None:
        self.target_bitrate = bits
        self.frames: list[tuple[av.VideoFrame, bool]] = []

    def encode(self, frame: av.VideoFrame, force_keyframe: bool = False) -> Any:
        self.frames.append((frame, force_keyframe))
        return [b"data"], 3

    def pack(self, packet: Any) -> Any:
        return [bytes(packet)], 5


def picture(size: tuple[int, int]) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    frame.pts, frame.time_base = 77, Fraction(1, 90_000)
    return frame


@pytest.mark.parametrize(
    ("size", "bits", "fitted"),
    [
        ((640, 480), 150_000, (320, 240)),
        ((640, 480), 200_000, (640, 480)),
        ((1280, 720), 150_000, (640, 360)),
        ((1280, 720), 100_000, (320, 180)),
        ((1920, 1080), 100_000, (480, 270)),
        ((322, 242), 1_000, (80, 60)),
        ((2, 2), 1, (2, 2)),
    ],
)
def test_pictures_are_halved_until_the_bits_are_enough(
    size: tuple[int, int], bits: int, fitted: tuple[int, int]
) -> None:
    inner = Encoder(bits)
    encoder = FittedEncoder(inner)
    frame = picture(size)
    assert encoder.encode(frame) == ([b"data"], 3)
    encoder.is_slow = True
    encoder.encode(frame, force_keyframe=True)
    (plain, _), (small, key) = inner.frames
    assert plain is frame
    assert key
    assert (small.width, small.height) == fitted
    assert (small.pts, small.time_base) == (77, Fraction(1, 90_000))


def test_the_rate_is_the_encoders_own_and_packets_pass() -> None:
    inner = Encoder(1)
    encoder = FittedEncoder(inner)
    encoder.target_bitrate = 7
    assert (inner.target_bitrate, encoder.target_bitrate) == (7, 7)
    assert encoder.pack(av.Packet(b"x")) == ([b"x"], 5)
