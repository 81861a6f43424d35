from __future__ import annotations

import itertools
import time
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from stream.frame import CANDIDATES_PER_FACE, Face, Frame, Image
from stream.stages.exemplars.bank import GONE_S, MAX_PEOPLE, Bank
from stream.stages.exemplars.exemplar_set import CAPACITY
from tests.pictures import frame_of, hopper, scene_with_face

LOOK_EVERY = 5
"""Frames, at 30 a second."""

# Eyes, nose, mouth and ears of a frontal face, in widths of the box around its centre.
MESH = np.array([[-0.2, -0.2], [0.2, -0.2], [0, 0], [0, 0.2], [-0.4, 0], [0.4, 0]])


def face(width: float, yaw: float = 0.0, track_id: int = 1, score: float = 0.9) -> Face:
    center, half = np.array([640.0, 360.0]), width / 2
    mesh = MESH.copy()
    mesh[2, 0] += 0.4 * yaw
    return Face(
        track_id=track_id,
        box=np.concatenate([center - half, center + half]).astype(np.float32),
        keypoints=(center + width * mesh).astype(np.float32),
        score=score,
    )


@cache
def scene(width: float) -> Image:
    return scene_with_face(width)


class Call:
    """Shows faces to a bank, frame after frame."""

    def __init__(self) -> None:
        self.bank = Bank()
        self.index = 0

    def show(self, *faces: Face, image: Image | None = None, frames: int = 1) -> Frame:
        frame = frame_of(scene(faces[0].width_px) if image is None else image)
        for _ in range(frames):
            frame = frame_of(frame.image, self.index, faces=faces)
            self.index += 1
            frame = self.bank(frame)
        return frame

    def come_close(self, seconds: float = 4.0) -> None:
        for i in range(round(30 * seconds)):
            self.show(face(200, yaw=0.3 * np.sin(i / 10)))


def test_a_close_face_is_remembered_and_serves_it_when_it_is_far() -> None:
    call = Call()
    call.come_close()
    assert CAPACITY <= call.bank.harvested <= 4 * 30 / LOOK_EVERY
    assert len(call.bank.exemplars_of(1)) == CAPACITY
    (far,) = call.show(face(40)).faces
    assert len(far.exemplars) == CANDIDATES_PER_FACE
    assert far.exemplars_version > 0
    for one in far.exemplars:
        assert one.image.shape == (256, 256, 3)
        assert one.image.dtype == np.uint8
        assert not one.image.flags.writeable
        assert one.side_px == 400


def test_a_far_head_that_is_tilted_keeps_its_exemplars() -> None:
    """It was taken for somebody else."""
    call = Call()
    call.come_close()
    upright = face(40)
    for degrees in (-22.0, 22.0):
        turn = cv2.getRotationMatrix2D((639.5, 359.5), degrees, 1.0)
        tilted = cv2.warpAffine(scene(40), turn, (1280, 720), borderMode=cv2.BORDER_REFLECT)
        keypoints = np.asarray(cv2.transform(upright.keypoints[None], turn)[0], np.float32)
        there = replace(upright, keypoints=keypoints)
        assert there.roll == pytest.approx(-np.radians(degrees), abs=1e-3)
        (far,) = call.show(there, image=np.asarray(tilted, np.uint8), frames=30).faces
        assert len(far.exemplars) == CANDIDATES_PER_FACE


def test_how_a_close_head_was_tilted_is_remembered() -> None:
    call = Call()
    turn = cv2.getRotationMatrix2D((639.5, 359.5), -12.0, 1.0)
    tilted = np.asarray(cv2.warpAffine(scene(200), turn, (1280, 720)), np.uint8)
    keypoints = np.asarray(cv2.transform(face(200).keypoints[None], turn)[0], np.float32)
    call.show(replace(face(200), keypoints=keypoints), image=tilted, frames=10)
    (one, *_) = call.bank.exemplars_of(1)
    assert one.roll == pytest.approx(np.radians(12.0), abs=1e-3)


def test_a_close_face_needs_nothing() -> None:
    call = Call()
    call.come_close()
    (near,) = call.show(face(200)).faces
    assert near.exemplars == ()
    assert near.exemplars_version == 0


def test_nobody_was_close_yet() -> None:
    (far,) = Call().show(face(40), frames=60).faces
    assert far.exemplars == ()
    assert far.exemplars_version == 0


def test_neighbouring_frames_give_one_close_up() -> None:
    call = Call()
    call.show(face(200), frames=LOOK_EVERY)
    assert call.bank.harvested == 1
    call.show(face(200), frames=1)
    assert call.bank.harvested == 2


