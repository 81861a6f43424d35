"""A view that eases in, never shoots past its goal, and takes the same way at any frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from stream.stages.framing.motion_profile import (
    MAX_ACCELERATION,
    MAX_SPEED,
    WIDEN,
    MotionProfile,
    Vector,
)

WIDE: Vector = np.array([0.0, 0.0, 1280.0])
CLOSE: Vector = np.array([540.0, 210.0, 360.0])
ASIDE: Vector = np.array([620.0, 210.0, 360.0])


def path(start: Vector, goal: Vector, seconds: float = 8.0, rate: int = 50) -> Vector:
    motion = MotionProfile(start)
    way = [start.copy()]
    for _ in range(round(seconds * rate)):
        motion.move(goal, 1 / rate)
        way.append(motion.at.copy())
    return np.array(way)


WAYS = [(WIDE, CLOSE), (CLOSE, WIDE), (CLOSE, ASIDE)]


@pytest.mark.parametrize(("start", "goal"), WAYS)
def test_it_arrives_and_never_turns_back(start: Vector, goal: Vector) -> None:
    way = path(start, goal)
    assert np.abs(way[-1] - goal).max() < 0.5
    toward = np.diff(way, axis=0) * np.sign(goal - start)
    assert toward.min() > -0.01


@pytest.mark.parametrize(("start", "goal"), WAYS)
def test_it_eases_in_and_out_within_its_limits(start: Vector, goal: Vector) -> None:
    rate = 50
    way = path(start, goal, rate=rate)
    reach = way[:, 2]
    speed = np.diff(way, axis=0) * rate
    limit = WIDEN if goal[2] > start[2] else 1.0
    # A view that gets narrower while it moves gets faster in its own widths.
    assert (np.linalg.norm(speed, axis=1) / reach[1:]).max() <= 1.25 * limit * MAX_SPEED
    push = np.linalg.norm(np.diff(speed[:10], axis=0), axis=1) * rate / reach[1:10]
    assert push.max() <= 1.05 * limit * MAX_ACCELERATION
    assert np.linalg.norm(speed[0]) < 0.2 * np.linalg.norm(speed[8])


def test_the_way_is_the_same_at_any_rate() -> None:
    slow, fast = path(WIDE, CLOSE, rate=10), path(WIDE, CLOSE, rate=60)
    assert np.abs(slow - fast[::6]).max() < 3.0


def test_patience_takes_longer() -> None:
    motion, patient = MotionProfile(CLOSE), MotionProfile(CLOSE)
    for _ in range(50):
        motion.move(WIDE, 0.02)
        patient.move(WIDE, 0.02, patience=3.0)
    assert patient.at[2] - CLOSE[2] < 0.6 * (motion.at[2] - CLOSE[2])


def test_a_straight_way() -> None:
    way = path(WIDE, CLOSE)
    part = (way - WIDE) / (CLOSE - WIDE)
    assert np.ptp(part, axis=1).max() < 1e-6


def test_where_it_stops_it_rests() -> None:
    motion = MotionProfile(WIDE)
    for _ in range(20):
        motion.move(CLOSE, 1 / 25)
    assert motion.pace > 0.0
    motion.stop(ASIDE)
    motion.move(ASIDE, 1 / 25)
    assert np.array_equal(motion.at, ASIDE)
    assert motion.pace == 0.0
