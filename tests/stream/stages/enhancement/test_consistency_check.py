"""What contradicts the camera is not shown, what agrees with it is, and nothing flaps between."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np
import pytest

from engines.runtime import open_runtime
from stream.frame import Face, Frame, Image, Patch
from stream.image.resample import cut_square
from stream.stages.enhancement.consistency_check import (
    DOUBT,
    NONSENSE,
    SURE,
    ConsistencyCheck,
    difference,
)
from tests.pictures import hopper, scene_with_face

RATE = 25
BOX = (288, 148, 352, 212)
"""A headshot of 64 px around the middle of 640x360."""
SCALE = 4


def scene(noise: float = 0.0, seed: int = 0, portrait: Image | None = None) -> Image:
    return scene_with_face(32.0, (640, 360), noise=noise, seed=seed, portrait=portrait)


def enlarged(image: Image, dx: float = 0.0) -> Image:
    """A patch: what lies at the box, moved by dx px of the camera."""
    crop = cut_square(image, (BOX[0] - 8, BOX[1] - 8, BOX[2] + 8, BOX[3] + 8))
    large = cv2.resize(crop, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    move = np.array([[1.0, 0.0, dx * SCALE], [0.0, 1.0, 0.0]])
    moved = cv2.warpAffine(large, move, large.shape[1::-1], flags=cv2.INTER_LINEAR)
    edge = 8 * SCALE
    return np.ascontiguousarray(moved[edge:-edge, edge:-edge], np.uint8)


def stranger() -> Image:
    """Another face in the same place: mirrored, and lighter."""
    portrait = hopper()[:, ::-1].astype(np.float32)
    return scene(portrait=np.clip(255.0 - 0.8 * portrait, 0, 255).astype(np.uint8))


def shares(
    patches: Sequence[Image | None],
    camera: Image | None = None,
    check: ConsistencyCheck | None = None,
) -> list[float]:
    """How much of each patch, of weight 0.8, the check lets through."""
    check = check or ConsistencyCheck()
    image = scene(noise=4.0) if camera is None else camera
    shown = []
    for index, patch in enumerate(patches):
        box = np.array([304, 164, 336, 196], np.float32)
        face = Face(1, box, np.zeros((6, 2), np.float32), 0.9)
        if patch is not None:
            face = Face(1, box, face.keypoints, 0.9, patch=Patch(patch, BOX, SCALE, 0.8))
        (out,) = check(Frame(image, index, index, Fraction(1, RATE), 0, (face,))).faces
        shown.append(out.patch.weight / 0.8 if out.patch else 0.0)
    return shown


def test_a_patch_that_agrees_is_shown_as_it_is() -> None:
    assert set(shares([enlarged(scene())] * 30)) == {1.0}


@pytest.mark.parametrize("kind", ["stranger", "black", "noise", "two pixels aside"])
def test_nonsense_is_never_shown(kind: str) -> None:
    patch = {
        "stranger": enlarged(stranger()),
        "black": np.zeros((256, 256, 3), np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8),
        "two pixels aside": enlarged(scene(), 2.5),
    }[kind]
    assert set(shares([patch] * 10)) == {0.0}


def test_a_pixel_aside_fades_out_and_comes_back_when_it_has_been_good_for_a_while() -> None:
    good, bad = enlarged(scene()), enlarged(scene(), 1.0)
    assert difference(good, cut_square(scene(), BOX)) < SURE
    assert DOUBT < difference(bad, cut_square(scene(), BOX)) < NONSENSE
    shown = np.array(shares([good] * 10 + [bad] * 10 + [good] * 40))
    steps = np.diff(shown)
    assert shown[9] == 1.0
    assert shown[14] == 0.0
    assert shown[20:28].max() == 0.0
    assert shown[-1] == 1.0
    assert steps.min() >= -0.3
    assert steps.max() <= 0.1


def test_every_other_patch_in_doubt_is_no_reason_to_flap() -> None:
    good, bad = enlarged(scene()), enlarged(scene(), 1.0)
    shown = np.array(shares([good] * 5 + [bad, good] * 30))
    assert (np.diff(shown) <= 0.0).all()
    assert shown[-1] == 0.0


def test_faces_without_a_patch_pass_and_a_face_that_comes_back_starts_anew() -> None:
    bad, good = enlarged(stranger()), enlarged(scene())
    assert shares([None, None]) == [0.0, 0.0]
    shown = shares([bad] * 5 + [None] * (RATE + 3) + [good] * 3)
    assert shown[-1] == 1.0


def test_it_counts_what_it_holds_back_and_forgets_at_the_end() -> None:
    check = ConsistencyCheck()
    shares([enlarged(scene())] * 3 + [enlarged(stranger())] * 4, check=check)
    assert check.doubted == 4
    check.close()
    assert shares([enlarged(scene())], check=check) == [1.0]


@pytest.mark.parametrize("blind", ["blank", "dark"])
def test_a_picture_without_a_face_is_no_reason_to_divide_by_nothing(blind: str) -> None:
    camera = np.full((360, 640, 3), 0 if blind == "dark" else 200, np.uint8)
    assert shares([enlarged(camera)], camera) == [1.0]
    assert shares([enlarged(scene())], camera) == [0.0]


@pytest.mark.parametrize(
    ("scale", "face_px", "damage"),
    [(4, 24.0, 0.0), (4, 24.0, 9.0), (4, 40.0, 5.0), (8, 12.0, 0.0), (8, 12.0, 5.0)],
)
def test_real_patches_of_the_network_are_believed(
    scale: Literal[4, 8], face_px: float, damage: float
) -> None:
    image = scene_with_face(face_px, (640, 360), noise=damage)
    half = round(face_px)
    crop = cut_square(image, (320 - half, 180 - half, 320 + half, 180 + half))
    with open_runtime("onnxruntime-cpu", scale).runtime as runtime:
        patch = runtime.enhance(crop, None)
    assert difference(patch, crop) < SURE
    moved = np.ascontiguousarray(np.roll(patch, scale, axis=1))
    assert difference(moved, crop) > DOUBT