def spoilt(kind: str) -> Image:
    good = scene(200)
    if kind == "blurred":
        return np.asarray(cv2.GaussianBlur(good, (0, 0), 6), np.uint8)
    if kind == "dark":
        return np.asarray(good * 0.12, np.uint8)
    return np.asarray(np.clip(good.astype(np.float32) * 2.5, 0, 255), np.uint8)


@pytest.mark.parametrize("kind", ["blurred", "dark", "burnt"])
def test_spoilt_pictures_are_not_taken(kind: str) -> None:
    call = Call()
    call.show(face(200), image=spoilt(kind), frames=60)
    assert call.bank.harvested == 0


def test_a_dim_room_gives_close_ups_for_a_dim_room() -> None:
    call = Call()
    call.show(face(200), image=np.asarray(scene(200) * 0.22, np.uint8), frames=2 * LOOK_EVERY)
    assert call.bank.harvested == 2


def test_a_blurred_one_is_not_taken_beside_sharp_ones() -> None:
    call = Call()
    call.show(face(200), frames=2 * LOOK_EVERY)
    slightly = np.asarray(cv2.GaussianBlur(scene(200), (0, 0), 1.8), np.uint8)
    call.show(face(200, yaw=0.2), image=slightly, frames=40)
    assert call.bank.harvested == 2


@pytest.mark.parametrize(
    "turned_or_unsure", [face(200, yaw=0.6), face(200, score=0.4), face(200, score=0.0)]
)
def test_turned_and_uncertain_faces_are_not_taken(turned_or_unsure: Face) -> None:
    call = Call()
    call.show(turned_or_unsure, frames=40)
    assert call.bank.harvested == 0


def test_a_head_cut_by_the_edge_is_not_taken() -> None:
    call = Call()
    call.show(face(200), image=scene(200)[:480], frames=40)
    assert call.bank.harvested == 0


def test_the_best_that_a_camera_gives_may_serve_until_somebody_comes_closer() -> None:
    call = Call()
    call.show(face(60), frames=40)
    assert {one.side_px for one in call.bank.exemplars_of(1)} == {120}
    (far,) = call.show(face(30)).faces
    assert {one.side_px for one in far.exemplars} == {120}
    (same,) = call.show(face(50)).faces
    call.come_close()
    (far,) = call.show(face(30)).faces
    assert {one.side_px for one in far.exemplars} == {400}
    assert all(one.side_px >= 220 for one in call.bank.exemplars_of(1) if one in far.exemplars)
    assert same.track_id == 1


def test_each_has_only_his_own() -> None:
    call = Call()
    call.show(face(200, track_id=1), frames=60)
    call.show(face(200, track_id=2), frames=30)
    own = {id(one) for one in call.bank.exemplars_of(1)}
    for _ in range(30):
        first, second = call.show(face(40, track_id=1), face(40, track_id=2)).faces
        assert {id(one) for one in first.exemplars} <= own
        assert not {id(one) for one in second.exemplars} & own
        assert first.exemplars_version != second.exemplars_version


def test_the_version_changes_exactly_with_the_pick_and_rarely() -> None:
    call = Call()
    call.come_close(8.0)
    rng = np.random.default_rng(0)
    history: list[tuple[int, tuple[int, ...]]] = []
    for i in range(300):
        yaw = 0.3 * np.sin(i / 20) + rng.normal(0, 0.02)
        (far,) = call.show(face(40, yaw=yaw)).faces
        history.append((far.exemplars_version, tuple(id(one) for one in far.exemplars)))
    assert len({version for version, _ in history}) == len(set(history))
    changes = sum(a != b for a, b in itertools.pairwise(history))
    assert 1 <= changes <= 10


def test_a_steady_face_keeps_its_pick() -> None:
    call = Call()
    call.come_close()
    rng = np.random.default_rng(0)
    versions = {
        call.show(face(40, yaw=rng.normal(0, 0.02))).faces[0].exemplars_version for _ in range(200)
    }
    assert len(versions) == 1


def test_a_face_at_the_limit_does_not_flap() -> None:
    call = Call()
    call.come_close()
    versions = [
        call.show(face(69.5 + i % 2), image=scene(70)).faces[0].exemplars_version for i in range(40)
    ]
    assert len(set(versions)) == 1


