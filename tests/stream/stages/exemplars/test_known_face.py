"""A kept person's close-ups serve the face that is surely theirs, and no other."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

from stream.frame import CANDIDATES_PER_FACE, Exemplar, Face, Frame, Image
from stream.stages.exemplars.bank import GONE_S, Bank
from stream.stages.exemplars.known_face import SURE_TIMES, WAITING, KnownFace
from tests.pictures import frame_of
from tests.stream.stages.exemplars.test_bank import Call, face, other_scene, scene

OWN, OTHER = 0.99, 0.5


class AtOnce(Executor):
    """Does what it is given before it returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class KnownCall(Call):
    """A call in which somebody is known; `like` says how much each track is like that person."""

    def __init__(self, like: dict[int, float | None]) -> None:
        super().__init__()
        self.like = like
        self.asked: list[int] = []
        self.changes: list[int | None] = []
        image = scene(200)[160:560, 440:840][::2, ::2]
        image = np.ascontiguousarray(np.pad(image, ((28, 28), (28, 28), (0, 0)), "reflect"))
        kept = [Exemplar(image.copy(), 400, (0.1 * k, 0.0), 0.1, -3600.0) for k in range(6)]
        self.known = KnownFace(kept, self.likeness, 0.95, AtOnce())
        self.known.on_change = self.changes.append
        self.kept = kept
        self.bank = Bank(known=self.known)

    def likeness(self, image: Image, face: Face) -> float | None:
        self.asked.append(face.track_id)
        return self.like[face.track_id]

    def show_both(self, seconds: float) -> Frame:
        left, right = face(40), face(40, track_id=2)
        return self.show(left, right, frames=round(30 * seconds))


def test_the_person_has_close_ups_from_the_start_and_nobody_else_has() -> None:
    call = KnownCall({1: OWN, 2: OTHER})
    first = call.show_both(0.4)
    assert [one.exemplars for one in first.faces] == [(), ()], "not decided by one look"
    later = call.show_both(SURE_TIMES * 0.5 + 0.2)
    assert [len(one.exemplars) for one in later.faces] == [6, 0]
    assert call.known.track_id == 1
    assert call.changes == [1]
    assert all(one.image.any() for one in call.kept)


@pytest.mark.parametrize("like", [OTHER, 0.949, None])
def test_in_doubt_nobody_is_the_person(like: float | None) -> None:
    call = KnownCall({1: like})
    call.show(face(40), frames=300)
    assert call.changes == []
    assert call.asked
    assert call.bank.exemplars_of(1) == ()


def test_looks_must_be_sure_in_a_row() -> None:
    call = KnownCall({1: OWN})
    for _ in range(4):
        call.like[1] = OWN
        call.show(face(40), frames=28)
        call.like[1] = OTHER
        call.show(face(40), frames=16)
    assert call.changes == []


def test_while_the_person_is_there_nobody_else_is() -> None:
    call = KnownCall({1: OWN, 2: OWN})
    call.show_both(10.0)
    assert len(call.changes) == 1


def test_the_person_who_comes_back_is_known_again() -> None:
    call = KnownCall({1: OWN, 2: OWN})
    call.show(face(40), frames=60)
    call.show(face(40, yaw=0.35, track_id=2), frames=90)
    assert call.changes == [1, None, 2], "turned too far for the comparison within a call"
    call.index += round(30 * (GONE_S + 5.0))
    call.like[3] = OTHER
    call.show(face(40, track_id=3), frames=60)
    assert call.changes == [1, None, 2, None], "gone for a minute"
    assert call.known.pictures_of(2) == []


def test_who_is_known_again_within_the_call_stays_the_person() -> None:
    call = KnownCall({1: OWN, 2: OWN})
    call.show(face(40), frames=60)
    (back,) = call.show(face(40, track_id=2), frames=30).faces
    assert call.changes == [1]
    assert (back.track_id, len(back.exemplars)) == (1, 6)


def test_who_is_recognised_before_the_call_knows_them_again_stays_the_person() -> None:
    """The recogniser was first, while the head was turned; then it had to decide once more, with
    the shipped weights meanwhile, and the kept close-ups were there twice."""
    call = KnownCall({1: OWN, 2: OWN})
    call.show(face(40), frames=60)
    call.show(face(40, yaw=0.35, track_id=2), frames=90)
    assert call.changes == [1, None, 2]
    (back,) = call.show(face(40, track_id=2), frames=30).faces
    assert back.track_id == 1
    assert call.changes == [1, None, 2, 1]
    assert call.known.track_id == 1
    assert call.known.pictures_of(1), "how they look in this call"
    kept = call.bank.exemplars_of(1)
    assert len({one.pose for one in kept}) == len(kept) == 6


def test_looks_at_a_face_that_is_known_again_count_on() -> None:
    call = KnownCall({1: None, 2: OWN})
    call.come_close()
    call.show(face(40, yaw=0.35, track_id=2), frames=20)
    assert call.changes == []
    call.like[1] = OWN
    (back,) = call.show(face(40, track_id=2), frames=15).faces
    assert back.track_id == 1
    assert call.changes == [1]


def test_a_face_that_turns_into_another_has_them_no_more() -> None:
    call = KnownCall({1: OWN})
    call.show(face(40), frames=60)
    (shown,) = call.show(face(40), image=other_scene(40), frames=60).faces
    assert shown.exemplars == ()
    call.show(face(200), image=other_scene(200), frames=240)
    assert call.changes[:2] == [1, None], "somebody else is close in that place"


class Slow(Executor):
    """Has not come to what it is given."""

    def __init__(self) -> None:
        self.given: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given.append(Future())
        return self.given[-1]

    @property
    def waiting(self) -> int:
        return sum(not one.done() for one in self.given)


def test_of_thousands_of_faces_a_few_looks_wait() -> None:
    """Each holds a picture of the camera: a recogniser that is slower than the faces come would
    have held one of each."""
    slow = Slow()
    call = KnownCall({})
    call.known = KnownFace(call.kept, call.likeness, 0.95, slow)
    call.bank = Bank(known=call.known)
    for track_id in range(3, 300, 3):
        faces = [face(40, track_id=track_id + k) for k in range(3)]
        call.show(*faces, frames=2)
        assert slow.waiting <= WAITING
    assert len(slow.given) > 3 * WAITING, "who is gone is not waited for, and others are asked"
    call.bank.forget()
    assert slow.waiting == 0


def test_forgetting_and_closing_wipe_the_kept_close_ups() -> None:
    call = KnownCall({1: OWN})
    call.show(face(40), frames=60)
    images = [one.image for one in (*call.kept, *call.bank.exemplars_of(1))]
    call.bank.forget()
    assert not any(image.any() for image in images)
    assert call.changes == [1, None]
    call.show(face(40), frames=120)
    assert call.changes == [1, None], "not in this call any more"
    call.bank.close()


def test_the_person_who_is_close_now_wins_over_what_was_kept() -> None:
    call = KnownCall({1: OWN})
    call.show(face(40), frames=60)
    call.come_close(40.0)
    assert sum(one.time_s < 0.0 for one in call.bank.exemplars_of(1)) < 6
    frame = frame_of(scene(40), call.index, faces=(face(40),))
    assert len(call.bank(frame).faces[0].exemplars) == CANDIDATES_PER_FACE
