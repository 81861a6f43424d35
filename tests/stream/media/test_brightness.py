"""Brightness: PQ is shown to the network as an ordinary picture, and what it changes goes back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from stream.frame import Face, Frame, Patch
from stream.media.brightness import PQ, coded, ordinary
from stream.media.colour import BT709, Colour, ToYuv
from stream.media.planes import Layout, planes_of
from stream.media.sinks.native import Native
from stream.media.video_format import VideoFormat

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)


def pq_level(nits: float) -> int:
    """SMPTE ST 2084, the way of its definition."""
    light = float((nits / 10_000) ** 0.1593017578125)
    ratio = (0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)
    return round(255 * float(ratio**78.84375))


def test_ordinary_pictures_stay_themselves() -> None:
    assert ordinary(LEVELS, BT709) is LEVELS
    assert np.array_equal(coded(LEVELS, BT709), LEVELS)


def test_grey_card_and_paper_look_as_usual() -> None:
    card, paper, sun = (pq_level(nits) for nits in (0.18 * 203, 203, 10_000))
    assert sun == 255
    shown = ordinary(LEVELS, PQ).reshape(256, 3)[:, 0]
    assert 95 <= shown[card] <= 125
    assert 170 <= shown[paper] <= 200
    assert shown[255] == 255
    assert np.all(np.diff(shown.astype(int)) >= 0)


def test_there_and_back() -> None:
    back = coded(ordinary(LEVELS, PQ), PQ)
    # Near white the curve is flat: several codes of PQ are one ordinary level.
    assert np.abs(back - LEVELS).max() < 3
    assert np.abs(back - LEVELS)[:12].max() <= 1.6


def test_a_change_is_as_bright_in_pq_as_it_looked() -> None:
    size, layout = (64, 48), Layout(10, 1, 1, 3)
    colour = Colour(matrix=9, primaries=9, transfer=PQ)
    grey, wanted = pq_level(60), pq_level(120)
    picture = np.full((48, 64, 3), grey, np.uint8)
    image = ordinary(picture, PQ)
    aim = image.copy()
    aim[16:32, 16:48] = ordinary(np.full((16, 32, 3), wanted, np.uint8), PQ)
    patch = Patch(image, (16, 16, 48, 32), 4)
    face = Face(1, np.zeros(4, np.float32), np.zeros((6, 2), np.float32), 1.0, patch=patch)
    native = ToYuv(size, colour, "yuv420p10le")(picture)
    before = [plane.copy() for plane in planes_of(native, layout)]
    frame = Frame(image, 0, 0, Fraction(1, 25), 0, faces=(face,), output=aim, native=native)
    video_format = VideoFormat(size, "yuv420p10le", colour, (9, 9, PQ, 1))
    made = Native(video_format, size, "yuv420p10le")(frame)
    luma = planes_of(made, layout)[0]
    truth = planes_of(ToYuv(size, colour, "yuv420p10le")(np.full_like(picture, wanted)), layout)[0]
    assert np.abs(luma[16:32, 16:48].astype(int) - truth[0, 0]).max() <= 5
    around = np.ones(luma.shape, bool)
    around[16:32, 16:48] = False
    assert np.array_equal(luma[around], before[0][around])
