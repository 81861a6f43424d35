from __future__ import annotations

import math

import numpy as np
import pytest

from stream.stages.tracking.blaze_face import FULL, SHORT, Geometry, decode, fill


@pytest.mark.parametrize(("geometry", "count"), [(SHORT, 896), (FULL, 2304)])
def test_anchors_cover_the_input(geometry: Geometry, count: int) -> None:
    anchors = geometry.anchors()
    assert anchors.shape == (count, 2)
    stride = geometry.grids[0][0]
    np.testing.assert_allclose(anchors[0], stride / 2)
    np.testing.assert_allclose(anchors.mean(axis=0), geometry.side / 2)
    # as many of one cell follow each other, then the next to the right
    each = geometry.grids[0][1]
    np.testing.assert_allclose(anchors[each] - anchors[0], (stride, 0))


def test_overlapping_candidates_become_their_weighted_mean() -> None:
    anchors = SHORT.anchors()
    raw = np.zeros((1, len(anchors), 16), np.float32)
    logits = np.full((1, len(anchors), 1), -9.0, np.float32)
    # the same face, seen from two anchors, once 4 px to the right; and one far away
    first, second, far = 100, 102, 700
    raw[0, :, 2:4] = 20.0
    raw[0, second, :2] = anchors[first] - anchors[second] + (4.0, 0.0)
    raw[0, first, 4:6] = (3.0, -2.0)
    logits[0, (first, second, far), 0] = 3.0, 1.0, 2.0
    faces, scores = decode(SHORT, anchors, raw, logits, 0.5)
    weights = 1.0 / (1.0 + np.exp([-3.0, -1.0, -2.0]))
    np.testing.assert_allclose(scores, weights[[0, 2]], rtol=1e-5)
    moved = 4.0 * weights[1] / weights[:2].sum()
    center = anchors[first] + (moved, 0.0)
    np.testing.assert_allclose(faces[0, 0], center - 10.0, rtol=1e-5)
    np.testing.assert_allclose(faces[0, 1], center + 10.0, rtol=1e-5)
    np.testing.assert_allclose(faces[1, :2], [anchors[far] - 10.0, anchors[far] + 10.0], rtol=1e-5)
    mixed = (weights[0] * (anchors[first] + (3.0, -2.0)) + weights[1] * anchors[second]) / (
        weights[0] + weights[1]
    )
    np.testing.assert_allclose(faces[0, 2], mixed, rtol=1e-5)
    assert decode(SHORT, anchors, raw, logits, 0.99)[0].shape == (0, 8, 2)


@pytest.mark.parametrize("size", [(64, 64), (720, 1280), (300, 200), (90, 160)])
def test_a_picture_lies_in_the_middle_of_the_input(size: tuple[int, int]) -> None:
    high, wide = size
    into = np.full((1, 128, 128, 3), 7.0, np.float32)
    picture = np.zeros((high, wide, 3), np.uint8)
    picture[:, wide // 2 :] = 255
    place = fill(into, picture)
    assert place.scale == max(size) / 128
    down, across = (side / place.scale for side in size)
    assert (place.top, place.left) == ((128 - down) / 2, (128 - across) / 2)
    row, column = math.ceil(place.top), 64
    inside = into[0, row : 128 - row - 1]
    np.testing.assert_allclose(inside[:, math.ceil(place.left) : column - 1], -1.0)
    last = math.floor(place.left + across) - 1
    np.testing.assert_allclose(inside[:, column + 1 : last], 1.0, atol=1e-6)
    assert into.min() == -1.0
    assert (into[0, : max(row - 1, 0)] == -1.0).all()
    assert (into[0, :, last + 2 :] == -1.0).all()


def test_a_pixel_of_the_input_is_the_pixel_of_the_picture_that_it_is_in_training() -> None:
    into = np.zeros((1, 128, 128, 3), np.float32)
    picture = np.zeros((640, 640, 3), np.uint8)
    picture[::5, ::5] = 255
    fill(into, picture)
    np.testing.assert_allclose(into, 1.0, atol=1e-6)
