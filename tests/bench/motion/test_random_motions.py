"""Motions for the virtual camera that nobody wrote down."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.framing import main, measure, together
from bench.motion.motions import MOTIONS, SIZE
from bench.motion.random_motions import wandering
from bench.motion.recorded_motions import FAR_PX, SECONDS, recorded, recordings
from tests.pictures import need_models

CLIPS = "CLOSEUP_CLIPS"


def test_a_number_is_a_motion_and_another_one_is_another() -> None:
    times = np.arange(0.0, 40.0, 0.5)
    one, again, other = ([wandering(n).at(float(t)) for t in times] for n in (4, 4, 6))
    assert one == again
    assert one != other


@pytest.mark.parametrize("number", range(12))
def test_people_move_smoothly_inside_the_picture_and_rest_at_the_end(number: int) -> None:
    motion = wandering(number)
    people = len(motion.at(0.0))
    for who in range(people):
        way = [motion.at(i / 25)[who] for i in range(round(25 * motion.seconds))]
        assert all(s is None or (0 < s[0] < SIZE[0] and 0 < s[1] < SIZE[1]) for s in way)
        assert all(s is None or 20 < s[2] < 230 for s in way)
        pairs = [(a, b) for a, b in pairwise(way) if a and b]
        assert max(np.hypot(b[0] - a[0], b[1] - a[1]) / b[2] for a, b in pairs) < 0.8
        late = [s for s in way[round(25 * motion.rests_s) + 1 :] if s]
        assert not late or np.ptp([s[0] for s in late]) < 0.3 * late[0][2]


def test_heads_stay_whole_and_the_view_smooth_on_motions_it_was_not_made_for() -> None:
    """Odd numbers: no constant was chosen on them."""
    rows = [measure(wandering(number), 25) for number in (1, 5, 7, 17, 19)]
    both = together("odd", rows)
    assert both.acceleration_p99 < 3.6
    assert both.acceleration_max < 12.0
    assert both.jerk_p99 < 40.0
    assert both.cut < 0.005


@pytest.mark.parametrize(("name", "own"), [("slow walk", 0.0), ("pacing", 12.0)])
def test_the_view_turns_when_the_head_does(name: str, own: float) -> None:
    row = measure(next(motion for motion in MOTIONS if motion.name == name), 25)
    assert row.own == own
    assert row.reversals <= own + 2.0, "and once in 30 s more, between moving in and following"


@pytest.mark.parametrize(
    ("name", "most", "nearly_all"),
    [
        ("quick walk", 3.5, 2.6),
        ("leaves", 7.7, 4.0),
        ("stands up", 6.1, 5.2),
        ("comes close", 4.4, 4.0),
    ],
)
def test_whoever_is_quick_is_followed_without_a_jolt(
    name: str, most: float, nearly_all: float
) -> None:
    row = measure(next(motion for motion in MOTIONS if motion.name == name), 25)
    assert row.acceleration_max < most
    assert row.acceleration_p99 < nearly_all
    assert row.cut == 0.0


def test_a_row_for_several_has_the_greatest_and_the_means() -> None:
    one, other = (measure(motion, 10) for motion in (MOTIONS[0], MOTIONS[4]))
    row = together("two", [one, other])
    assert row.acceleration_max == max(one.acceleration_max, other.acceleration_max)
    assert row.moving == pytest.approx((one.moving + other.moving) / 2)
    assert row.settle_s == other.settle_s


def test_a_real_head_moves_as_in_its_recording() -> None:
    if not os.environ.get(CLIPS):
        pytest.skip(f"no recordings of real heads; name a folder of them in {CLIPS}")
    need_models()
    from stream.stages.tracking.face_detector import FaceDetector

    with FaceDetector() as detector:
        motion = recorded(recordings([Path(os.environ[CLIPS])])[0], detector)
    spots = [motion.at(i / 25)[0] for i in range(round(25 * SECONDS))]
    widths = [spot[2] for spot in spots if spot]
    assert len(widths) == len(spots)
    assert np.median(widths) == pytest.approx(FAR_PX, rel=0.05)
    assert np.ptp([spot[0] for spot in spots if spot]) > 1.0


def test_only_names_what_is_measured_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    for only, rows in (("slow walk", ["slow walk"]), ("even", ["random, even"])):
        assert main(["--only", only, "--random", "2", "--rate", "5"]) == 0
        shown = capsys.readouterr().out.splitlines()[2:-1]
        assert [line[:22].strip() for line in shown] == rows
