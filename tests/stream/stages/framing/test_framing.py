"""The view: exact, inside the picture, smooth, restful, and it never cuts a head."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.frame import Face, Frame, Image
from stream.image.resample import aligned
from stream.stages.framing.framing import Framing
from stream.stages.framing.subjects import HEAD_ABOVE, HEAD_BELOW, HEAD_SIDE

SIZE = (1280, 720)
BLANK: Image = np.zeros((720, 1280, 3), np.uint8)
Rect = tuple[float, float, float, float]
Person = tuple[float, float, float]
"""Centre x, centre y and width of a face, px."""


def face(person: Person, track_id: int = 1) -> Face:
    x, y, width = person
    box = np.array([x - width / 2, y - width / 2, x + width / 2, y + width / 2], np.float32)
    return Face(track_id, box, np.zeros((6, 2), np.float32), 1.0)


def frame_at(time_s: float, people: list[Person], rate: int = 100) -> Frame:
    faces = tuple(face(person, i) for i, person in enumerate(people))
    return Frame(BLANK, 0, round(time_s * rate), Fraction(1, rate), 0, faces)


def shoot(people_at: Callable[[float], list[Person]], seconds: float, rate: int = 25) -> list[Rect]:
    framing = Framing("auto", SIZE, 1.0, Fraction(rate))
    rects = []
    for index in range(round(seconds * rate)):
        view = framing(frame_at(index / rate, people_at(index / rate))).view
        assert view is not None
        assert view.size == SIZE
        rects.append(view.rect)
    return rects


def zoom(rect: Rect) -> float:
    return SIZE[0] / (rect[2] - rect[0])


def walk(time_s: float) -> list[Person]:
    """Close for 2 s, then far within 2 s and off the middle, then back within 3 s."""
    if time_s < 7.0:
        part = min(max((time_s - 2.0) / 2.0, 0.0), 1.0)
    else:
        part = max(1.0 - (time_s - 7.0) / 3.0, 0.0)
    part = part * part * (3 - 2 * part)
    width = 1.0 / ((1 - part) / 210 + part / 40)
    return [(640 + 250 * part, 330 + 60 * part, width)]


def still(time_s: float) -> list[Person]:
    return [(700.0, 400.0, 40.0)]


@pytest.mark.parametrize("people_at", [walk, still, lambda t: [], lambda t: [(5.0, 5.0, 300.0)]])
def test_views_lie_inside_and_have_the_exact_aspect(
    people_at: Callable[[float], list[Person]],
) -> None:
    for x0, y0, x1, y1 in shoot(people_at, 10.0):
        assert x0 >= 0
        assert y0 >= 0
        assert x1 <= SIZE[0] + 1e-9
        assert y1 <= SIZE[1] + 1e-9
        assert (x1 - x0) * SIZE[1] == pytest.approx((y1 - y0) * SIZE[0], rel=1e-9)
        assert 1.0 <= zoom((x0, y0, x1, y1)) <= 4.0 + 1e-9


def test_zooms_in_on_a_far_face_and_out_when_nobody_is_left() -> None:
    rects = shoot(lambda t: still(t) if t < 6.0 else [], 18.0)
    assert rects[5] == (0.0, 0.0, 1280.0, 720.0)
    x0, y0, x1, y1 = rects[149]
    assert (y1 - y0) / 40.0 == pytest.approx(4.5, rel=0.03)
    assert x0 + 0.4 * (x1 - x0) < 700 < x0 + 0.6 * (x1 - x0)
    assert y0 + 0.35 * (y1 - y0) < 400 < y0 + 0.6 * (y1 - y0)
    assert zoom(rects[170]) > 3.8, "held for a moment after the face is lost"
    assert zoom(rects[240]) > 3.8, "and for a while: he turned away"
    assert zoom(rects[299]) < 1.01
    assert zoom(rects[-1]) < 1.01


def test_speed_and_acceleration_are_bounded() -> None:
    rate = 50
    rects = np.array(shoot(walk, 12.0, rate))
    reach = (rects[2:, 2] - rects[2:, 0])[:, None]
    speed = np.diff(rects, axis=0) * rate
    acceleration = np.abs(np.diff(speed, axis=0) * rate) / reach
    assert np.abs(speed[1:] / reach).max() < 1.0
    assert acceleration.max() < 2.2


def test_a_head_is_never_cut() -> None:
    rate = 25
    for index, (x0, y0, x1, y1) in enumerate(shoot(walk, 12.0, rate)):
        x, y, width = walk(index / rate)[0]
        assert x0 <= max(x - HEAD_SIDE * width, 0.0) + 0.01
        assert y0 <= max(y - HEAD_ABOVE * width, 0.0) + 0.01
        assert x1 >= min(x + HEAD_SIDE * width, SIZE[0]) - 0.01
        assert y1 >= min(y + HEAD_BELOW * width, SIZE[1]) - 0.01


def test_somebody_who_jumps_up_stays_in_the_picture() -> None:
    def jump(time_s: float) -> list[Person]:
        return [(640.0, 450.0 - 300.0 * min(max(time_s - 5.0, 0.0) / 0.5, 1.0), 40.0)]

    for index, (_, y0, _, _) in enumerate(shoot(jump, 7.0)):
        _, y, width = jump(index / 25)[0]
        assert y0 <= y - HEAD_ABOVE * width + 0.01


def test_rests_while_a_still_face_trembles_by_a_pixel() -> None:
    rng = np.random.default_rng(0)

    def trembling(time_s: float) -> list[Person]:
        a, b, c = rng.uniform(-1, 1, 3)
        return [(700.0 + a, 400.0 + b, 40.0 + c)]

    rects = np.array(shoot(trembling, 12.0)[150:])
    moves = np.abs(np.diff(rects, axis=0)).max(axis=1)
    assert moves.max() < 0.05, "less than a fifth of an output pixel"
    assert np.ptp(rects, axis=0).max() < 1.0


def test_a_false_alarm_moves_nothing() -> None:
    rects = shoot(lambda t: [(200.0, 200.0, 30.0)] if 1.0 < t < 1.3 else [], 4.0)
    assert set(rects) == {(0.0, 0.0, 1280.0, 720.0)}


def test_a_false_alarm_beside_somebody_moves_nothing() -> None:
    def with_alarm(time_s: float) -> list[Person]:
        return [*still(time_s), *([(200.0, 200.0, 30.0)] if 8.0 < time_s < 8.7 else [])]

    rects = np.array(shoot(with_alarm, 14.0)[175:])
    assert np.ptp(rects, axis=0).max() < 1.0


@pytest.mark.parametrize("away_s", [0.3, 1.0, 2.5])
def test_somebody_who_looks_away_and_back_moves_nothing(away_s: float) -> None:
    rects = np.array(shoot(lambda t: [] if 7.0 <= t < 7.0 + away_s else still(t), 14.0)[170:])
    assert np.ptp(rects, axis=0).max() < 1.0


def test_one_of_two_who_is_seen_now_and_then_stays_in_the_picture() -> None:
    def people_at(time_s: float) -> list[Person]:
        second = time_s < 6.0 or time_s % 5.0 < 2.0
        return [(420.0, 360.0, 50.0), *([(800.0, 380.0, 44.0)] if second else [])]

    rects = np.array(shoot(people_at, 24.0)[150:])
    assert np.ptp(rects, axis=0).max() < 1.0
    assert rects[:, 2].min() > 800 + 44


def test_somebody_who_shifts_on_the_chair_is_let_be() -> None:
    def shifting(time_s: float) -> list[Person]:
        return [(640.0 + (18.0 if time_s % 6.0 > 3.0 else 0.0), 380.0, 45.0)]

    rects = np.array(shoot(shifting, 24.0)[180:])
    assert np.ptp(rects, axis=0).max() < 1.0


def test_whoever_walks_out_is_given_up_softly() -> None:
    rate = 25
    rects = np.array(
        shoot(
            lambda t: [(640.0 + 160.0 * max(0.0, t - 6.0), 360.0, 48.0)] if t < 9.9 else [],
            18.0,
            rate,
        )
    )
    assert zoom(tuple(rects[-1])) < 1.01
    wide = (rects[:, 2] - rects[:, 0])[round(10.8 * rate) :]
    assert np.diff(wide).min() > -0.01, "it widens, and never turns back"


def test_two_people_are_both_shown() -> None:
    people = [(300.0, 350.0, 50.0), (900.0, 330.0, 44.0)]
    x0, _, x1, _ = shoot(lambda t: people, 6.0)[-1]
    assert x0 < 300 - 50
    assert x1 > 900 + 44
    assert 1.2 < SIZE[0] / (x1 - x0) < 2.0


def test_time_comes_from_pts_and_not_from_the_number_of_frames() -> None:
    slow, fast = shoot(walk, 9.0, 20), shoot(walk, 9.0, 100)
    for index, rect in enumerate(slow):
        assert rect == pytest.approx(fast[min(index * 5, len(fast) - 1)], abs=60.0)


def test_a_clock_that_stands_still_or_jumps_does_no_harm() -> None:
    framing = Framing("auto", SIZE, 1.0, Fraction(25))
    for time_s in (0.0, 0.0, 0.0, 500.0, 500.04, 3.0, 3.04):
        view = framing(frame_at(time_s, still(0.0))).view
        assert view is not None
        assert all(math.isfinite(v) for v in view.rect)


@pytest.mark.parametrize(
    ("source", "scale", "output"),
    [
        ((1280, 720), 2.0, (2560, 1440)),
        ((853, 480), 1.0, (852, 480)),
        ((641, 361), 1.5, (960, 540)),
        ((1279, 719), 1.0, (1278, 718)),
    ],
)
def test_fixed_shows_the_whole_picture_on_an_even_canvas(
    source: tuple[int, int], scale: float, output: tuple[int, int]
) -> None:
    framing = Framing("fixed", source, scale, Fraction(25))
    assert framing.output_size == output
    picture = np.zeros((source[1], source[0], 3), np.uint8)
    view = framing(Frame(picture, 0, 0, Fraction(1, 25), 0)).view
    assert view is not None
    x0, y0, x1, y1 = view.rect
    assert (x1 - x0) * output[1] == pytest.approx((y1 - y0) * output[0])
    assert 0.0 <= x0 <= 2.0
    assert 0.0 <= y0 <= 2.0
    assert source[0] - 2.0 <= x1 <= source[0]
    assert source[1] - 2.0 <= y1 <= source[1]


def test_impossible_options_and_surprising_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="scale"):
        Framing("fixed", SIZE, 9.0, Fraction(25))
    with pytest.raises(ConfigError, match="too small"):
        Framing("auto", (8, 8), 1.0, Fraction(25))
    with pytest.raises(ConfigError, match="300x1 is too small"):
        Framing("fixed", (300, 1), 2.0, Fraction(25))
    with pytest.raises(ValueError, match="in a run of"):
        Framing("auto", (640, 360), 1.0, Fraction(25))(frame_at(0.0, []))


def test_a_view_stands_on_whole_pixels_and_says_when_it_moves() -> None:
    framing = Framing("auto", SIZE, 1.0, Fraction(25))
    views = []
    for index in range(25 * 9):
        view = framing(frame_at(index / 25, [(700.3, 380.7, 44.0)])).view
        assert view is not None
        views.append(view)
    for before, now in pairwise(views):
        assert now.moving == (now.rect != before.rect)
    last = views[-1]
    assert zoom(last.rect) > 3.0
    assert not any(view.moving for view in views[-20:])
    assert aligned(last.rect, SIZE, SIZE) == pytest.approx(last.rect, abs=1e-6)
    assert sum(view.moving for view in views) > 50
