"""Exemplars aligned in pixels: what is moved comes back, what differs is not believed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.alignment import (
    Guide,
    Image,
    SearchPicture,
    agrees,
    align,
    best_agreeing,
    confidence,
    search_picture,
    search_side,
    warp,
)
from engines.hime.detail import detail


def picture(seed: int = 0, side: int = 192) -> Image:
    """Structure of all sizes, as a face has."""
    rng = np.random.default_rng(seed)
    made = np.zeros((side, side, 3), np.float32)
    for sigma, level in ((24.0, 900.0), (8.0, 350.0), (3.0, 120.0), (1.2, 40.0)):
        made += level * cv2.GaussianBlur(
            rng.standard_normal((side, side, 3), dtype=np.float32), (0, 0), sigma
        )
    return np.asarray((made + 128).clip(0, 255), np.uint8)


def shrunk(image: Image, scale: int = 4) -> Image:
    side = image.shape[0] // scale
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def moved(image: Image, degrees: float, growth: float, x: float, y: float) -> Image:
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, growth)
    matrix[:, 2] += np.array([x, y])
    return np.asarray(
        cv2.warpAffine(
            image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        ),
        np.uint8,
    )


@pytest.mark.parametrize("scale", [4, 8])
def test_a_moved_exemplar_is_brought_back_with_its_detail(scale: int) -> None:
    truth = picture()
    exemplar = moved(truth, 4.0, 1.04, 5.0, -3.0)
    (aligned,) = align(shrunk(truth, scale), [exemplar])
    before, after = (detail(x, truth, scale) for x in (exemplar, aligned[..., :3]))
    assert before.coherence < 0.3
    assert after.coherence > 0.8 if scale == 4 else after.coherence > 0.5
    middle = slice(32, -32)
    assert aligned[middle, middle, 3].mean() > 200


def test_somebody_elses_exemplar_is_not_believed() -> None:
    (aligned,) = align(shrunk(picture(0)), [picture(1)])
    assert aligned[..., 3].mean() < 60


def test_another_light_is_no_reason_to_doubt() -> None:
    truth = picture()
    darker = np.asarray(truth * 0.8, np.uint8)
    (aligned,) = align(shrunk(truth), [darker])
    assert aligned[40:-40, 40:-40, 3].mean() > 150


def test_a_hand_in_the_exemplar_is_left_out_and_only_there() -> None:
    truth = picture()
    hand = truth.copy()
    hand[60:120, 60:120] = (200, 150, 130)
    (aligned,) = align(shrunk(truth), [hand])
    assert aligned[75:105, 75:105, 3].mean() < 60
    assert aligned[140:180, 20:160, 3].mean() > 180


def test_a_flow_may_start_from_an_earlier_one() -> None:
    truth = picture()
    exemplar = moved(truth, 0.0, 1.0, 22.0, 0.0)
    guide = Guide(shrunk(truth))
    start = np.zeros((guide.side, guide.side, 2), np.float32)
    start[..., 0] = 22.0 * guide.side / truth.shape[0]
    found = guide.flow(SearchPicture(exemplar, guide.cells), start)
    assert np.abs(found - start)[20:-20, 20:-20].mean() < 0.3


def test_parts_have_the_sizes_that_they_promise() -> None:
    crop = shrunk(picture())
    assert search_side(16) == 64
    assert search_side(48) == 112
    assert search_picture(picture(), 48, 96).shape == (96, 96)
    still = warp(picture(), np.zeros((96, 96, 2), np.float32))
    assert np.array_equal(still, picture())
    assert confidence(picture(), crop).shape == (48, 48)
    assert confidence(picture(), crop).min() > 0.95


def test_those_that_agree_best_come_first() -> None:
    truth = picture()
    near, far = moved(truth, 2.0, 1.0, 2.0, 1.0), picture(seed=3)
    half = np.where(np.arange(192)[:, None, None] < 96, near, far).astype(np.uint8)
    crop = shrunk(truth)
    first, second = best_agreeing(crop, [far, half, near], 2)
    assert first is near
    assert second is half
    assert best_agreeing(crop, [far], 2) == [far]
    scores = [agrees(one) for one in align(crop, [near, half, far])]
    assert scores[0] > scores[1] > scores[2]
    assert scores[0] > 0.8
    assert scores[2] < 0.05


@pytest.mark.parametrize(("cells", "patch"), [(16, 16), (32, 12), (48, 9), (64, 8), (96, 8)])
def test_patches_are_four_of_the_cameras_pixels(cells: int, patch: int) -> None:
    guide = Guide(np.zeros((cells, cells, 3), np.uint8))
    assert guide._finder.getPatchSize() == patch
    assert guide._finder.getPatchStride() == patch // 2


def test_what_the_network_made_is_half_of_the_guide() -> None:
    crop, made = np.full((32, 32, 3), 40, np.uint8), np.full((128, 128, 3), 200, np.uint8)
    assert (Guide(crop, made).grey == 120).all()
    assert (Guide(crop).grey == 40).all()
