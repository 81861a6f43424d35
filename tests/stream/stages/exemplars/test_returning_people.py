"""Who has left and come back is served with their own exemplars, and nobody else is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from stream.frame import CANDIDATES_PER_FACE, Face, Floats, Image
from stream.stages.exemplars.bank import GONE_S, MAX_PEOPLE, Bank
from stream.stages.exemplars.descriptor_set import EVERY, MOST
from stream.stages.exemplars.hog_descriptor import HogDescriptor
from stream.stages.exemplars.returning_people import (
    LOOKS_A_FRAME,
    SOON_S,
    SURE_TIMES,
    TRACKS,
)
from tests.pictures import frame_of, scene_with_face
from tests.stream.stages.exemplars.test_bank import Call, face, other_scene, scene

LOOKS = math.ceil(30 * SOON_S * SURE_TIMES)
"""Frames until it is decided."""


def left_and_back(track_id: int = 2, image: Image | None = None, frames: int = LOOKS) -> Call:
    """A call in which track 1 was close and left; then a far face comes."""
    call = Call()
    call.come_close()
    call.show(face(40), frames=10)
    call.index += 60
    call.show(face(40, track_id=track_id), image=image, frames=frames)
    return call


def test_who_comes_back_far_away_has_the_close_ups_of_before() -> None:
    call = left_and_back()
    number = call.bank.person_number(1)
    (back,) = call.show(face(40, track_id=2)).faces
    assert back.track_id == 1
    assert len(back.exemplars) == CANDIDATES_PER_FACE
    assert call.bank.track_ids == (1,)
    assert call.bank.exemplars_of(2) == ()
    assert call.bank.person_number(1) == number > 0, "what was learnt of them goes on, too"


def test_one_look_does_not_decide() -> None:
    call = left_and_back(frames=1)
    (new,) = call.show(face(40, track_id=2), frames=1).faces
    assert (new.track_id, new.exemplars) == (2, ())
    (back,) = call.show(face(40, track_id=2), frames=LOOKS).faces
    assert back.track_id == 1


def test_somebody_else_on_the_same_chair_stays_somebody_else() -> None:
    call = left_and_back(image=other_scene(40), frames=300)
    (other,) = call.show(face(40, track_id=2), image=other_scene(40)).faces
    assert (other.track_id, other.exemplars) == (2, ())
    assert call.bank.exemplars_of(1)


@pytest.mark.parametrize("turned", [replace(face(40, yaw=0.5, track_id=2)), face(20, track_id=2)])
def test_a_face_that_shows_too_little_of_itself_is_not_compared(turned: Face) -> None:
    call = left_and_back(frames=0)
    (new,) = call.show(turned, image=scene(40), frames=60).faces
    assert (new.track_id, new.exemplars) == (2, ())


def both(width: float, *track_ids: int) -> tuple[Image, tuple[Face, ...]]:
    """One person beside a twin, far from each other."""
    image = scene_with_face(width, at=(340.0, 360.0)).copy()
    right = scene_with_face(width, at=(940.0, 360.0))
    image[:, 640:] = right[:, 640:]
    places = zip((-300.0, 300.0), track_ids, strict=False)
    return image, tuple(
        replace(
            face(width, track_id=one),
            box=face(width).box + np.array([x, 0, x, 0], np.float32),
            keypoints=face(width).keypoints + np.array([x, 0], np.float32),
        )
        for x, one in places
    )


def test_of_two_who_look_alike_nobody_is_known_again() -> None:
    call = Call()
    for frame in range(120):
        image, faces = both(200 - frame % 3, 1, 2)
        call.show(*faces, image=image)
    assert call.bank.track_ids == (1, 2)
    call.index += 60
    image, faces = both(40, 3)
    (new,) = call.show(*faces, image=image, frames=120).faces
    assert (new.track_id, new.exemplars) == (3, ())


def test_who_was_seen_beside_somebody_is_never_that_person() -> None:
    call = Call()
    call.come_close()
    image, faces = both(40, 1, 2)
    call.show(*faces, image=image, frames=30)
    (_, stays) = call.show(*faces, image=image).faces
    for _ in range(120):
        (alone,) = call.show(stays, image=image).faces
        assert (alone.track_id, alone.exemplars) == (2, ())


def test_a_track_that_goes_on_takes_its_name_back() -> None:
    """The tracker had missed the first one for a moment; so there are two of them."""
    call = left_and_back()
    image, faces = both(40, 1, 2)
    for _ in range(60):
        (first, second) = call.show(*faces, image=image).faces
        assert (first.track_id, second.track_id) == (1, 2)
        assert second.exemplars == ()
    assert first.exemplars


def test_two_absences_are_one_person() -> None:
    call = left_and_back()
    call.index += 60
    (again,) = call.show(face(40, track_id=3), frames=LOOKS).faces
    assert again.track_id == 1
    assert again.exemplars


def test_who_comes_back_close_joins_what_was_kept() -> None:
    call = left_and_back(frames=0)
    before = call.bank.exemplars_of(1)
    call.index += 60
    call.show(face(200, track_id=2), frames=LOOKS)
    assert call.bank.track_ids == (1,)
    assert {id(one) for one in before} & {id(one) for one in call.bank.exemplars_of(1)}
    assert any(one.time_s > before[-1].time_s for one in call.bank.exemplars_of(1))


def test_after_a_minute_and_after_forgetting_nobody_is_known() -> None:
    call = left_and_back(frames=0)
    call.index += round(30 * (GONE_S + 1.0))
    (new,) = call.show(face(40, track_id=2), frames=60).faces
    assert (new.track_id, new.exemplars) == (2, ())

    call = left_and_back()
    call.bank.forget()
    (new,) = call.show(face(40, track_id=2), frames=60).faces
    assert (new.track_id, new.exemplars) == (2, ())


def test_descriptors_are_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Floats] = []
    describe = HogDescriptor.describe

    def noting(self: HogDescriptor, image: Image, face: Face) -> Floats:
        made.append(describe(self, image, face))
        return made[-1]

    monkeypatch.setattr(HogDescriptor, "describe", noting)
    call = left_and_back()
    assert made
    call.bank.close()
    assert not any(one.any() for one in made)


def test_a_recording_that_is_looked_through_first_keeps_its_tracks_apart() -> None:
    """There the person index puts them together, when all was seen."""
    bank = Bank(rolling=False)
    for index in range(240):
        frame = frame_of(scene(200), index, faces=(face(200, track_id=1 + index // 120),))
        assert bank(frame).faces[0].track_id == 1 + index // 120


def test_what_is_remembered_stays_bounded() -> None:
    call = Call()
    for track_id in range(1, 100):
        call.show(face(40, track_id=track_id), frames=EVERY)
    assert call.bank._returning is not None
    assert len(call.bank._returning._seen) == MAX_PEOPLE


def test_two_tracks_of_one_frame_are_never_the_same_person() -> None:
    """Both had come back as the first one: the tracker had lost the earlier one for a moment."""
    call = left_and_back()
    call.index += 60
    call.show(face(40, track_id=3), frames=LOOKS)
    image, faces = both(40, 2, 3)
    first, second = call.show(*faces, image=image).faces
    assert (first.track_id, second.track_id) == (1, 3)
    assert first.center[0] < second.center[0], "who was known first"
    for _ in range(60):
        _, second = call.show(*faces, image=image).faces
        assert (second.track_id, second.exemplars) == (3, ())


def test_what_two_left_behind_under_one_name_is_nobodys() -> None:
    call = left_and_back(frames=0)
    own, number = call.bank.exemplars_of(1), call.bank.person_number(1)
    call.index += 60
    call.show(face(200, track_id=2), frames=60)
    added = [one for one in call.bank.exemplars_of(1) if one.time_s > own[-1].time_s]
    assert added
    image, faces = both(40, 1, 2)
    call.show(*faces, image=image)
    assert not any(one.image.any() for one in added), "of the second, by all that is known"
    assert {id(one) for one in call.bank.exemplars_of(1)} <= {id(one) for one in own}
    assert call.bank.person_number(1) not in (0, number), "what was learnt of both is let go"


def test_two_part_in_the_frame_after_the_place_was_taken_by_somebody_else() -> None:
    call = left_and_back()
    assert call.bank._returning is not None
    call.bank._returning.start_over(1)
    image, faces = both(40, 1, 2)
    first, second = call.show(*faces, image=image).faces
    assert (first.track_id, second.track_id) == (1, 2)


def test_a_track_that_is_held_where_it_was_is_no_second_person() -> None:
    """Somebody moves so fast that the tracker finds them anew, and holds the old place a moment."""
    call = Call()
    call.come_close()
    image, faces = both(40, 1, 2)
    held = replace(faces[0], score=0.0)
    call.show(held, faces[1], image=image, frames=3)
    (moved,) = call.show(faces[1], image=image, frames=LOOKS).faces
    assert moved.track_id == 1
    assert moved.exemplars


def test_passers_by_do_not_drive_out_who_has_left() -> None:
    call = left_and_back(frames=0)
    for track_id in range(100, 100 + 4 * MAX_PEOPLE):
        call.show(face(40, track_id=track_id), image=other_scene(40), frames=6)
    assert call.bank.exemplars_of(1)
    (back,) = call.show(face(40, track_id=2), frames=LOOKS).faces
    assert back.track_id == 1


def test_one_odd_look_after_an_absence_costs_nobody_their_close_ups() -> None:
    """The time away counted as time in which the face was not theirs."""
    call = left_and_back(frames=0)
    own = call.bank.exemplars_of(1)
    call.index += 30 * 20
    call.show(face(40, track_id=2), frames=LOOKS)
    call.show(face(200, track_id=2), image=other_scene(200))
    assert call.bank.exemplars_of(1) == own


def test_who_takes_the_place_of_one_who_came_back_keeps_one_name() -> None:
    """The close-ups that are wiped then belonged to a track_id that nobody had any more."""
    call = left_and_back()
    strange = other_scene(200)
    call.show(face(200, track_id=2), image=strange, frames=240)
    (other,) = call.show(face(200, track_id=2), image=strange).faces
    assert other.track_id == 1
    assert call.bank.track_ids == (1,)
    assert not call.bank.exemplars_of(2)


def test_what_a_face_that_is_unlike_the_close_ups_looks_like_is_not_kept() -> None:
    """Somebody else in the place of a far face; who leaves then, and comes back, is nobody."""
    call = Call()
    call.come_close()
    call.show(face(40), frames=10)
    call.show(face(40), image=other_scene(40), frames=150)
    call.index += 60
    (new,) = call.show(face(40, track_id=2), image=other_scene(40), frames=60).faces
    assert (new.track_id, new.exemplars) == (2, ())


def test_what_is_remembered_of_tracks_stays_bounded() -> None:
    call = left_and_back()
    for track_id in range(3, 3 + 2 * TRACKS):
        call.show(face(40, track_id=track_id), frames=LOOKS)
    returning = call.bank._returning
    assert returning is not None
    assert set(returning._known_as.values()) == {1}
    assert len(returning._known_as) == TRACKS
    assert len(returning._seen[1].descriptors) <= MOST


def test_of_many_new_faces_a_few_are_described_in_each_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described: list[int] = []
    describe = HogDescriptor.describe

    def noting(self: HogDescriptor, image: Image, face: Face) -> Floats:
        described.append(face.track_id)
        return describe(self, image, face)

    monkeypatch.setattr(HogDescriptor, "describe", noting)
    call = left_and_back(image=other_scene(40), frames=0)
    described.clear()
    many = [face(40, track_id=one) for one in range(2, 14)]
    for _ in range(30):
        before = len(described)
        call.show(*many, image=other_scene(40))
        assert len(described) - before <= LOOKS_A_FRAME
    assert set(described) == set(range(2, 14)), "all have their turn"


def test_a_face_is_not_described_for_those_that_it_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who was seen beside them: the look would cost a millisecond each time."""
    looks: list[int] = []
    describe = HogDescriptor.describe

    def noting(self: HogDescriptor, image: Image, face: Face) -> Floats:
        looks.append(face.track_id)
        return describe(self, image, face)

    monkeypatch.setattr(HogDescriptor, "describe", noting)
    call = Call()
    call.come_close()
    image, faces = both(40, 1, 2)
    call.show(*faces, image=image, frames=10)
    looks.clear()
    call.show(faces[1], image=image, frames=60)
    assert len(looks) <= 60 / EVERY + 1
