"""Whole-pixel cuts, and sampling of any rectangle at any size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.frame import Image
from stream.image.resample import _enlarge, _glide, aligned, cut_square, resample


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


def rects(number: int = 200) -> list[tuple[float, float, float, float]]:
    """Parts of a picture of 64x48, some of them at its edges."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(number):
        wide = rng.uniform(16.0, 60.0)
        room_x, room_y = 64.0 - wide, 48.0 - wide * 0.75
        x, y = (rng.choice([0.0, 1.0, rng.uniform()]) * room for room in (room_x, room_y))
        found.append((x, y, x + wide, y + wide * 0.75))
    return found


def test_aligned_moves_by_an_output_pixel_at_most_and_stays_inside() -> None:
    moved = []
    for rect in rects():
        near = aligned(rect, (640, 480), (64, 48))
        zoom = 640 / (rect[2] - rect[0])
        moved.append(np.abs(np.subtract(near, rect)).max() * zoom)
        assert near[2] - near[0] == pytest.approx(rect[2] - rect[0])
        assert near[3] - near[1] == pytest.approx(rect[3] - rect[1])
        assert min(near) >= 0.0
        assert near[2] <= 64.0 + 1e-9
        assert near[3] <= 48.0 + 1e-9
    assert max(moved) <= 1.0 + 1e-6
    assert np.median(moved) <= 0.5


def test_the_quick_enlargement_equals_the_slow_one() -> None:
    image, size = picture(), (640, 480)
    quick = 0
    for rect in rects():
        near = aligned(rect, size, (64, 48))
        shown = _enlarge(image, near, size)
        if shown is None:
            continue
        quick += 1
        step = (near[2] - near[0]) / 640
        move = np.array(
            [[step, 0.0, near[0] + step / 2 - 0.5], [0.0, step, near[1] + step / 2 - 0.5]]
        )
        slow = cv2.warpAffine(
            image, move, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        # warpAffine knows 32 places between two pixels, resize all of them.
        assert np.abs(shown.astype(int) - slow).max() <= 8
        assert np.abs(shown.astype(int) - slow).mean() < 0.6
    assert quick >= 190, "at the edge there is not always room"


def slow(image: Image, rect: tuple[float, float, float, float], size: tuple[int, int]) -> Image:
    step = (rect[2] - rect[0]) / size[0]
    move = np.array([[step, 0.0, rect[0] + step / 2 - 0.5], [0.0, step, rect[1] + step / 2 - 0.5]])
    sampled = cv2.warpAffine(
        image, move, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return np.asarray(sampled, image.dtype)


def test_between_pixels_the_quick_way_equals_the_slow_one() -> None:
    image, size = picture(), (640, 480)
    for rect in rects(60):
        shown = resample(image, rect, size)
        expected = slow(image, rect, size)
        assert np.abs(shown.astype(int) - expected).max() <= 8
        assert np.abs(shown.astype(int) - expected).mean() < 0.7


def test_a_rectangle_moves_by_parts_of_a_pixel_of_the_result() -> None:
    rows, columns = np.indices((48, 64))
    ramp = np.repeat((2 * columns + rows).astype(np.uint16)[..., None] * 100, 3, axis=2)
    before = resample(ramp, (10.0, 10.0, 42.0, 34.0), (128, 96)).astype(float)
    for part in (0.2, 0.5, 0.9):
        rect = (10.0 + part / 4, 10.0, 42.0 + part / 4, 34.0)
        assert _glide(ramp, rect, (128, 96)) is not None
        moved = resample(ramp, rect, (128, 96)).astype(float)
        assert float(np.mean(moved - before)) == pytest.approx(200 * part / 4, abs=0.5)


def test_what_is_not_aligned_is_left_to_the_slow_one() -> None:
    image = picture()
    assert _enlarge(image, (3.3, 2.2, 35.3, 26.2), (100, 75)) is None
    assert _enlarge(image, (-2.0, 0.0, 30.0, 24.0), (64, 48)) is None, "beyond the edge"
    assert _enlarge(image, (0.0, 0.0, 64.0, 48.0), (32, 24)) is None, "shrinks"


def test_an_enlarged_whole_is_written_where_it_is_wanted() -> None:
    """The plane of a larger picture: its rows lie further apart than they are long."""
    small = np.random.default_rng(5).integers(0, 256, (9, 12), np.uint8)
    place = np.zeros((18, 40), np.uint8)[:, :24]
    made = resample(small, (0.0, 0.0, 12.0, 9.0), (24, 18), into=place)
    assert made is place
    assert np.array_equal(place, resample(small, (0.0, 0.0, 12.0, 9.0), (24, 18)))


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
