"""Whole-pixel cuts, and sampling of any rectangle at any size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.crop import cut_square, resample
from stream.frame import Image


def picture(width: int = 64, height: int = 48, seed: int = 0) -> Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.0), np.uint8)


@pytest.mark.parametrize(
    "box", [(3, 5, 19, 21), (-7, -3, 9, 13), (55, 40, 87, 72), (-90, -90, 150, 150)]
)
def test_cut_equals_a_cut_from_the_reflected_picture(box: tuple[int, int, int, int]) -> None:
    image = picture()
    far = 160
    wide = cv2.copyMakeBorder(image, far, far, far, far, cv2.BORDER_REFLECT_101)
    x0, y0, x1, y1 = box
    expected = wide[y0 + far : y1 + far, x0 + far : x1 + far]
    assert np.array_equal(cut_square(image, box), expected)


def test_cut_is_a_copy() -> None:
    image = picture()
    cut_square(image, (0, 0, 8, 8))[...] = 0
    assert image[:8, :8].any()


def test_cut_of_a_single_pixel_picture() -> None:
    assert cut_square(picture(1, 1), (-2, -2, 2, 2)).shape == (4, 4, 3)


def test_empty_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        cut_square(picture(), (4, 4, 4, 9))
    with pytest.raises(ValueError, match="nothing to show"):
        resample(picture(), (4.0, 4.0, 4.0, 9.0), (8, 8))


def test_resampling_the_whole_picture_at_its_size_is_the_picture() -> None:
    image = picture()
    assert resample(image, (0.0, 0.0, 64.0, 48.0), (64, 48)) is image


@pytest.mark.parametrize("zoom", [2, 3, 4])
def test_a_part_equals_the_same_part_of_the_whole(zoom: int) -> None:
    image = picture()
    whole = resample(image, (0.0, 0.0, 64.0, 48.0), (64 * zoom, 48 * zoom)).astype(int)
    part = resample(image, (16.0, 12.0, 48.0, 36.0), (32 * zoom, 24 * zoom))
    expected = whole[12 * zoom : 36 * zoom, 16 * zoom : 48 * zoom]
    assert np.abs(part - expected).max() <= 1


@pytest.mark.parametrize("shrink", [2, 3, 4])
def test_shrinking_averages_blocks_exactly(shrink: int) -> None:
    image = picture(96, 72)
    small = resample(image, (0.0, 0.0, 96.0, 72.0), (96 // shrink, 72 // shrink))
    blocks = image.reshape(72 // shrink, shrink, 96 // shrink, shrink, 3).mean((1, 3))
    assert np.abs(small - blocks).max() <= 1.0


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resample(stripes, (0.7, 0.0, 60.7, 60.0), (23, 23))
    assert abs(small[2:-2, 2:-2].astype(float) - 127.5).max() < 45.0
