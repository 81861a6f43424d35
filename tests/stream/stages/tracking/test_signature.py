from __future__ import annotations

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
