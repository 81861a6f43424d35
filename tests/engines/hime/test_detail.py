"""The measure of fine detail: its limits are known without any network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.hime.detail import FACE, Detail, detail


def truth() -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = rng.normal(128, 40, (128, 128, 3)).clip(0, 255)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.8), np.uint8)


def test_the_truth_itself_is_sharp_right_and_coherent() -> None:
    for part in (1.0, FACE):
        found = detail(truth(), truth(), 4.0, part)
        assert found.sharpness == pytest.approx(1.0)
        assert found.right == pytest.approx(1.0)
        assert found.coherence == pytest.approx(1.0)


def test_what_the_camera_saw_has_no_fine_detail() -> None:
    small = cv2.resize(truth(), (32, 32), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)
    assert detail(enlarged, truth(), 4.0).sharpness < 0.05


def test_invented_detail_is_sharp_and_not_coherent() -> None:
    found = detail(np.ascontiguousarray(truth()[::-1]), truth(), 4.0)
    assert found.sharpness == pytest.approx(1.0, abs=0.1)
    assert abs(found.coherence) < 0.1


def test_half_the_truths_detail_is_half_right_and_fully_coherent() -> None:
    whole = truth().astype(np.float64)
    low = np.full_like(whole, whole.mean())
    found = detail(low + (whole - low) / 2, whole, 4.0)
    assert found.right == pytest.approx(0.5)
    assert found.sharpness == pytest.approx(0.25)
    assert found.coherence == pytest.approx(1.0)


def test_frequencies_that_the_camera_saw_do_not_count() -> None:
    at = np.arange(128) / 128
    slow = 128 + 60 * np.sin(2 * np.pi * 6 * at)  # 6 waves; the camera's 32 px show up to 16
    fast = 20 * np.sin(2 * np.pi * 40 * at)
    flat = np.zeros((128, 128, 3))
    a, b = (flat + x[None, :, None] for x in (slow + fast, slow * 0.5 + fast))
    found = detail(a, b, 4.0)
    assert found.coherence == pytest.approx(1.0, abs=0.01)
    assert found.sharpness == pytest.approx(1.0, abs=0.02)


def test_details_add_up_and_bad_calls_are_refused() -> None:
    one = detail(truth(), truth(), 4.0)
    assert one + Detail(0.0, one.truth, 0.0) == Detail(one.made, 2 * one.truth, one.common)
    with pytest.raises(ValueError, match="zoom must be at least 1"):
        detail(truth(), truth(), 0.5)
    with pytest.raises(ValueError, match="differ in size"):
        detail(truth(), truth()[:64], 4.0)
