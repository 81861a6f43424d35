from __future__ import annotations

import math

import numpy as np
import pytest

from stream.frame import Floats
from stream.stages.tracking.association import assign, cost, same_face


def box(x: float, y: float, width: float) -> Floats:
    half = width / 2.0
    return np.array([x - half, y - half, x + half, y + half], np.float32)


def test_cost_grows_with_distance_and_change_of_size() -> None:
    here = box(100, 100, 40)
    assert cost(here, here) == 0.0
    assert cost(here, box(104, 100, 40)) == pytest.approx(0.1, abs=1e-6)
    assert cost(here, box(100, 100, 44)) == pytest.approx(math.log(1.1), abs=1e-6)


def test_a_jump_in_place_or_size_has_no_price() -> None:
    here = box(100, 100, 40)
    assert math.isinf(cost(here, box(132, 100, 40)))
    assert math.isinf(cost(here, box(100, 100, 60)))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (box(104, 100, 40), True),
        (box(100, 110, 16), True),  # a detection inside the face
        (box(140, 100, 40), False),  # the neighbour
        (box(126, 100, 40), False),  # the neighbour, half hidden
    ],
)
def test_same_face(other: Floats, same: bool) -> None:
    assert same_face(box(100, 100, 40), other) is same
    assert same_face(other, box(100, 100, 40)) is same


def test_each_track_gets_its_own() -> None:
    tracks = [box(100, 100, 40), box(200, 100, 40)]
    seen = [box(203, 101, 41), box(98, 100, 40)]
    result = assign(tracks, seen)
    assert result.pairs == {0: 1, 1: 0}
    assert not result.unclear


def test_neighbours_that_touch_stay_apart() -> None:
    tracks = [box(100, 100, 40), box(126, 100, 40)]
    result = assign(tracks, [box(101, 100, 40), box(127, 100, 40)])
    assert result.pairs == {0: 0, 1: 1}


def test_one_face_between_two_tracks_is_nobodys() -> None:
    result = assign([box(100, 100, 40), box(112, 100, 40)], [box(107, 100, 40)])
    assert result.pairs == {}
    assert result.unclear == {0, 1}


def test_the_front_one_of_two_people_keeps_its_face_while_they_are_apart() -> None:
    result = assign([box(100, 100, 40), box(124, 100, 40)], [box(100, 100, 40)])
    assert result.pairs == {0: 0}
    assert not result.unclear


def test_a_track_between_two_faces_is_unclear() -> None:
    result = assign([box(100, 100, 40)], [box(88, 100, 40), box(111, 100, 40)])
    assert result.unclear == {0}


def test_nothing_to_assign() -> None:
    assert assign([], [box(1, 1, 20)]).pairs == {}
    assert assign([box(1, 1, 20)], []).pairs == {}