def test_forgetting_wipes_the_pictures() -> None:
    call = Call()
    call.come_close()
    (far,) = call.show(face(40)).faces
    kept = call.bank.exemplars_of(1)
    call.bank.forget()
    assert not any(one.image.any() for one in kept)
    assert call.bank.exemplars_of(1) == ()
    (later,) = call.show(face(40)).faces
    assert later.exemplars == ()
    assert later.exemplars_version != far.exemplars_version


def test_closing_wipes_the_pictures() -> None:
    call = Call()
    call.come_close()
    kept = call.bank.exemplars_of(1)
    call.bank.close()
    assert kept
    assert not any(one.image.any() for one in kept)


def test_somebody_gone_for_long_is_forgotten() -> None:
    call = Call()
    call.come_close()
    kept = call.bank.exemplars_of(1)
    call.index += int(30 * GONE_S) - 30
    call.show(face(40, track_id=2), image=other_scene(40))
    assert call.bank.exemplars_of(1) == kept
    call.index += 60
    call.show(face(40, track_id=2), image=other_scene(40))
    assert call.bank.exemplars_of(1) == ()
    assert not any(one.image.any() for one in kept)


def test_a_source_that_starts_again_is_served_again() -> None:
    call = Call()
    call.index = 30 * 300
    call.come_close()
    kept = call.bank.exemplars_of(1)
    call.index = 0
    call.come_close()
    call.show(face(40, track_id=2))
    assert len(call.bank.exemplars_of(1)) > 3
    call.show(face(40, track_id=1))
    assert kept


def test_a_long_call_stays_bounded() -> None:
    call = Call()
    for person in range(2 * MAX_PEOPLE):
        call.show(face(200, track_id=person))
    kept = [person for person in range(2 * MAX_PEOPLE) if call.bank.exemplars_of(person)]
    assert kept == list(range(MAX_PEOPLE, 2 * MAX_PEOPLE))
    call.come_close(30.0)
    assert len(call.bank.exemplars_of(1)) <= CAPACITY


def test_the_frame_that_came_in_is_not_touched() -> None:
    call = Call()
    frame = frame_of(scene(200), faces=(face(200),))
    before = frame.image.copy()
    out = call.bank(frame)
    assert out is not frame
    assert frame.faces[0].exemplars == ()
    np.testing.assert_array_equal(frame.image, before)


def test_a_frame_costs_less_than_a_millisecond() -> None:
    call = Call()
    taken: list[float] = []
    for i in range(150):
        near = face(200, yaw=0.3 * np.sin(i / 10))
        start = time.perf_counter()
        call.show(near)
        taken.append(time.perf_counter() - start)
    assert float(np.median(taken)) < 1e-3


def other_scene(width: float) -> Image:
    """Somebody else at the same place: what was dark in the face is light."""
    return scene_with_face(width, portrait=np.ascontiguousarray(255 - hopper()))


def test_a_far_face_that_is_unlike_its_close_ups_does_without_them_until_it_is_like_them() -> None:
    call = Call()
    call.come_close()
    assert call.show(face(40), frames=20).faces[0].exemplars
    strange = other_scene(40)
    assert call.show(face(40), image=strange).faces[0].exemplars, "one odd look changes nothing"
    call.show(face(40), image=strange, frames=29)
    for _ in range(60):
        assert not call.show(face(40), image=strange).faces[0].exemplars
    call.show(face(40), frames=15)
    assert call.show(face(40)).faces[0].exemplars


def test_a_far_face_that_was_never_like_them_is_never_given_any() -> None:
    call = Call()
    call.come_close()
    strange = other_scene(40)
    assert not any(call.show(face(40), image=strange).faces[0].exemplars for _ in range(60))


def test_close_ups_of_two_people_are_never_kept_together() -> None:
    call = Call()
    call.come_close()
    first, person = call.bank.exemplars_of(1), call.bank.person_number(1)
    strange = other_scene(200)
    call.show(face(200), image=strange, frames=100)
    assert call.bank.exemplars_of(1) == first, "in doubt nothing is taken in"
    assert call.bank.person_number(1) == person > 0
    call.show(face(200), image=strange, frames=150)
    second = call.bank.exemplars_of(1)
    assert second
    assert not {id(one) for one in first} & {id(one) for one in second}
    assert not any(one.image.any() for one in first), "wiped"
    other = call.bank.person_number(1)
    assert other not in (0, person), "what was made of the first one's is not the second's"
    call.bank.forget()
    assert call.bank.person_number(1) == 0
    call.show(face(200), image=strange, frames=20)
    assert call.bank.exemplars_of(1)
    assert call.bank.person_number(1) not in (0, person, other)
