"""PersonIndex: who is who in a recording, and what is kept of each."""

from __future__ import annotations

import numpy as np
import pytest

from stream.frame import CANDIDATES_PER_FACE, Face, Floats, Frame, Image
from stream.recordings.people import person_index
from stream.recordings.people.person_index import PersonIndex
from stream.stages.exemplars.bank import Bank
from stream.stages.exemplars.exemplar_set import CAPACITY
from stream.stages.exemplars.hog_descriptor import HogDescriptor
from tests.pictures import frame_of
from tests.stream.stages.exemplars.test_bank import face, scene


def frames(width: float, start: int, count: int, track_id: int = 1) -> list[Frame]:
    """Somebody in front of a camera, who looks around."""
    return [
        frame_of(scene(width), i, faces=(face(width, 0.3 * float(np.sin(i / 10)), track_id),))
        for i in range(start, start + count)
    ]


def test_the_start_is_served_with_close_ups_of_the_end() -> None:
    far, close = frames(40, 0, 60), frames(200, 60, 120)
    with PersonIndex(describer=HogDescriptor()) as people:
        for frame in far + close:
            people.see(frame)
        kept = people.finish()
        bank = Bank()
        bank.start_with(kept)
        (first,) = bank(far[0]).faces
        assert len(first.exemplars) == CANDIDATES_PER_FACE
        assert all(one.side_px == 400 and one.time_s >= 2.0 for one in first.exemplars)
        assert (people.people, people.merged, people.harvested) == (1, 0, len(kept[1]))


def test_the_second_pass_takes_nothing_in_and_forgets_nobody() -> None:
    with PersonIndex(describer=HogDescriptor()) as people:
        for frame in frames(200, 0, 120):
            people.see(frame)
        bank = Bank()
        bank.start_with(people.finish())
        before = bank.exemplars_of(1)
        for frame in frames(200, 9000, 60, track_id=2):
            bank(frame)
        assert bank.exemplars_of(1) == before
        assert bank.exemplars_of(2) == ()
        assert bank.harvested == 0
        (far,) = bank(frames(40, 20_000, 1)[0]).faces
        assert len(far.exemplars) == CANDIDATES_PER_FACE


def test_close_ups_of_a_long_recording_do_not_grow_old() -> None:
    """The sharpest minute counts, whenever it was; and what is kept stays bounded."""
    with PersonIndex(describer=HogDescriptor()) as people:
        for minute in range(4):
            for frame in frames(200, 1800 * minute, 240):
                people.see(frame)
        kept = people.finish()[1]
        times = [one.time_s for one in kept.all()]
        assert len(kept) <= CAPACITY
        assert min(times) < 10.0


def test_everything_is_wiped_at_the_end() -> None:
    with PersonIndex(describer=HogDescriptor()) as people:
        for frame in frames(200, 0, 60) + frames(200, 200, 60, track_id=2):
            people.see(frame)
        pictures = [one.image for own in people.finish().values() for one in own.all()]
        assert all(image.any() for image in pictures)
    assert len(pictures) == people.harvested
    assert not any(image.any() for image in pictures)


def test_whom_nobody_asked_for_is_wiped_too() -> None:
    """Ctrl-C, or an error, in the first pass."""
    with PersonIndex(describer=HogDescriptor()) as people:
        for frame in frames(200, 0, 60):
            people.see(frame)
        pictures = [one.image for one in people._bank.exemplars_of(1)]
    assert pictures
    assert not any(image.any() for image in pictures)


def test_a_crowd_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person_index, "MAX_PEOPLE", 5)
    with PersonIndex(describer=Known({})) as people:
        for person in range(8):
            longer = 40 if person == 0 else 6
            for frame in frames(200, 90 * person, longer, track_id=person + 1):
                people.see(frame)
        kept = people.finish()
        assert len(kept) == 5
        assert 1 in kept
        assert people.people == 8


