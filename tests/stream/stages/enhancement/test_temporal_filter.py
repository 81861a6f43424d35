"""Patches that stand still where the scene does, and follow where it moves."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from stream.frame import Image
from stream.stages.enhancement.temporal_filter import TemporalFilter

SIDE, SCALE = 48, 4
BOX = (100, 60, 148, 108)


def texture(seed: int = 0, side: int = 400) -> Image:
    noise = np.random.default_rng(seed).standard_normal((side, side, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 4.0)
    return np.asarray(np.clip(128 + 40 * smooth / smooth.std(), 0, 255), np.uint8)


def piece(scene: Image, left: float, top: float) -> Image:
    """A patch that shows the scene from (left, top) on, px of the patch."""
    move = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    size = (SIDE * SCALE, SIDE * SCALE)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(scene, move, size, flags=flags), np.uint8)


def seen(image: Image) -> Image:
    """What the camera sends of it."""
    side = image.shape[0] // SCALE
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def filtered(
    temporal_filter: TemporalFilter, image: Image, box: tuple[int, int, int, int] = BOX
) -> Image:
    return temporal_filter(image, box, seen(image))


def noisy(image: Image, rng: np.random.Generator, sigma: float = 3.0) -> Image:
    return np.asarray(np.clip(np.rint(image + rng.normal(0, sigma, image.shape)), 0, 255), np.uint8)


def error(a: Image, b: Image) -> float:
    middle = slice(16, -16)
    return float(np.sqrt(np.mean((a[middle, middle].astype(float) - b[middle, middle]) ** 2)))


def test_noise_falls_where_nothing_moves() -> None:
    rng = np.random.default_rng(1)
    still, temporal_filter = piece(texture(), 50, 50), TemporalFilter()
    shown = [filtered(temporal_filter, noisy(still, rng), BOX) for _ in range(30)]
    last = np.stack(shown[10:]).astype(float)
    assert float(last.var(axis=0).mean()) < 0.35 * 9.0
    assert error(shown[-1], still) < 2.0


def test_what_stands_still_is_never_blurred() -> None:
    still, temporal_filter = piece(texture(), 50, 50), TemporalFilter()
    for _ in range(20):
        assert np.array_equal(filtered(temporal_filter, still, BOX), still)


def test_a_moving_scene_is_followed_and_still_loses_noise() -> None:
    rng = np.random.default_rng(2)
    scene, temporal_filter = texture(), TemporalFilter()
    errors = []
    for n in range(16):
        clean = piece(scene, 60 + 3.3 * n, 80 - 1.7 * n)
        errors.append(error(filtered(temporal_filter, noisy(clean, rng), BOX), clean))
    assert np.mean(errors[4:]) < 0.8 * errors[0]


def test_a_crop_that_moves_by_whole_pixels_is_the_same_scene() -> None:
    rng = np.random.default_rng(3)
    scene, temporal_filter = texture(), TemporalFilter()
    for n in range(10):
        box = (BOX[0] + 2 * n, BOX[1], BOX[2] + 2 * n, BOX[3])
        clean = piece(scene, 50 + 2 * SCALE * n, 50)
        shown = filtered(temporal_filter, noisy(clean, rng), box)
    assert error(shown, clean) < 2.0


def test_something_else_is_shown_at_once() -> None:
    one, other = piece(texture(), 50, 50), piece(texture(9), 50, 50)
    temporal_filter = TemporalFilter()
    filtered(temporal_filter, one, BOX)
    alone = error(filtered(temporal_filter, other, BOX), other)
    assert alone < 0.1 * error(one, other)


def test_what_the_camera_does_not_send_anew_comes_to_rest() -> None:
    rng = np.random.default_rng(5)
    still, temporal_filter = piece(texture(), 50, 50), TemporalFilter()
    crop = seen(still)
    shown = [temporal_filter(noisy(still, rng, 0.6), BOX, crop).astype(int) for _ in range(40)]
    changes = [np.mean(np.abs(b - a)) for a, b in pairwise(shown)]
    assert np.mean(changes[-10:]) < 0.3 * np.mean(changes[:3])
    assert error(shown[-1].astype(np.uint8), still) < 0.6


def test_a_part_that_rested_follows_what_the_camera_sends() -> None:
    temporal_filter = TemporalFilter()
    before = piece(texture(), 50, 50)
    after = before.copy()
    after[:, :96] = np.clip(after[:, :96].astype(int) + 5, 0, 255)
    for _ in range(40):
        filtered(temporal_filter, before)
    first = filtered(temporal_filter, after)
    assert error(first[:, 112:], before[:, 112:]) < 0.1
    for _ in range(6):
        last = filtered(temporal_filter, after)
    assert error(last[:, :80], after[:, :80]) < 1.5 < error(last[:, :80], before[:, :80])


def test_forgetting_another_size_and_a_jump_begin_anew() -> None:
    one, other = piece(texture(), 50, 50), noisy(piece(texture(), 50, 50), np.random.default_rng(4))
    temporal_filter = TemporalFilter()
    filtered(temporal_filter, one, BOX)
    temporal_filter.forget()
    assert np.array_equal(filtered(temporal_filter, other, BOX), other)
    far = (BOX[0] + 30, BOX[1], BOX[2] + 30, BOX[3])
    assert np.array_equal(filtered(temporal_filter, one, far), one)
    small = np.ascontiguousarray(other[:128, :128])
    assert np.array_equal(filtered(temporal_filter, small, (100, 60, 132, 92)), small)
