"""Exemplars that blur are dropped, those that sharpen stay, and nothing flaps between."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from stream.frame import Image
from stream.image.headshot import cut_headshot
from stream.stages.enhancement.exemplar_gate import (
    DETAIL_AGAIN,
    LEAST_DETAIL,
    RETRY_S,
    ExemplarGate,
    detail,
)
from tests.pictures import HOPPER_FACE_CENTER, hopper

FACE: Image = np.asarray(
    cv2.resize(cut_headshot(hopper(), HOPPER_FACE_CENTER, 384), (192, 192), interpolation=3),
    np.uint8,
)
SOFT: Image = np.asarray(cv2.GaussianBlur(FACE, (0, 0), 2.0), np.uint8)
RATE = 25


def with_detail(part: float) -> Image:
    """The face with so much of its fine detail."""
    low = cv2.GaussianBlur(FACE.astype(np.float32), (0, 0), 1.0)
    return np.clip(np.rint(low + part * (FACE - low)), 0, 255).astype(np.uint8)


class Sitting:
    """A gate with a clock; says how often the network ran twice."""

    def __init__(self) -> None:
        self.gate = ExemplarGate()
        self.now_s = 0.0
        self.twice = 0

    def show(
        self, with_them: Image, seconds: float, version: int = 1, side_px: float = 48.0
    ) -> list[float]:
        shares = []
        for _ in range(round(seconds * RATE)):
            self.gate.meet(version, side_px)
            if self.gate.is_due(self.now_s):
                self.gate.compare(with_them, FACE, 4, self.now_s)
                self.twice += 1
            shares.append(self.gate.fade(1 / RATE, shown=self.now_s > 0.0))
            self.now_s += 1 / RATE
        return shares


def test_detail_is_what_blur_takes_away() -> None:
    assert detail(FACE, 4) > 2.0 * detail(SOFT, 4)
    assert detail(np.full((64, 64, 3), 90, np.uint8), 8) == 0.0
    assert 0.5 < detail(with_detail(0.5), 4) / detail(FACE, 4) < 0.75


def test_good_ones_are_shown_from_the_first_frame_and_cost_one_trial() -> None:
    sitting = Sitting()
    assert set(sitting.show(with_detail(1.2), RETRY_S - 1.0)) == {1.0}
    assert sitting.twice == 1
    sitting.show(with_detail(1.2), RETRY_S)
    assert sitting.twice == 2


def test_blurred_ones_are_never_shown() -> None:
    assert set(Sitting().show(SOFT, 2.0 * RETRY_S)) == {0.0}


def test_what_gets_worse_fades_out_after_a_second_look() -> None:
    sitting = Sitting()
    sitting.show(FACE, 1.0)
    shares = np.array(sitting.show(SOFT, 2.0 * RETRY_S))
    assert shares[0] == 1.0
    assert shares[-1] == 0.0
    assert np.abs(np.diff(shares)).max() <= 0.081
    assert sitting.twice <= 4


def test_one_bad_frame_changes_nothing() -> None:
    sitting = Sitting()
    sitting.show(FACE, 1.0)
    sitting.now_s += RETRY_S
    assert sitting.gate.is_due(sitting.now_s)
    sitting.gate.compare(SOFT, FACE, 4, sitting.now_s)
    assert set(sitting.show(FACE, 5.0)) == {1.0}


def test_near_the_limit_it_does_not_flap() -> None:
    sitting, rng = Sitting(), np.random.default_rng(0)
    middle = 0.76
    assert LEAST_DETAIL < detail(with_detail(middle), 4) / detail(FACE, 4) < DETAIL_AGAIN
    shares = list(
        itertools.chain.from_iterable(
            sitting.show(with_detail(middle + rng.uniform(-0.02, 0.02)), 5.0) for _ in range(40)
        )
    )
    assert len(set(shares)) == 1


def test_new_ones_are_judged_at_once_and_come_softly() -> None:
    sitting = Sitting()
    sitting.show(SOFT, 1.0, version=1)
    shares = sitting.show(FACE, 1.0, version=2)
    assert sitting.twice == 2
    assert shares[0] == pytest.approx(0.08)
    assert shares[-1] == 1.0


def test_a_face_of_another_size_is_judged_anew() -> None:
    sitting = Sitting()
    assert set(sitting.show(SOFT, 2.0, side_px=170.0)) == {0.0}
    for side_px in (165.0, 140.0, 125.0):
        sitting.show(FACE, 0.5, side_px=side_px)
    assert sitting.twice == 1
    assert sitting.show(FACE, 1.0, side_px=80.0)[-1] == 1.0, "coarse for a near face alone"
    assert sitting.twice == 2


def test_a_clock_that_starts_again_does_not_put_the_next_trial_off() -> None:
    sitting = Sitting()
    sitting.now_s = 1000.0
    sitting.show(FACE, 1.0)
    sitting.now_s = 0.0
    assert sitting.gate.is_due(0.0)
