from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.frame import Floats, Image
from stream.image.headshot import cut_headshot, to_exemplar
from stream.stages.exemplars.quality import exposure, pose, sharpness
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, hopper


def portrait() -> Image:
    return to_exemplar(cut_headshot(hopper(), HOPPER_FACE_CENTER, round(2 * HOPPER_FACE_PX)))


def blurred(sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(portrait(), (0, 0), sigma), np.uint8)


def test_sharpness_falls_with_blur() -> None:
    values = [sharpness(portrait())] + [sharpness(blurred(sigma)) for sigma in (0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[2] < 0.75 * values[0]
    assert values[4] < 0.25 * values[0]


@pytest.mark.parametrize("sigma", [0.0, 2.0])
def test_noise_is_not_taken_for_sharpness(sigma: float) -> None:
    image = blurred(sigma) if sigma else portrait()
    grain = np.random.default_rng(0).normal(0.0, 8.0, image.shape)
    noisy = np.clip(image + grain, 0, 255).astype(np.uint8)
    assert sharpness(noisy) == pytest.approx(sharpness(image), rel=0.05)


def test_sharpness_does_not_depend_on_the_light() -> None:
    dim = (portrait() * 0.6).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(portrait()), rel=0.03)


def test_a_blank_picture_is_not_sharp() -> None:
    assert sharpness(np.full((256, 256, 3), 128, np.uint8)) == pytest.approx(0.0, abs=1e-4)


def test_exposure() -> None:
    good = exposure(portrait())
    assert 60 < good.mean < 200
    assert good.clipped < 0.02
    burnt = exposure(np.clip(portrait().astype(np.float32) * 3, 0, 255).astype(np.uint8))
    assert burnt.mean > good.mean
    assert burnt.clipped > 0.3
    assert exposure(np.zeros((256, 256, 3), np.uint8)).clipped == 1.0


FRONT: Floats = np.array(
    [[-50, 0], [50, 0], [0, 55], [0, 110], [-90, 20], [90, 20]], dtype=np.float32
)


def test_a_frontal_face_looks_into_the_camera() -> None:
    head = pose(FRONT + 300)
    assert (head.yaw, head.pitch, head.roll) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)


def test_turning_and_nodding_move_the_nose() -> None:
    turned, nodded = FRONT.copy(), FRONT.copy()
    turned[2, 0] += 30
    nodded[2, 1] += 20
    assert pose(turned).yaw == pytest.approx(0.3, abs=0.01)
    assert pose(nodded).pitch == pytest.approx(0.2, abs=0.01)


def test_tilt_and_distance_change_nothing_but_the_roll() -> None:
    turned = FRONT.copy()
    turned[2] += (30, 10)
    angle = 0.3
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = (0.2 * turned @ rotation + 77).astype(np.float32)
    before, after = pose(turned), pose(moved)
    assert after.roll == pytest.approx(before.roll + angle, abs=1e-4)
    assert (after.yaw, after.pitch) == pytest.approx((before.yaw, before.pitch), abs=1e-4)


def test_keypoints_that_fall_together_have_no_pose() -> None:
    head = pose(np.zeros((6, 2), np.float32))
    assert (head.yaw, head.pitch, head.roll) == (0.0, 0.0, 0.0)
