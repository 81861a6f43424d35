from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from stream.stages.tracking.signature import face_signature, scene_signature, similarity
from tests.pictures import backdrop, hopper, scene_with_face


def test_noise_light_and_a_step_aside_do_not_change_the_scene() -> None:
    before = scene_signature(scene_with_face(120, noise=6))
    noisy = scene_signature(scene_with_face(120, at=(652, 362), noise=6, seed=1))
    dim = scene_signature((scene_with_face(120) * 0.6).astype(np.uint8))
    assert similarity(before, noisy) > 0.95
    assert similarity(before, dim) > 0.98


def test_another_scene_is_another_scene() -> None:
    room = scene_signature(scene_with_face(120))
    upside_down = scene_signature(np.ascontiguousarray(backdrop()[::-1]))
    assert similarity(room, upside_down) < 0.5


@pytest.mark.parametrize("width_px", [16, 40, 230])
def test_a_face_looks_like_itself_at_any_distance(width_px: int) -> None:
    near = face_signature(scene_with_face(200), (640.0, 360.0), 200)
    far = face_signature(scene_with_face(width_px, noise=4), (640.0, 360.0), width_px)
    assert similarity(near, far) > 0.9


def test_a_face_does_not_look_like_the_wall() -> None:
    image = scene_with_face(100)
    face = face_signature(image, (640.0, 360.0), 100)
    assert similarity(face, face_signature(image, (200.0, 400.0), 100)) < 0.65


def test_blank_pictures_are_alike_and_unlike_all_others() -> None:
    black = scene_signature(np.zeros((720, 1280, 3), np.uint8))
    grey = scene_signature(np.full((720, 1280, 3), 99, np.uint8))
    assert similarity(black, grey) == 1.0
    assert similarity(black, scene_signature(backdrop())) == 0.0


@pytest.mark.parametrize("shape", [(8, 8, 3), (20, 300, 3), (600, 512, 3)])
def test_any_size_has_a_look(shape: tuple[int, int, int]) -> None:
    image = np.resize(hopper(), shape).astype(np.uint8)
    assert scene_signature(image).shape == (576,)


@pytest.mark.parametrize("width_px", [14.0, 16.0])
def test_a_small_face_that_moves_by_parts_of_a_pixel_stays_itself(width_px: float) -> None:
    """With places rounded to whole pixels the least alike were 0.80 and 0.85."""
    seen = []
    for step in range(21):
        at = (640.0 + step / 10, 360.0 - step / 20)
        scene = scene_with_face(width_px, at=at, noise=2, seed=step)
        seen.append(face_signature(scene, at, width_px + 0.1 * (step % 2)))
    assert min(similarity(one, then) for one, then in pairwise(seen)) > 0.98


def test_a_face_that_reaches_out_of_the_picture_has_a_signature() -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    for center in ((3.0, 3.0), (159.5, 119.5), (-4.0, 60.0), (170.0, 60.0), (80.0, -90.0)):
        signature = face_signature(image, center, 60.0)
        assert float(np.linalg.norm(signature)) == pytest.approx(1.0, abs=1e-5)
