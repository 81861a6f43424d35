"""Trajectories: where somebody is in a call, and when."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Waypoint:
    """A place on the way."""

    time_s: float
    x: float
    y: float
    """Centre of the face, as parts of the picture's width and height."""
    face_px: float
    """Width of the face box, px of the camera's picture."""


@dataclass(frozen=True)
class Trajectory:
    """One person's way through a call; smooth between the waypoints, at rest before and after."""

    waypoints: tuple[Waypoint, ...]
    tilt: float = 0.0
    """The head tilts to both sides by so much, radians."""
    still: bool = False
    """A picture of somebody: on the wall, or on a screen."""
    screen: bool = False
    """Somebody on a screen: moving, bluish, flickering, with few pictures a second."""
    glasses_s: float | None = None
    """From here on glasses are worn."""
    hand: tuple[float, float] | None = None
    """From and until when something passes before the face, s."""

    def at(self, time_s: float) -> Waypoint:
        """Where at one moment."""
        times = [waypoint.time_s for waypoint in self.waypoints]
        after = bisect_right(times, time_s)
        if after == 0:
            return self.waypoints[0]
        if after == len(self.waypoints):
            return self.waypoints[-1]
        a, b = self.waypoints[after - 1], self.waypoints[after]
        part = (time_s - a.time_s) / (b.time_s - a.time_s)
        part = part * part * part * (part * (6.0 * part - 15.0) + 10.0)
        # Size is the inverse of distance; the distance changes smoothly.
        return Waypoint(
            time_s,
            a.x + part * (b.x - a.x),
            a.y + part * (b.y - a.y),
            1.0 / ((1.0 - part) / a.face_px + part / b.face_px),
        )

    def tilt_at(self, time_s: float) -> float:
        """Radians, positive clockwise."""
        return self.tilt * math.sin(1.7 * time_s)
