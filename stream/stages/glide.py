"""Glide: moves a view like a camera with weight: eases in, does not overshoot, eases out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""float64 (3,): left, top and width of a view, px of the frame."""

EASE_HZ = 3.5
"""Rate of the approach, 1/s, near the goal."""
MAX_SPEED = 0.9
MAX_ACCELERATION = 1.2
"""View widths a second, and a second squared."""
WIDEN = 2.0
"""Widening the view may be this much faster: somebody who comes near must not be cut."""
ONSET_S = 0.07
"""Acceleration comes and goes with this time constant: a push, not a jolt."""
STEP_S = 1.0 / 120.0
"""The motion is computed in steps this small, so that it is the same at any frame rate."""


class Glide:
    """A view on its way to a goal.

    Left, top and width follow one common path with one common speed limit. The bounds of all three
    are linear in them, so the way between two good views is good all along.

    Args: at: where it begins, at rest.
    """

    def __init__(self, at: Vector) -> None:
        self.at = at.copy()
        self._speed: Vector = np.zeros(3)
        self._push: Vector = np.zeros(3)

    @property
    def pace(self) -> float:
        """View widths a second, of the fastest of the three."""
        return float(np.abs(self._speed).max() / self.at[2])

    def move(self, goal: Vector, step_s: float, patience: float = 1.0) -> None:
        """Move on by `step_s` s. Args: patience: 1 for the usual haste, 3 for a third of it."""
        steps = max(1, math.ceil(step_s / STEP_S))
        for _ in range(steps):
            self._step(goal, step_s / steps, patience)

    def place(self, at: Vector) -> None:
        """Put it elsewhere; its speed stays."""
        self.at = at

    def stop(self, at: Vector) -> None:
        """Put it where it comes to rest."""
        self.at = at.copy()
        self._speed, self._push = np.zeros(3), np.zeros(3)

    def _step(self, goal: Vector, step_s: float, patience: float) -> None:
        reach = self.at[2]
        way = goal - self.at
        limit = (WIDEN if way[2] > 0.0 else 1.0) / patience
        # A critically damped spring; one that is stretched no farther than to the greatest speed.
        distance = float(np.linalg.norm(way)) / reach
        farthest = 2.0 * limit * MAX_SPEED / EASE_HZ
        if distance > farthest:
            way = way * (farthest / distance)
        push = EASE_HZ * (EASE_HZ * way - 2.0 * self._speed)
        strength = float(np.linalg.norm(push)) / reach
        # Only speeding up is limited: a view that cannot brake shoots past its goal.
        if strength > limit * MAX_ACCELERATION and float(push @ self._speed) >= 0.0:
            push *= limit * MAX_ACCELERATION / strength
        self._push += (push - self._push) * (1.0 - math.exp(-step_s / ONSET_S))
        self._speed = self._speed + self._push * step_s
        self.at = self.at + self._speed * step_s
