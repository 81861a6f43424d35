"""How many faces are followed, and at which frame rates."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from stream.quality_ladder import EVERYBODY, FULL
from stream.stages.tracking.tracker import STEADY_EVERY, Tracker
from tests.followed_scene import GREY, Restless, Scene, Spot
from tests.pictures import frame_of


def test_no_more_faces_than_the_limit_and_that_is_said_once() -> None:
    limits: list[int] = []
    scene = Scene()
    scene.tracker = Tracker(scene.detector, on_limit=limits.append, still_tiles=Restless())
    crowd: list[Spot] = [(100 + 120 * i, 300, 60) for i in range(9)]
    for _ in range(20):
        assert len(scene.ids(*crowd)) == FULL.followed
    assert limits == [FULL.followed]


def test_near_faces_take_no_place_from_far_ones() -> None:
    scene = Scene()
    near: list[Spot] = [(110 + 160 * i, 500, 110) for i in range(FULL.followed)]
    far: list[Spot] = [(100 + 120 * i, 150, 50) for i in range(FULL.followed)]
    for _ in range(20):
        assert len(scene.ids(*near, *far)) == 2 * FULL.followed


@pytest.mark.parametrize("people", [9, 16, 25, 49])
def test_every_face_of_a_gallery_is_followed(people: int) -> None:
    limits: list[int] = []
    scene = Scene()
    scene.tracker = Tracker(scene.detector, EVERYBODY, limits.append, Restless())
    side = round(people**0.5)
    gallery: list[Spot] = [
        ((column + 0.5) * 1280 / side, (row + 0.5) * 720 / side, 52)
        for row in range(side)
        for column in range(side)
    ]
    for _ in range(5):
        assert len(scene.ids(*gallery)) == people
    assert limits == []


def test_recordings_are_searched_more_finely() -> None:
    scene, small = Scene(), (1000.0, 600.0, 18.0)
    assert [scene.ids(small) for _ in range(20)] == [[]] * 20
    scene = Scene()
    scene.tracker = Tracker(scene.detector, EVERYBODY, still_tiles=Restless())
    assert scene.ids(small) == [1], "a thumbnail beside a shared screen"
    # A newcomer beside somebody who is known.
    for _ in range(13 * STEADY_EVERY + 3):
        scene.show(small, (300.0, 200.0, 18.0))
    assert scene.ids(small, (300.0, 200.0, 18.0)) == [1, 2]


@pytest.mark.parametrize("step_s", [0.4, 1.0, 1.2, 4.0])
def test_faces_are_followed_where_pictures_are_far_apart(step_s: float) -> None:
    scene = Scene(fps=1)
    for index in range(12):
        spots: list[Spot] = [(500, 300, 60), (900, 200, 40)]
        scene.detector.faces = spots[: 1 + (index >= 4)]
        frame = frame_of(GREY, index)
        frame = replace(frame, pts=round(index * step_s * 1000), time_base=Fraction(1, 1000))
        ids = [face.track_id for face in scene.tracker(frame).faces]
        assert ids == ([1] if index < 4 else [1, 2]), "whoever comes is there at once"


def test_after_a_pause_it_is_somebody_else() -> None:
    scene = Scene()
    for _ in range(20):
        assert scene.ids((500, 300, 60)) == [1]
    scene.index += 30 * 20
    assert scene.ids((500, 300, 60)) != [1]


def test_at_a_high_rate_the_same_work_is_done_in_a_second() -> None:
    scene, spot = Scene(fps=240), (600.0, 300.0, 60.0)
    for _ in range(5):
        scene.show(spot)
    scene.detector.regions.clear()
    for _ in range(240):
        assert scene.ids(spot) == [1]
    assert sum(model == "full" for _, model in scene.detector.regions) == 60 / STEADY_EVERY
    # A false alarm of three frames is none of three thirtieths of a second.
    for _ in range(6):
        assert scene.ids(spot, (900, 200, 90)) == [1]


@pytest.mark.parametrize("fps", [4, 8, 10, 25])
def test_one_missed_picture_makes_no_face_blink(fps: int) -> None:
    scene, spot = Scene(fps=fps), (600.0, 300.0, 60.0)
    for _ in range(10):
        scene.show(spot)
    assert scene.ids() == [1]
    assert scene.ids(spot) == [1]
