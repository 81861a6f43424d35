"""DescriptorSet: evenly over a track, bounded, wiped."""

from __future__ import annotations

import numpy as np
import pytest

from stream.frame import Floats
from stream.stages.exemplars.descriptor_set import CAPACITY, EVERY, MOST, DescriptorSet


def filled(faces: int) -> tuple[DescriptorSet, list[Floats]]:
    """The descriptors of a track, each with the number of its face plus one, and all that was
    given."""
    descriptors, given = DescriptorSet(), []
    for number in range(faces):
        if descriptors.wants():
            given.append(np.full(1, number + 1, np.float32))
            descriptors.add(given[-1])
    return descriptors, given


def test_the_first_face_and_then_one_of_a_few() -> None:
    descriptors, given = filled(3 * EVERY)
    assert [int(one[0]) - 1 for one in given] == [0, EVERY, 2 * EVERY]
    assert len(descriptors) == 3


def test_they_lie_evenly_over_a_long_track() -> None:
    descriptors, given = filled(5000)
    assert len(given) < 100
    assert CAPACITY / 2 <= len(descriptors) < CAPACITY
    numbers = [int(one[0]) - 1 for one in descriptors._kept]
    assert max(np.diff(numbers)) <= 2 * min(np.diff(numbers))
    assert numbers[0] == 0
    assert numbers[-1] > 4000
    dropped = [one for one in given if not any(one is kept for kept in descriptors._kept)]
    assert not any(one.any() for one in dropped)


def test_likeness_is_that_of_the_two_most_alike() -> None:
    one, other, none = DescriptorSet(), DescriptorSet(), DescriptorSet()
    one.add(np.array([1.0, 0.0], np.float32))
    one.add(np.array([0.6, 0.8], np.float32))
    other.add(np.array([0.0, 1.0], np.float32))
    assert one.likeness(other) == pytest.approx(0.8)
    assert one.likeness(none) == none.likeness(one) == 0.0


def test_all_tracks_of_a_person_stay_bounded() -> None:
    person = DescriptorSet()
    for _ in range(10):
        track, given = filled(60)
        person.absorb(track)
        assert len(track) == 0
        assert len(person) <= MOST
    assert len(person) > MOST / 4
    person.wipe()
    assert len(person) == 0
    assert not any(one.any() for one in given)
