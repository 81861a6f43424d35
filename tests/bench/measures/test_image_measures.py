"""What the bench measures in pictures: flicker, variance, seams, steepness, grain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bench.measures.image_measures import Motion, flat, grain, seam, steepness, temporal_variance
from stream.frame import Image


def texture(seed: int = 0, side: int = 96) -> Image:
    noise = np.random.default_rng(seed).standard_normal((side, side, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return np.asarray(np.clip(128 + 40 * smooth / smooth.std(), 0, 255), np.uint8)


def test_motion_is_no_flicker() -> None:
    wide = texture(side=120)
    before, now = wide[10:106, 10:106], wide[12:108, 7:103]
    zero = np.zeros(before.shape, np.float32)
    motion = Motion(before, now)
    assert motion.change(before.astype(np.float32), now.astype(np.float32)) < 3.0
    assert motion.change(zero, zero) == 0.0
    noise = np.random.default_rng(1).standard_normal(zero.shape).astype(np.float32)
    assert 3.0 < motion.change(zero, 4.0 * noise) < 5.0


def test_variance_with_time_is_that_of_the_noise() -> None:
    rng = np.random.default_rng(2)
    still = texture()
    noisy = [np.clip(still + rng.normal(0, 3, still.shape), 0, 255).round() for _ in range(40)]
    pictures = [one.astype(np.uint8) for one in noisy]
    assert temporal_variance(pictures) == pytest.approx(9.0, rel=0.1)
    assert temporal_variance([still, still]) == 0.0


def test_a_seam_is_an_edge_in_the_ring() -> None:
    truth = texture()
    stepped = truth.copy()
    stepped[:, 48:] = np.clip(stepped[:, 48:].astype(int) + 12, 0, 255)
    ring = np.zeros((96, 96), bool)
    ring[:, 40:56] = True
    assert seam(truth, truth, ring) == 0.0
    assert seam(stepped, truth, ring) > 1.0
    assert seam(stepped, truth, np.roll(ring, 30, axis=1)) < 0.5


def test_steepness_is_that_of_the_truths_edges() -> None:
    truth, whole = texture(2), np.ones((96, 96), np.bool_)
    soft = np.asarray(cv2.GaussianBlur(truth, (0, 0), 3.0), np.uint8)
    assert steepness(truth, truth, whole) == pytest.approx(1.0)
    measured = steepness(soft, truth, whole)
    assert measured is not None
    assert 0.2 < measured < 0.9
    assert steepness(soft, np.full_like(truth, 90), whole) is None


def test_grain_is_the_noise_of_flat_parts() -> None:
    truth = np.full((96, 96, 3), 120, np.uint8)
    truth[:, 40:] = 60
    calm = flat(truth)
    assert not calm[:, 38:42].any()
    assert calm[:, :30].all()
    assert grain(truth, calm) == pytest.approx(0.0, abs=1e-5)
    noise = np.random.default_rng(0).standard_normal((96, 96, 1)) * 3.0
    noisy = np.clip(np.rint(truth + noise), 0, 255).astype(np.uint8)
    measured = grain(noisy, calm)
    assert measured == pytest.approx(3.0, rel=0.1)
    assert grain(noisy, np.zeros((96, 96), np.bool_)) is None
    assert not flat(texture(1)).all()
