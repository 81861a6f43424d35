"""One crop with exemplars, as programs that measure enhance it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.aligned_enhancement import ROUNDS, enhanced
from stream.frame import Image
from tests.fakes import BicubicRuntime
from tests.pictures import hopper

HEAD = np.asarray(cv2.resize(np.ascontiguousarray(hopper()[40:440, 60:460]), (128, 128)), np.uint8)
CROP: Image = np.asarray(cv2.resize(HEAD, (32, 32), interpolation=cv2.INTER_AREA), np.uint8)


def test_exemplars_are_aligned_to_the_crop_and_then_to_what_was_made_of_it() -> None:
    with BicubicRuntime(4) as runtime:
        made = enhanced(runtime, CROP, [HEAD, np.roll(HEAD, 3, axis=1)])
        first, second = runtime.encoded
        assert made.shape == HEAD.shape
    assert ROUNDS == 2
    for aligned in (first, second):
        assert [one.shape for one in aligned] == [(128, 128, 4)] * 2
    moved = second[1][16:-16, 16:-16, :3].astype(int) - HEAD[16:-16, 16:-16]
    assert np.abs(moved).mean() < 0.4 * np.abs(np.roll(HEAD, 3, axis=1).astype(int) - HEAD).mean()


def test_none_are_none() -> None:
    with BicubicRuntime(4) as runtime:
        enhanced(runtime, CROP, [])
        assert runtime.encoded == []
        assert [features for _, features in runtime.enhanced] == [None]


def test_what_does_not_fit_is_refused() -> None:
    with BicubicRuntime(4) as runtime, pytest.raises(ValueError, match="sizes"):
        enhanced(runtime, CROP, [HEAD, HEAD[:120, :120]])
