"""MotionProfile: moves a view like a camera with weight: eases in, does not overshoot, eases
out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""float64 (3,): left, top and width of a view, px of the frame."""
State = tuple[float, float, float]
"""The same, or its change, as plain numbers: one step costs microseconds."""

EASE_HZ = 5.0
"""Rate of the approach, 1/s, at the very end."""
MAX_SPEED = 0.9
MAX_ACCELERATION = 1.2
"""View widths a second, and a second squared."""
WIDEN = 1.5
"""Widening the view may be this much faster: somebody who comes near must not be cut."""
BRAKES = 2.0
"""And so may braking and turning back."""
STEER_HZ = 14.0
"""Rate at which the speed becomes the planned one, 1/s."""
ONSET_S = 0.07
"""Acceleration comes and goes with this time constant: a push, not a jolt."""
STEP_S = 1.0 / 120.0
"""The motion is computed in steps this small, so that it is the same at any frame rate."""

COARSE_S = 0.025
"""And what is only thought of, in steps this small."""


class MotionProfile:
    """A view on its way to a goal.

    Left, top and width follow one common path with one common speed, planned so that the view can
    always stop at the goal. The bounds of all three are linear in them, so the way between two good
    views is good all along.

    Args: at: where it begins, at rest.
    """

    def __init__(self, at: Vector) -> None:
        self._at = _plain(at)
        self._speed: State = (0.0, 0.0, 0.0)
        self._push: State = (0.0, 0.0, 0.0)

    @property
    def at(self) -> Vector:
        """Where the view is."""
        return np.array(self._at)

    @property
    def pace(self) -> float:
        """View widths a second, of the fastest of the three."""
        return max(map(abs, self._speed)) / self._at[2]

    def move(self, goal: Vector, step_s: float, patience: float = 1.0) -> None:
        """Move on by `step_s` s.

        Args: patience: 1 for the usual haste, 3 for a third of it, 0.5 for twice.
        """
        steps = max(1, math.ceil(step_s / STEP_S))
        wanted = _plain(goal)
        for _ in range(steps):
            self._step(wanted, step_s / steps, 1.0 / patience)

    def ahead(self, goal: Vector, steps: int, step_s: float, patience: float) -> list[State]:
        """Where it would be after each of some steps; it stays where it is.

        Args: goal: where it is to go. steps: how many, of step_s seconds each. patience: as of
              `move`.
        """
        kept = self._at, self._speed, self._push
        wanted, way = _plain(goal), []
        parts = math.ceil(step_s / (COARSE_S * min(patience, 1.0)))
        for _ in range(steps):
            for _ in range(parts):
                self._step(wanted, step_s / parts, 1.0 / patience)
            way.append(self._at)
        self._at, self._speed, self._push = kept
        return way

    def place(self, at: Vector, speed: Vector | None = None) -> None:
        """Put it elsewhere; its speed stays, or is given, px a second."""
        self._at = _plain(at)
        if speed is not None:
            self._speed = _plain(speed)

    def stop(self, at: Vector) -> None:
        """Put it where it comes to rest."""
        self._at = _plain(at)
        self._speed = self._push = (0.0, 0.0, 0.0)

    @property
    def speed(self) -> Vector:
        """Px a second."""
        return np.array(self._speed)

    def _step(self, goal: State, step_s: float, haste: float) -> None:
        reach = self._at[2]
        way = _minus(goal, self._at)
        far = _length(way)
        widens = WIDEN if way[2] > 0.0 else 1.0
        most = haste * haste * widens * MAX_ACCELERATION
        wanted: State = (0.0, 0.0, 0.0)
        if far > 0.0:
            pace = _pace(far * _per_px(reach, goal[2]), haste, widens, most)
            wanted = _times(way, pace * reach / far)
        push = _times(_minus(wanted, self._speed), haste * STEER_HZ)
        strength = _length(push) / reach
        # A view that cannot brake shoots past its goal.
        if _along(push, self._speed) < 0.0:
            most *= BRAKES
        if strength > most:
            push = _times(push, most / strength)
        share = 1.0 - math.exp(-haste * step_s / ONSET_S)
        self._push = _plus(self._push, _minus(push, self._push), share)
        self._speed = _plus(self._speed, self._push, step_s)
        self._at = _plus(self._at, self._speed, step_s)


def _pace(distance: float, haste: float, widens: float, most: float) -> float:
    """View widths a second from which braking with `most` ends at the goal, and eases out."""
    slack = most / (haste * EASE_HZ)
    return min(math.sqrt(slack * slack + 2.0 * most * distance) - slack, haste * widens * MAX_SPEED)


def _per_px(width: float, goal: float) -> float:
    """View widths a px, on average over a way on which the width changes like this."""
    change = goal - width
    return math.log(goal / width) / change if abs(change) > 1e-3 * width else 1.0 / width


def _plain(view: Vector) -> State:
    return float(view[0]), float(view[1]), float(view[2])


def _minus(a: State, b: State) -> State:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _plus(a: State, b: State, times: float) -> State:
    return a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]


def _times(a: State, by: float) -> State:
    return a[0] * by, a[1] * by, a[2] * by


def _along(a: State, b: State) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _length(a: State) -> float:
    return math.sqrt(_along(a, a))
