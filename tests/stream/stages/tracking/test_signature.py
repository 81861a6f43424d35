from __future__ import annotations

import numpy as np
import pytest

from stream.stages.tracking.signature import likeness, look_of_face, look_of_scene
from tests.pictures import backdrop, hopper, scene_with_face


def test_noise_light_and_a_step_aside_do_not_change_the_scene() -> None:
    before = look_of_scene(scene_with_face(120, noise=6))
    noisy = look_of_scene(scene_with_face(120, at=(652, 362), noise=6, seed=1))
    dim = look_of_scene((scene_with_face(120) * 0.6).astype(np.uint8))
    assert likeness(before, noisy) > 0.95
    assert likeness(before, dim) > 0.98


def test_another_scene_is_another_scene() -> None:
    room = look_of_scene(scene_with_face(120))
    upside_down = look_of_scene(np.ascontiguousarray(backdrop()[::-1]))
    assert likeness(room, upside_down) < 0.5


@pytest.mark.parametrize("width_px", [16, 40, 230])
def test_a_face_looks_like_itself_at_any_distance(width_px: int) -> None:
    near = look_of_face(scene_with_face(200), (640.0, 360.0), 200)
    far = look_of_face(scene_with_face(width_px, noise=4), (640.0, 360.0), width_px)
    assert likeness(near, far) > 0.9


def test_a_face_does_not_look_like_the_wall() -> None:
    image = scene_with_face(100)
    face = look_of_face(image, (640.0, 360.0), 100)
    assert likeness(face, look_of_face(image, (200.0, 400.0), 100)) < 0.65


def test_blank_pictures_are_alike_and_unlike_all_others() -> None:
    black = look_of_scene(np.zeros((720, 1280, 3), np.uint8))
    grey = look_of_scene(np.full((720, 1280, 3), 99, np.uint8))
    assert likeness(black, grey) == 1.0
    assert likeness(black, look_of_scene(backdrop())) == 0.0


@pytest.mark.parametrize("shape", [(8, 8, 3), (20, 300, 3), (600, 512, 3)])
def test_any_size_has_a_look(shape: tuple[int, int, int]) -> None:
    image = np.resize(hopper(), shape).astype(np.uint8)
    assert look_of_scene(image).shape == (576,)
