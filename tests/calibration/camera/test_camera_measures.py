"""Timing, noise and blur, each on what is known exactly."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from calibration.camera.blur import PIXEL_BLUR_PX, added_px, blur_px
from calibration.camera.noise import NoiseMeter
from calibration.camera.timing import rhythm, settling_s
from stream.frame import Image
from tests.pictures import backdrop


def test_gaps_are_no_jitter() -> None:
    times = [index / 30 for index in range(60) if index not in (20, 40)]
    found = rhythm(times, repeated=3)
    assert found is not None
    assert found.interval_ms == pytest.approx(1000 / 30)
    assert found.jitter_ms == pytest.approx(0.0, abs=1e-6)
    assert found.gaps == pytest.approx(2 / 57)
    assert found.repeated == pytest.approx(3 / 58)
    assert rhythm(times[:5]) is None


@pytest.mark.parametrize("lag_s", [0.3, 0.8, 1.5])
@pytest.mark.parametrize("way", [60.0, -60.0])
def test_the_exposure_settles_when_nine_tenths_are_done(lag_s: float, way: float) -> None:
    rng = np.random.default_rng(0)
    times = [index / 30 for index in range(150)]
    levels = [
        120.0 + (way * math.exp(-(t - 1.0) * math.log(10.0) / lag_s) if t >= 1.0 else 0.0)
        for t in times
    ]
    noisy = [level + float(one) for level, one in zip(levels, rng.normal(0, 0.3, 150), strict=True)]
    (found,) = settling_s(times, noisy)
    assert found == pytest.approx(lag_s, rel=0.1, abs=1 / 30)


def test_light_that_changes_for_good_or_slowly_is_no_settling() -> None:
    times = [index / 30 for index in range(120)]
    assert settling_s(times, [120.0 if t < 2 else 60.0 for t in times]) == []
    assert settling_s(times, [120.0 + 10.0 * math.sin(t) for t in times]) == []


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5, 2.5, 4.0])
def test_blur_of_edges(sigma: float) -> None:
    blurred = np.asarray(cv2.GaussianBlur(backdrop(), (0, 0), sigma), np.uint8)
    found = blur_px(blurred)
    assert found is not None
    assert added_px(found) == pytest.approx(sigma, rel=0.1)


def test_a_sharp_picture_has_the_blur_of_its_pixels_and_a_blank_one_none() -> None:
    assert blur_px(backdrop()) == pytest.approx(PIXEL_BLUR_PX, abs=0.1)
    assert blur_px(np.full((200, 200, 3), 90, np.uint8)) is None
    assert blur_px(np.full((8, 8, 3), 90, np.uint8)) is None


def noisy(scene: Image, sigma: float, smooth_px: float, rng: np.random.Generator) -> Image:
    grain = rng.standard_normal(scene.shape)
    if smooth_px:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), smooth_px))
    seen = np.clip(np.rint(scene + sigma * grain / grain.std()), 0, 255)
    return np.asarray(seen, np.uint8)


@pytest.mark.parametrize("smooth_px", [0.0, 0.7])
def test_noise_beside_somebody_who_moves(smooth_px: float) -> None:
    # Smoothed noise is what cameras leave; from pixel to pixel it hardly shows.
    rng = np.random.default_rng(0)
    meter = NoiseMeter()
    wall, moving = backdrop((640, 360)).copy(), rng.integers(0, 256, (120, 700, 3), np.uint8)
    frames = []
    for index in range(12):
        wall[120:240, 200:400] = moving[:, 5 * index : 5 * index + 200]
        frames.append(noisy(wall, 2.5, smooth_px, rng))
    for before, now in itertools.pairwise(frames):
        meter.add(before, now)
    found = meter.measure()
    assert found is not None
    assert (found.dark, found.bright) == pytest.approx((2.5, 2.5), rel=0.1)


def test_noise_that_is_frozen_shows_from_pixel_to_pixel() -> None:
    rng = np.random.default_rng(0)
    still = noisy(backdrop((640, 360)), 2.5, 0.0, rng)
    meter = NoiseMeter()
    for _ in range(4):
        meter.add(still, still.copy())
    found = meter.measure()
    assert found is not None
    assert found.frozen == 1.0
    assert (found.dark, found.bright) == pytest.approx((2.5, 2.5), rel=0.1)


def test_too_little_is_no_measurement() -> None:
    meter = NoiseMeter()
    meter.add(backdrop((640, 360)), backdrop((640, 360)))
    assert meter.measure() is None
    meter.add(backdrop((320, 180)), backdrop((640, 360)))
    assert meter.measure() is None
