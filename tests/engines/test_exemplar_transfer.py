"""What exemplars give to the network's picture: their colour, and the strength of their detail."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.alignment import Image
from engines.exemplar_transfer import FAITHFUL, OWN_RAISED, finished, raised, recoloured
from engines.hime.detail import detail
from tests.engines.test_alignment import picture, shrunk


def sure_of(picture: Image, level: int) -> Image:
    return np.dstack([picture, np.full(picture.shape[:2], level, np.uint8)])


def test_raised_detail_keeps_what_the_camera_saw() -> None:
    truth = picture()
    soft = np.asarray(cv2.GaussianBlur(truth, (0, 0), 1.0), np.uint8)
    more = raised(soft, 4, [sure_of(truth, 255)], 0.5)
    assert detail(more, truth, 4.0).sharpness > 1.5 * detail(soft, truth, 4.0).sharpness
    apart = np.abs(shrunk(more).astype(int) - shrunk(soft)).mean()
    assert apart < 1.0
    assert raised(soft, 4, [sure_of(truth, 255)], 0.0) is soft
    assert raised(soft, 4, [], 1.0) is soft
    assert np.array_equal(raised(soft, 4, [sure_of(truth, 0)], 1.0), soft)


def test_detail_is_raised_as_far_as_the_exemplars_have_more() -> None:
    truth = picture()
    soft, softer = (
        np.asarray(cv2.GaussianBlur(truth, (0, 0), sigma), np.uint8) for sigma in (1.0, 1.5)
    )
    gains = [
        detail(raised(soft, 4, [sure_of(one, 255)], 0.5), truth, 4.0).sharpness
        for one in (softer, soft, truth)
    ]
    assert gains[0] < gains[1] < gains[2]
    assert gains[0] == pytest.approx(detail(soft, truth, 4.0).sharpness, rel=0.1)
    unsure = raised(soft, 4, [sure_of(truth, 255), sure_of(softer, 0)], 0.5)
    assert detail(unsure, truth, 4.0).sharpness == pytest.approx(gains[2], rel=0.02)


def test_detail_that_no_exemplar_tells_of_is_raised_by_a_high_amount_alone() -> None:
    truth = picture()
    soft = np.asarray(cv2.GaussianBlur(truth, (0, 0), 1.0), np.uint8)
    for aligned in ([], [sure_of(truth, 0)]):
        assert np.array_equal(finished(soft, 4, aligned, FAITHFUL), soft)
        some, all_of_it = (finished(soft, 4, aligned, amount) for amount in (0.8, 1.0))
        sharpness = [detail(one, truth, 4.0).sharpness for one in (soft, some, all_of_it)]
        assert sharpness[0] < sharpness[1] < sharpness[2]
        # below what the factor squared would be: just above the camera's limit it begins softly
        assert 2.0 < sharpness[2] / sharpness[0] < (1 + OWN_RAISED) ** 2
        assert np.abs(shrunk(all_of_it).astype(int) - shrunk(soft)).mean() < 1.0
    known = np.array_equal(raised(soft, 4, [sure_of(truth, 255)], 1.0, OWN_RAISED),
                           raised(soft, 4, [sure_of(truth, 255)], 1.0))  # fmt: skip
    assert known, "exemplars that agree say how strong it is"


def luma(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def washed_out(image: Image) -> Image:
    """What a codec leaves of colour: hardly anything that is fine."""
    ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    ycc[..., 1:] = cv2.GaussianBlur(ycc[..., 1:], (0, 0), 12.0)
    return np.asarray(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), np.uint8)


def error(image: Image, truth: Image) -> float:
    return float(np.square(image.astype(float) - truth).mean())


@pytest.mark.parametrize("scale", [4, 8])
def test_colour_comes_from_the_exemplars_and_luma_stays(scale: int) -> None:
    truth = picture()
    pale = washed_out(truth)
    better = recoloured(pale, scale, [sure_of(truth, 255)])
    assert error(better, truth) < 0.3 * error(pale, truth)
    assert np.abs(luma(better).astype(int) - luma(pale)).mean() < 1.0


def test_colour_of_another_light_is_not_taken_over() -> None:
    truth = picture()
    warm = np.clip(truth + np.array([25, 0, -25]), 0, 255).astype(np.uint8)
    same = recoloured(truth, 4, [sure_of(warm, 255)])
    assert np.abs(same.astype(float) - truth).mean() < 3.0


def test_colour_of_what_does_not_agree_is_not_taken_over() -> None:
    pale = washed_out(picture())
    other = picture(seed=1)
    assert recoloured(pale, 4, [sure_of(other, 0)]) is pale
    assert recoloured(pale, 4, []) is pale
    good, both = (
        error(recoloured(pale, 4, exemplars), picture())
        for exemplars in (
            [sure_of(picture(), 255)],
            [sure_of(picture(), 255), sure_of(other, 0)],
        )
    )
    assert both == pytest.approx(good, rel=0.02)


def test_the_finished_picture_has_both() -> None:
    truth = picture()
    soft = washed_out(np.asarray(cv2.GaussianBlur(truth, (0, 0), 1.0), np.uint8))
    exemplars = [sure_of(truth, 255)]
    done = finished(soft, 4, exemplars, 0.5)
    assert np.array_equal(done, raised(recoloured(soft, 4, exemplars), 4, exemplars, 0.5))
    assert error(done, truth) < error(raised(soft, 4, exemplars, 0.5), truth)
    assert detail(done, truth, 4.0).sharpness > detail(soft, truth, 4.0).sharpness


def test_little_agreement_is_trusted_little() -> None:
    truth = picture()
    soft = washed_out(np.asarray(cv2.GaussianBlur(truth, (0, 0), 1.0), np.uint8))
    change = [
        np.abs(finished(soft, 4, [sure_of(truth, level)], 0.5).astype(int) - soft).mean()
        for level in (255, 110, 40, 0)
    ]
    assert change[0] >= change[1] > change[2] > change[3] == 0.0
