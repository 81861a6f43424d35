"""Motions: how people move before the virtual camera, written down.

Each is a function of the time in seconds that says where everybody's face really is. Nobody is a
statue: everyone sways a little, as people do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

SIZE = (1280, 720)
"""(width, height) of the camera's picture, px."""

FALSE_PX = 30.0
"""A face of just this width is a false alarm."""

Spot = tuple[float, float, float]
"""Centre x, centre y and width of a face box, px."""
Cast = list[Spot | None]
"""Where each person's face is; None for whoever is not in the picture."""


@dataclass(frozen=True)
class Motion:
    """One scripted motion."""

    name: str
    at: Callable[[float], Cast]
    seconds: float = 30.0
    rests_s: float = 0.0
    """From here on everybody holds still, but for swaying."""
    blind: Callable[[float], set[int]] = lambda _: set()
    """Who is not found by the detector although he is there."""


def ease(time_s: float, start_s: float, end_s: float) -> float:
    """0 before `start_s`, 1 after `end_s`, and between them the way that jerks least.

    Args: start_s, end_s: of the motion.
    """
    part = min(max((time_s - start_s) / (end_s - start_s), 0.0), 1.0)
    return part * part * part * (part * (6.0 * part - 15.0) + 10.0)


def sway(time_s: float, spot: Spot, seed: float = 0.0) -> Spot:
    """A few hundredths of a face width, at the rates of breath and balance.

    Args: spot: (x, y, width), where the head would be at rest. seed: another rhythm.
    """
    x, y, width = spot
    right = 0.05 * math.sin(1.6 * time_s + seed) + 0.03 * math.sin(3.7 * time_s + 2.0 * seed)
    down = 0.03 * math.sin(1.2 * time_s + 3.0 * seed) + 0.015 * math.sin(4.3 * time_s)
    return x + right * width, y + down * width, width * (1.0 + 0.01 * math.sin(0.9 * time_s))


def _near_to_far(part: float, near: float = 200.0, far: float = 42.0) -> float:
    """Size is the inverse of distance, which changes evenly."""
    return 1.0 / ((1.0 - part) / near + part / far)


def _still(time_s: float) -> Cast:
    return [sway(time_s, (720.0, 380.0, 45.0))]


def _nod(time_s: float) -> Cast:
    """Nods for two seconds in every six, and leans aside in between."""
    x, y, width = sway(time_s, (620.0, 360.0, 45.0))
    nodding = 1.0 if time_s % 6.0 < 2.0 else 0.0
    lean = ease(time_s % 12.0, 7.0, 8.0) - ease(time_s % 12.0, 10.0, 11.0)
    return [(x + 0.5 * width * lean, y + 0.2 * width * nodding * math.sin(9.0 * time_s), width)]


def _restless(time_s: float) -> Cast:
    """Shifts to another place on the bench every three seconds, by less than a face width."""
    places = (0.0, 0.6, -0.3, 0.4, -0.6, 0.1, 0.5, -0.5, 0.0, 0.3, 0.3)
    now = min(int(time_s / 3.0), len(places) - 2)
    way = ease(time_s - 3.0 * now, 2.2, 3.0)
    shift = places[now] + way * (places[now + 1] - places[now])
    return [sway(time_s, (640.0 + 45.0 * shift, 370.0, 45.0))]


def _slow_walk(time_s: float) -> Cast:
    return [sway(time_s, (380.0 + 480.0 * ease(time_s, 5.0, 17.0), 370.0, 45.0))]


def _quick_walk(time_s: float) -> Cast:
    return [sway(time_s, (280.0 + 720.0 * ease(time_s, 5.0, 7.5), 360.0, 50.0))]


def _pacing(time_s: float) -> Cast:
    """To and fro without a pause."""
    return [sway(time_s, (640.0 - 260.0 * math.cos(time_s * 2.0 * math.pi / 9.0), 360.0, 45.0))]


def _away(time_s: float) -> Cast:
    part = ease(time_s, 5.0, 7.5)
    spot = (640.0 + 180.0 * part, 400.0 - 40.0 * part, _near_to_far(part))
    return [sway(time_s, spot)]


def _coming(time_s: float) -> Cast:
    part = 1.0 - ease(time_s, 6.0, 7.8)
    spot = (640.0 + 180.0 * part, 400.0 - 40.0 * part, _near_to_far(part))
    return [sway(time_s, spot)]


def _stands_up(time_s: float) -> Cast:
    return [sway(time_s, (660.0, 440.0 - 180.0 * ease(time_s, 6.0, 7.0), 45.0))]


def _leaves(time_s: float) -> Cast:
    x = 620.0 + 800.0 * ease(time_s, 6.0, 9.5)
    return [sway(time_s, (x, 370.0, 48.0)) if x < SIZE[0] else None]


def _two(time_s: float) -> Cast:
    return [
        sway(time_s, (420.0, 360.0, 50.0)),
        sway(time_s, (800.0, 380.0, 44.0), seed=1.0),
    ]


def _one_leaves(time_s: float) -> Cast:
    x = 800.0 + 650.0 * ease(time_s, 8.0, 11.0)
    second = sway(time_s, (x, 380.0, 44.0), seed=1.0)
    return [sway(time_s, (420.0, 360.0, 50.0)), second if x < SIZE[0] else None]


def _joins(time_s: float) -> Cast:
    x = 1400.0 - 560.0 * ease(time_s, 7.0, 10.0)
    second = sway(time_s, (x, 380.0, 44.0), seed=1.0)
    return [sway(time_s, (420.0, 360.0, 50.0)), second if x < SIZE[0] else None]


def _looks_away(time_s: float) -> set[int]:
    """Not found for 0.3 to 2.5 s, again and again."""
    gone = ((6.0, 6.3), (9.0, 9.8), (13.0, 14.5), (19.0, 21.5), (25.0, 25.5))
    return {0} if any(start <= time_s < end for start, end in gone) else set()


def _flickers(time_s: float) -> set[int]:
    """The second person is found for two seconds in every five."""
    return {1} if time_s > 6.0 and time_s % 5.0 > 2.0 else set()


def _false_alarm(time_s: float) -> Cast:
    """A still person; something in the room looks like a face for a second, twice."""
    wrong: Spot | None = (1000.0, 200.0, FALSE_PX)
    if not (8.0 <= time_s < 9.0 or 16.0 <= time_s < 16.6):
        wrong = None
    return [*_still(time_s), wrong]


MOTIONS = (
    Motion("still", _still),
    Motion("nods, leans", _nod),
    Motion("restless", _restless),
    Motion("slow walk", _slow_walk, rests_s=17.0),
    Motion("quick walk", _quick_walk, 20.0, rests_s=7.5),
    Motion("pacing", _pacing),
    Motion("goes far", _away, 20.0, rests_s=7.5),
    Motion("comes close", _coming, 20.0, rests_s=7.8),
    Motion("stands up", _stands_up, 20.0, rests_s=7.0),
    Motion("leaves", _leaves, 20.0, rests_s=8.6),
    Motion("looks away", _still, blind=_looks_away),
    Motion("two", _two),
    Motion("one leaves", _one_leaves, rests_s=10.2),
    Motion("one joins", _joins, rests_s=10.0),
    Motion("one flickers", _two, blind=_flickers),
    Motion("false alarm", _false_alarm),
)
