"""Detail that moves with the face, and gives way where the camera shows something else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.frame import Image
from stream.stages.enhancement.detail_carrier import DetailCarrier

SCALE, CELLS = 4, 64
SIDE = SCALE * CELLS
PLACE = (100, 60)


def scene(seed: int = 0) -> Image:
    """What is there, `SCALE` times as fine as the camera sees: blobs, and detail that it cannot."""
    rng = np.random.default_rng(seed)
    picture = np.full((900, 900, 3), 128.0)
    for blur, contrast in ((12.0, 40.0), (1.2, 12.0)):
        noise = cv2.GaussianBlur(rng.standard_normal(picture.shape), (0, 0), blur)
        picture += contrast * noise / noise.std()
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def piece(picture: Image, left: float, top: float) -> Image:
    """(SIDE, SIDE, 3) of a scene from (left, top) on, px of the scene."""
    where = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, where, (SIDE, SIDE), flags=flags), np.uint8)


def seen(image: Image, rng: np.random.Generator | None = None) -> Image:
    """What the camera sends of it, with noise."""
    small = cv2.resize(image, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(float)
    if rng is not None:
        small += rng.normal(0.0, 2.0, small.shape)
    return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)


def enlarged(crop: Image) -> Image:
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def error(one: Image, other: Image, edge: int = 32) -> float:
    middle = slice(edge, -edge)
    return float(np.abs(one.astype(float) - other)[middle, middle].mean())


@pytest.mark.parametrize("crop_moves", [False, True])
def test_detail_goes_where_the_face_has_gone(crop_moves: bool) -> None:
    rng, there = np.random.default_rng(1), scene()
    before = piece(there, 300.0, 300.0)
    carrier = DetailCarrier(before, seen(before, rng), PLACE)
    # the face has moved by 2.3 and 1.6 px of the camera; the crop not at all, or by 3 and 2
    dx, dy = (3, 2) if crop_moves else (0, 0)
    now = piece(there, 300.0 + SCALE * (dx - 2.3), 300.0 + SCALE * (dy - 1.6))
    crop = seen(now, rng)
    shown = carrier(crop, (PLACE[0] + dx, PLACE[1] + dy))
    assert shown is not None
    assert error(shown, now) < 0.5 * error(enlarged(crop), now)


def test_where_the_camera_shows_something_else_its_picture_is_shown() -> None:
    rng, there = np.random.default_rng(2), scene()
    before = piece(there, 300.0, 300.0)
    carrier = DetailCarrier(before, seen(before, rng), PLACE)
    now = before.copy()
    hand = slice(SIDE // 2, SIDE)
    now[hand, hand] = 255 - scene(3)[hand, hand]
    crop = seen(now, rng)
    shown = carrier(crop, PLACE)
    assert shown is not None
    inside = slice(SIDE // 2 + 24, SIDE - 24)
    covered = np.abs(shown.astype(float) - enlarged(crop))[inside, inside]
    assert covered.mean() < 3.0
    free = slice(24, SIDE // 2 - 24)
    assert error(shown[free, free], before[free, free], 4) < 0.5 * error(
        enlarged(crop)[free, free], before[free, free], 4
    )


def test_noise_and_damage_of_the_camera_take_nothing_away() -> None:
    rng = np.random.default_rng(4)
    before = piece(scene(), 300.0, 300.0)
    carrier = DetailCarrier(before, seen(before), PLACE)
    for _ in range(3):
        shown = carrier(seen(before, rng), PLACE)
        assert shown is not None
        assert error(shown, before) < 2.0


def test_another_size_or_a_jump_is_for_the_network() -> None:
    before = piece(scene(), 300.0, 300.0)
    carrier = DetailCarrier(before, seen(before), PLACE)
    smaller = np.ascontiguousarray(seen(before)[:48, :48])
    assert carrier(smaller, PLACE) is None
    assert carrier(seen(before), (PLACE[0] + CELLS // 3, PLACE[1])) is None
    assert carrier(seen(before), (PLACE[0] + 4, PLACE[1])) is not None
