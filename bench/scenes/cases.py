"""Cases: the calls of the bench."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.scenes.trajectories import Trajectory, Waypoint
from stream.media.codec_line import Codec

Light = tuple[float, float, float]
DAYLIGHT: Light = (1.0, 1.0, 1.0)
CLOSE_PX, FAR_PX = 116.0, 40.0
"""Widths of face boxes: a headshot of 232 px is an exemplar, one of 80 px is far away."""
FAR_MOST_PX = 62.0
"""Faces up to this width usually count as far."""


@dataclass(frozen=True)
class Case:
    """What happens in a call, and what the camera and the line do to it."""

    name: str
    trajectories: tuple[Trajectory, ...]
    duration_s: float
    codec: Codec | None = "h264"
    bits: float = 1.0
    """Of the line, over those of an ordinary call."""
    noise: float = 1.0
    """Of the camera, over that of an ordinary webcam."""
    light: tuple[Light, Light] = (DAYLIGHT, DAYLIGHT)
    """Gains of red, green and blue at the start, and from `dims_s` on."""
    dims_s: float = 0.0
    frozen_s: float | None = None
    """From here on nothing moves any more, but the camera's noise."""
    desk: bool = False
    far_most_px: float = FAR_MOST_PX
    """Faces up to this width count as far, and are looked at."""

    def light_at(self, time_s: float) -> Light:
        """Gains of red, green and blue; they change within half a second."""
        part = min(max((time_s - self.dims_s) / 0.5, 0.0), 1.0) if self.dims_s else 1.0
        first, then = self.light
        red, green, blue = (a + part * (b - a) for a, b in zip(first, then, strict=True))
        return red, green, blue


def _away(far_px: float, start: float, end: float, x: float = 0.5, to: float = 0.55) -> Trajectory:
    """Close until `start`, far from `end` on, and never quite still."""
    return Trajectory(
        (
            Waypoint(0.0, x, 0.52, CLOSE_PX),
            Waypoint(start, x + 0.02, 0.5, 1.04 * CLOSE_PX),
            Waypoint(end, to, 0.42, far_px),
            Waypoint(end + 1.5, to + 0.02, 0.43, 1.03 * far_px),
            Waypoint(end + 3.0, to - 0.01, 0.42, 0.98 * far_px),
        )
    )


def _far(far_px: float, x: float, y: float = 0.42) -> Trajectory:
    return Trajectory(
        (Waypoint(0.0, x, y, far_px), Waypoint(3.0, x + 0.02, y + 0.01, 1.03 * far_px))
    )


def _walk(name: str, s: float, far_px: float = FAR_PX) -> Case:
    return Case(name, (_away(far_px, 2.2 * s, 3.0 * s),), 6.0 * s)


def _plain(s: float) -> Case:
    return _walk("walk", s)


def _vp8(s: float) -> Case:
    return replace(_walk("vp8", s, 32.0), codec="vp8")


def _thin(s: float) -> Case:
    return replace(_walk("thin", s), bits=0.4)


def _tiny(s: float) -> Case:
    return _walk("tiny", s, 22.0)


def _distant(s: float) -> Case:
    """A headshot of 30 px: x8, where the output is more than four times as large (`--scale 6`)."""
    return _walk("distant", s, 15.0)


def _middling(s: float) -> Case:
    return _walk("middling", s, 58.0)


def _half_way(s: float) -> Case:
    return replace(_walk("half-way", s, 80.0), far_most_px=84.0)


def _frozen(s: float) -> Case:
    return replace(_walk("frozen", s), codec=None, frozen_s=3.2 * s)


def _frozen_codec(s: float) -> Case:
    return replace(_frozen(s), name="frozen-codec", codec="h264")


def _stroll(s: float) -> Case:
    away = _away(FAR_PX, 2.0 * s, 2.8 * s, to=0.25).waypoints[:3]
    more = Waypoint(4.4 * s, 0.75, 0.44, 30.0), Waypoint(6.0 * s, 0.3, 0.42, 52.0)
    return Case("stroll", (Trajectory((*away, *more)),), 6.0 * s)


def _tilt(s: float) -> Case:
    walk = _walk("tilt", s)
    return replace(walk, trajectories=(replace(walk.trajectories[0], tilt=0.35),))


def _hand(s: float) -> Case:
    walk = _walk("hand", s)
    return replace(walk, trajectories=(replace(walk.trajectories[0], hand=(3.6 * s, 5.4 * s)),))


def _dark(s: float) -> Case:
    dim = (0.34, 0.32, 0.28)
    return replace(_walk("dark", s), noise=2.2, light=(dim, dim))


def _lamp(s: float) -> Case:
    light = (1.0, 1.0, 1.0), (0.85, 0.66, 0.45)
    return replace(_walk("lamp", s), noise=1.4, light=light, dims_s=3.0 * s)


def _never_close(s: float) -> Case:
    return Case("never-close", (_far(FAR_PX, 0.5),), 3.0 * s)


def _back_again(s: float) -> Case:
    """Leaves, stays away for two seconds and comes back to another place."""
    away = _away(FAR_PX, 1.8 * s, 2.6 * s).waypoints[:3]
    out = Waypoint(4.0 * s, 1.25, 0.42, FAR_PX), Waypoint(4.0 * s + 2.0, 1.25, 0.42, FAR_PX)
    here = Waypoint(5.0 * s + 2.0, 0.35, 0.42, FAR_PX), Waypoint(7.0 * s + 2.0, 0.36, 0.42, FAR_PX)
    return Case("back-again", (Trajectory((*away, *out, *here)),), 7.0 * s + 2.0)


