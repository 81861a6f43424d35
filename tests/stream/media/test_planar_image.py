"""PlanarImage: what is read of a picture is what it is as a whole."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stream.frame import Image
from stream.image.lazy_image import LazyImage, part_of
from stream.image.resample import cut_square, resample
from stream.media.planar_image import UprightRgb
from stream.media.planes import Layout, Samples, planes_of
from stream.media.video_format import Turn, VideoFormat
from stream.stages.tracking.blaze_face import fill

FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv440p", "gray", "yuv420p10le")
FORMATS_TOO = ("yuv444p12le", "gray10le")


def picture(size: tuple[int, int], name: str, smooth: float = 2.0) -> av.VideoFrame:
    """Smoothed noise in every plane."""
    made, layout = av.VideoFrame(*size, name), Layout.of(name)
    assert layout is not None
    generator = np.random.default_rng(3)
    for plane in planes_of(made, layout):
        noise = generator.uniform(-1.0, 1.0, plane.shape)
        level = 0.5 + smooth * cv2.GaussianBlur(noise, (0, 0), smooth)
        plane[...] = np.clip(level, 0.1, 0.9) * layout.most
    return made


def is_lazy(image: object) -> bool:
    """Whether it is made where it is read."""
    return isinstance(image, LazyImage)


def both(decoded: av.VideoFrame) -> tuple[Image, Image]:
    """As a whole, and as it is read."""
    video_format = VideoFormat.of(decoded, Fraction(1))
    return UprightRgb(video_format, False)(decoded), UprightRgb(video_format, True)(decoded)


@pytest.mark.parametrize("name", [*FORMATS, *FORMATS_TOO])
@pytest.mark.parametrize("size", [(640, 360), (642, 362), (194, 192)])
def test_what_is_read_is_exact_wherever_it_lies(name: str, size: tuple[int, int]) -> None:
    whole, lazy = both(picture(size, name))
    assert is_lazy(lazy)
    assert lazy.shape == whole.shape
    generator = np.random.default_rng(4)
    for _ in range(8):
        x0, y0 = generator.integers(0, size[0] - 4), generator.integers(0, size[1] - 4)
        x1, y1 = x0 + generator.integers(1, 90), y0 + generator.integers(1, 60)
        np.testing.assert_array_equal(lazy[y0:y1, x0:x1], whole[y0:y1, x0:x1])
        np.testing.assert_array_equal(lazy[y0:y1, x0:x1, 1], whole[y0:y1, x0:x1, 1])
    np.testing.assert_array_equal(np.asarray(lazy), whole)


def test_only_what_is_read_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    _, lazy = both(picture((640, 360), "yuv420p"))
    tiles: list[tuple[int, int]] = []
    before = UprightRgb.tile

    def counted(
        makes: UprightRgb,
        planes: list[Samples],
        name: str,
        layout: Layout,
        corner: tuple[int, int],
    ) -> Image:
        tiles.append(corner)
        return before(makes, planes, name, layout, corner)

    monkeypatch.setattr(UprightRgb, "tile", counted)
    monkeypatch.setattr(UprightRgb, "whole", None)
    for _ in range(2):
        assert lazy[10:50, 20:60].shape == (40, 40, 3)
    assert tiles == [(0, 0)]


def test_pieces_are_cut_as_of_an_array() -> None:
    whole, lazy = both(picture((640, 360), "yuv420p"))
    for box in ((10, 20, 90, 100), (-20, -10, 60, 70), (600, 330, 680, 410)):
        np.testing.assert_array_equal(cut_square(lazy, box), cut_square(whole, box))
    for rect, size in (
        ((0.0, 0.0, 640.0, 360.0), (1280, 720)),
        ((20.0, 20.0, 60.0, 60.0), (80, 80)),
        ((20.3, 20.1, 60.9, 60.2), (20, 20)),
    ):
        np.testing.assert_array_equal(resample(lazy, rect, size), resample(whole, rect, size))
    assert resample(lazy, (0.0, 0.0, 640.0, 360.0), (640, 360)) is lazy


@pytest.mark.parametrize("name", [*FORMATS, *FORMATS_TOO])
def test_a_detector_sees_the_same_without_the_whole_picture(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, lazy = both(picture((640, 360), name, smooth=12.0))
    monkeypatch.setattr(UprightRgb, "whole", None)
    monkeypatch.setattr(UprightRgb, "tile", None)
    for region in ((0, 0, 640, 360), (101, 51, 640, 360)):
        given, expected = (np.zeros((1, 192, 192, 3), np.float32) for _ in range(2))
        assert fill(given, part_of(lazy, region)) == fill(expected, part_of(whole, region))
        apart = 127.5 * (given - expected)
        assert np.sqrt(np.mean(apart**2)) < 2.0
        assert abs(apart.mean()) < 0.5
    green = np.asarray(lazy[::4, ::4, 1], np.float32) - whole[::4, ::4, 1]
    assert green.shape == (90, 160)
    assert np.sqrt(np.mean(green**2)) < 2.0


def test_pictures_that_are_turned_are_made_as_a_whole() -> None:
    decoded = picture((640, 360), "yuv420p")
    plain = VideoFormat.of(decoded, Fraction(1))
    turned = VideoFormat(
        plain.size, plain.format, plain.colour, plain.tags, turn=Turn(transpose=True)
    )
    assert not is_lazy(UprightRgb(turned, True)(decoded))
    assert UprightRgb(turned, True)(decoded).shape == (640, 360, 3)


def test_pictures_of_odd_sides_are_made_as_a_whole() -> None:
    assert not is_lazy(both(picture((641, 360), "yuv420p"))[1])
