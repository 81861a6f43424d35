"""Who is before the virtual camera, and where they will be."""

from __future__ import annotations

import numpy as np
import pytest

from stream.frame import Face
from stream.stages.framing.subjects import Subjects

RATE = 25
BOUNDS = (0.0, 0.0, 1280.0, 720.0)


def face(x: float, y: float = 360.0, width: float = 45.0, track_id: int = 1) -> Face:
    box = np.array([x - width / 2, y - width / 2, x + width / 2, y + width / 2], np.float32)
    return Face(track_id, box, np.zeros((6, 2), np.float32), 1.0)


def watched(places: list[tuple[float, float, float]]) -> Subjects:
    subjects = Subjects(BOUNDS)
    for x, y, width in places:
        subjects.see((face(x, y, width),), 1 / RATE)
    return subjects


def test_who_walks_is_expected_farther_on_and_at_worst_farther_still() -> None:
    subjects = watched([(400.0 + 8.0 * i, 360.0, 45.0) for i in range(30)])
    (one,) = subjects.people
    now, soon, worst = one.last[0], one.ahead(0.5)[0], one.ahead(0.5, at_worst=True)[0]
    assert now + 30.0 < soon < worst <= now + 200.0 * 0.5 + 1.0
    assert one.ahead(0.5)[1] == pytest.approx(360.0, abs=1.0)


def test_who_comes_nearer_is_expected_to_be_larger() -> None:
    subjects = watched([(640.0, 360.0, 40.0 * 1.03**i) for i in range(30)])
    (one,) = subjects.people
    assert 1.15 * one.last[2] < one.ahead(0.5, at_worst=True)[2] < 2.5 * one.last[2]


def test_who_nods_is_expected_where_he_is() -> None:
    nods = [(640.0, 360.0 + 9.0 * np.sin(9.0 * i / RATE), 45.0) for i in range(75)]
    subjects = Subjects(BOUNDS)
    for x, y, width in nods:
        subjects.see((face(x, y, width),), 1 / RATE)
        for one in subjects.people:
            assert abs(one.ahead(1.0)[1] - 360.0) < 0.8 * 45.0


def test_who_sets_off_aside_is_expected_farther_than_who_bends_down() -> None:
    way = [0.5 * 900.0 * (i / RATE) ** 2 for i in range(8)]
    (aside,) = watched([(640.0, 360.0, 45.0)] * 25 + [(640.0 + d, 360.0, 45.0) for d in way]).people
    (down,) = watched([(640.0, 360.0, 45.0)] * 25 + [(640.0, 360.0 + d, 45.0) for d in way]).people
    walks = aside.ahead(1.0, at_worst=True)[0] - aside.last[0]
    bends = down.ahead(1.0, at_worst=True)[1] - down.last[1]
    assert walks > 1.5 * bends > 0.0


def test_a_jump_of_one_frame_is_no_motion() -> None:
    subjects = watched([(640.0 if i < 40 else 658.0, 360.0, 45.0) for i in range(45)])
    (one,) = subjects.people
    assert one.ahead(1.0, at_worst=True)[0] == pytest.approx(658.0, abs=0.5)


def test_who_walks_in_is_believed_sooner_than_what_appears() -> None:
    def believed_after(speed: float) -> float:
        subjects = Subjects(BOUNDS)
        for i in range(60):
            newcomer = (face(1240.0 - speed * (i - 30) / RATE, track_id=2),) if i >= 30 else ()
            subjects.see((face(400.0), *newcomer), 1 / RATE)
            if len(subjects.people) == 2:
                return (i - 30) / RATE
        return float("inf")

    assert believed_after(250.0) <= 0.3
    assert believed_after(0.0) >= 0.75


def test_a_head_beside_the_picture_is_held_by_no_view() -> None:
    subjects = Subjects(BOUNDS)
    assert subjects.goes_out(np.array([1270.0, 360.0, 45.0]))
    assert not subjects.goes_out(np.array([1240.0, 360.0, 45.0]))
    left, top, right, bottom = subjects.head(np.array([20.0, 30.0, 45.0]))
    assert (left, top) == (0.0, 0.0)
    assert right < 1280.0
    assert bottom < 720.0