def _two(s: float) -> Case:
    left = _away(FAR_PX, 2.2 * s, 3.0 * s, 0.24, 0.35)
    right = _away(0.85 * FAR_PX, 2.2 * s, 3.2 * s, 0.74, 0.65)
    return Case("two", (left, right), 6.0 * s)


def _swap(s: float) -> Case:
    """Two people change seats on their way back, one in front of the other."""
    left = _away(FAR_PX, 2.2 * s, 4.0 * s, 0.24, 0.68)
    right = _away(0.8 * FAR_PX, 2.2 * s, 4.0 * s, 0.74, 0.32)
    return Case("swap", (left, right), 6.5 * s)


def _cross(s: float) -> Case:
    """Far away, two people walk past each other, to and fro."""
    ways = []
    for near, x in ((1.0, 0.24), (0.85, 0.74)):
        waypoints = [*_away(near * FAR_PX, 1.8 * s, 2.6 * s, x, x).waypoints[:3]]
        for step in range(1, 4):
            waypoints.append(
                Waypoint((2.6 + 1.3 * step) * s, 0.98 - x if step % 2 else x, 0.42, near * 40)
            )
        ways.append(Trajectory(tuple(waypoints)))
    return Case("cross", (ways[0], ways[1]), 6.6 * s)


def _seat(s: float) -> Case:
    """One leaves, another, who was close before, takes the seat."""
    first = _away(FAR_PX, 1.8 * s, 2.6 * s, 0.24, 0.5).waypoints[:3]
    gone = Waypoint(3.4 * s, 0.5, 0.42, FAR_PX), Waypoint(4.2 * s, -0.25, 0.42, FAR_PX)
    second = _away(FAR_PX, 1.8 * s, 2.6 * s, 0.74, 1.25).waypoints[:3]
    wait = Waypoint(4.0 * s, 1.25, 0.42, FAR_PX)
    sits = Waypoint(5.0 * s, 0.5, 0.42, FAR_PX), Waypoint(7.0 * s, 0.51, 0.42, FAR_PX)
    return Case("seat", (Trajectory((*first, *gone)), Trajectory((*second, wait, *sits))), 7.0 * s)


def _wall(s: float) -> Case:
    """A portrait of somebody else hangs on the wall."""
    portrait = Trajectory((Waypoint(0.0, 0.83, 0.3, 0.8 * FAR_PX),), still=True)
    return Case("wall", (_away(FAR_PX, 2.2 * s, 3.0 * s, 0.35, 0.62), portrait), 6.0 * s)


def _wall_behind(s: float) -> Case:
    """The portrait hangs where the person is far away: walked past, to and fro, close before it."""
    portrait = Trajectory((Waypoint(0.0, 0.6, 0.36, 0.75 * FAR_PX),), still=True)
    away = _away(FAR_PX, 2.0 * s, 2.8 * s, 0.35, 0.42).waypoints[:3]
    more = Waypoint(4.2 * s, 0.78, 0.43, FAR_PX), Waypoint(5.4 * s, 0.56, 0.42, 0.95 * FAR_PX)
    return Case("wall-behind", (Trajectory((*away, *more)), portrait), 6.4 * s)


def _screen(s: float) -> Case:
    """A face on a screen, as large as the person's."""
    shown = Trajectory((Waypoint(0.0, 0.8, 0.34, 0.9 * FAR_PX),), screen=True)
    return Case("screen", (_away(FAR_PX, 2.2 * s, 3.0 * s, 0.35, 0.55), shown), 6.0 * s)


def _glasses(s: float) -> Case:
    walk = _walk("glasses", s)
    return replace(walk, trajectories=(replace(walk.trajectories[0], glasses_s=0.0),))


def _glasses_on(s: float) -> Case:
    """Glasses that no exemplar has: put on when already far away."""
    walk = _walk("glasses-on", s)
    return replace(walk, trajectories=(replace(walk.trajectories[0], glasses_s=3.4 * s),))


def after_sitting(case: Case, seconds: float) -> Case:
    """The same, after everybody has stayed for so long where they are at first."""

    def later(one: Trajectory) -> Trajectory:
        return replace(
            one,
            waypoints=tuple(replace(w, time_s=w.time_s + seconds) for w in one.waypoints),
            glasses_s=one.glasses_s + seconds if one.glasses_s else one.glasses_s,
            hand=None if one.hand is None else (one.hand[0] + seconds, one.hand[1] + seconds),
        )

    return replace(
        case,
        trajectories=tuple(map(later, case.trajectories)),
        duration_s=case.duration_s + seconds,
        dims_s=case.dims_s + seconds if case.dims_s else 0.0,
        frozen_s=None if case.frozen_s is None else case.frozen_s + seconds,
    )


CASES: dict[str, Callable[[float], Case]] = {
    "walk": _plain,
    "frozen": _frozen,
    "swap": _swap,
    "vp8": _vp8,
    "thin": _thin,
    "tiny": _tiny,
    "distant": _distant,
    "middling": _middling,
    "half-way": _half_way,
    "frozen-codec": _frozen_codec,
    "stroll": _stroll,
    "tilt": _tilt,
    "hand": _hand,
    "dark": _dark,
    "lamp": _lamp,
    "never-close": _never_close,
    "back-again": _back_again,
    "two": _two,
    "cross": _cross,
    "seat": _seat,
    "wall": _wall,
    "wall-behind": _wall_behind,
    "screen": _screen,
    "glasses": _glasses,
    "glasses-on": _glasses_on,
}
"""By name, each made for a pace: 1 is an unhurried call, smaller is shorter."""
QUICK = ("walk", "frozen", "swap")
