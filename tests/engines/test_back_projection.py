"""A patch agrees with the camera, and keeps what the camera could not see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.back_projection import back_project, noise_level
from engines.contract import Image
from tests.pictures import enlarge, smooth_picture


def textured_crop(side: int = 96, seed: int = 4) -> Image:
    return smooth_picture(3.0, seed)[20 : 20 + side, 20 : 20 + side]


def test_back_projection_restores_colour_and_brightness() -> None:
    crop = textured_crop()
    shifted = np.clip(np.add(enlarge(crop, 4), (18, -12, 9)), 0, 255).astype(np.uint8)
    restored = cv2.resize(back_project(shifted, crop), (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(restored.astype(float) - crop).mean() < 1.0
    assert np.abs((restored.astype(float) - crop).mean((0, 1))).max() < 0.2


def with_noise(clean: Image, sigma: float = 3.0, seed: int = 5) -> Image:
    noise = np.random.default_rng(seed).standard_normal(clean.shape) * sigma
    return np.asarray(np.clip(np.rint(clean + noise), 0, 255), np.uint8)


def test_back_projection_does_not_bring_the_noise_back() -> None:
    clean = textured_crop()
    patch = enlarge(clean, 4)
    kept = back_project(patch, with_noise(clean), grain=0.0).astype(float) - patch
    assert float(np.sqrt(np.mean(kept**2))) < 0.25 * 3.0


def fine(image: Image) -> float:
    """Strength of what is finer than two pixels of the camera."""
    small = cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA).astype(np.float64)
    return float(np.std(small - cv2.GaussianBlur(small, (0, 0), 1.0)))


def test_a_patch_gets_the_grain_of_the_camera_and_of_this_very_frame() -> None:
    clean = smooth_picture(12.0)[20:116, 20:116]
    noisy, patch = with_noise(clean), enlarge(clean, 4)
    around = enlarge(noisy, 4)
    shown = back_project(patch, noisy)
    assert fine(patch) < 0.4 * fine(around)
    assert 0.6 * fine(around) < fine(shown) < 1.05 * fine(around)
    changes = [one.astype(float) - patch for one in (shown, around)]
    added, there = (one - cv2.GaussianBlur(one, (0, 0), 8.0) for one in changes)
    assert np.corrcoef(added.ravel(), there.ravel())[0, 1] > 0.9


def test_a_camera_without_noise_gives_no_grain() -> None:
    flat = np.full((96, 96, 3), 120, np.uint8)
    assert np.array_equal(back_project(enlarge(flat, 4), flat), enlarge(flat, 4))


def test_what_is_stronger_than_noise_is_no_grain() -> None:
    clean = smooth_picture(12.0)[20:116, 20:116]
    damaged = clean.copy()
    damaged[40:44, 40:44] += 60  # a block of a codec, which the network took out
    patch = enlarge(clean, 4)
    change = back_project(patch, damaged).astype(float) - back_project(patch, damaged, grain=0.0)
    assert np.abs(change).max() < 5.0


def test_back_projection_keeps_detail_above_the_camera_grid() -> None:
    crop = np.full((32, 32, 3), 100, np.uint8)
    rows, columns = np.indices((128, 128))
    detail = np.where((rows + columns) % 2 == 0, 140, 60).astype(np.uint8)
    patch = np.repeat(detail[..., None], 3, axis=2)
    assert np.array_equal(back_project(patch, crop), patch)


def test_back_projection_corrects_a_patch_that_contradicts_the_camera() -> None:
    crop = textured_crop()
    wrong = enlarge(textured_crop(seed=9), 4)
    result = cv2.resize(back_project(wrong, crop), (96, 96), interpolation=cv2.INTER_AREA)
    before = cv2.resize(wrong, (96, 96), interpolation=cv2.INTER_AREA)
    off = np.abs(result.astype(float) - crop).mean()
    assert off < 0.3 * np.abs(before.astype(float) - crop).mean()


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_noise_level_is_measured_and_bounded(sigma: float) -> None:
    rng = np.random.default_rng(6)
    flat = smooth_picture(12.0)[20:116, 20:116].astype(np.float32)
    noisy = (flat + rng.standard_normal(flat.shape) * sigma).astype(np.float32)
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.25)
    assert noise_level(np.zeros((16, 16, 3), np.float32)) == pytest.approx(0.5)
    assert noise_level(noisy * 20.0) == pytest.approx(4.0)