class Known:
    """A describer that is told what each track looks like; by default like nobody else."""

    name = "known"
    same = 0.9

    def __init__(self, looks: dict[int, list[float]]) -> None:
        self.looks = looks

    def describe(self, image: Image, face: Face) -> Floats:
        look = np.zeros(64, np.float32)
        own = self.looks.get(face.track_id)
        if own is None:
            look[10 + face.track_id] = 1.0
        else:
            look[: len(own)] = own
        return look / np.float32(np.linalg.norm(look))


def show(people: PersonIndex, *stretches: tuple[int, ...], width: float = 200) -> dict[int, int]:
    """Stretches of a second with these tracks in the picture, two seconds apart; who is who."""
    for number, tracks in enumerate(stretches):
        for i in range(90 * number, 90 * number + 30):
            faces = tuple(face(width, track_id=one) for one in tracks)
            people.see(frame_of(scene(width), i, faces=faces))
    people.finish()
    return people.number_of


def test_somebody_who_comes_back_is_the_same_person() -> None:
    with PersonIndex(describer=Known({1: [1.0, 0.0], 2: [0.99, 0.1]})) as people:
        assert show(people, (1,), (), (2,), (3,)) == {1: 1, 2: 1, 3: 3}
        assert (people.people, people.merged) == (2, 1)
        kept = people.finish()
        assert set(kept) == {1, 3}
        times = [one.time_s for one in kept[1].all()]
        assert min(times) < 1.0
        assert max(times) >= 6.0


def test_in_doubt_it_is_somebody_new() -> None:
    with PersonIndex(describer=Known({1: [1.0, 0.0], 2: [0.89, 0.456]})) as people:
        assert show(people, (1,), (2,)) == {1: 1, 2: 2}


def test_two_at_the_same_time_are_two_however_alike() -> None:
    with PersonIndex(describer=Known({1: [1.0], 2: [1.0]})) as people:
        assert show(people, (1, 2)) == {1: 1, 2: 2}


def test_who_could_be_either_of_two_is_neither() -> None:
    """Twins sat beside each other; one of them comes back."""
    with PersonIndex(describer=Known({1: [1.0], 2: [1.0], 3: [1.0]})) as people:
        assert show(people, (1, 2), (3,)) == {1: 1, 2: 2, 3: 3}
    # Not as alike as that: the likeness to the other one is clearly smaller.
    with PersonIndex(describer=Known({1: [1.0], 2: [0.9, 0.436], 3: [1.0]})) as people:
        assert show(people, (1, 2), (3,)) == {1: 1, 2: 2, 3: 1}


def test_who_was_beside_one_track_of_a_person_is_not_another_one_of_it() -> None:
    """2 sat beside 1, who came back as 3; so 2 is not 3 either, however alike."""
    looks = {1: [1.0], 2: [0.8, 0.6], 3: [1.0], 4: [0.8, 0.6]}
    with PersonIndex(describer=Known(looks)) as people:
        assert show(people, (1, 2), (3,), (4,)) == {1: 1, 2: 2, 3: 1, 4: 2}


def test_a_track_that_fits_two_brings_them_together() -> None:
    """1 and 2 are not alike enough; 3 is like both."""
    looks = {1: [1.0, 0.0], 2: [0.83, 0.558], 3: [0.957, 0.29]}
    with PersonIndex(describer=Known(looks)) as people:
        assert show(people, (1,), (2,), (3,)) == {1: 1, 2: 1, 3: 1}


def test_faces_too_small_or_turned_are_never_compared() -> None:
    with PersonIndex(describer=Known({1: [1.0], 2: [1.0]})) as people:
        assert show(people, (1,), (2,), width=20) == {1: 1, 2: 2}
    with PersonIndex(describer=Known({1: [1.0], 2: [1.0]})) as people:
        for i in range(60):
            turned = face(200, yaw=1.6, track_id=1 + (i >= 30))
            people.see(frame_of(scene(200), i, faces=(turned,)))
        people.finish()
        assert people.people == 2


def test_figures_of_faces_are_wiped_too() -> None:
    with PersonIndex(describer=HogDescriptor()) as people:
        show(people, (1,))
        (descriptors,) = [one.descriptors._kept for one in people._people]
        described = list(descriptors)
        assert all(one.any() for one in described)
    assert described
    assert not any(one.any() for one in described)
