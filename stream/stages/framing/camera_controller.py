"""CameraController: decides what the virtual camera shows, and when it is worth moving.

A careful camera operator waits, then moves once, and far enough. So there is a dead zone with
dwell time at rest, and hysteresis of the goal in motion. It predicts, too: of several motion
profiles to the goal, from calm to quick, it takes the calmest that cuts nobody's head.
"""

from __future__ import annotations

import math

import numpy as np

from stream.frame import Face
from stream.image.resample import Rect, Size, aligned
from stream.stages.framing.motion_profile import MotionProfile, State, Vector
from stream.stages.framing.subjects import HEAD_ABOVE, HEAD_BELOW, HEAD_SIDE, Subjects

FACES_HIGH = 4.5
"""Wanted: the picture is this many face widths high."""
MAX_ZOOM = 4.0
FACE_AT = 0.46
"""Wanted: the middle of the faces at this part of the height, a little above the middle."""
MARGIN = 0.25
"""Air around the outermost heads, in face widths."""
LEADS_S = (0.25, 0.7)
"""The goal holds people where they will be after so long."""
DEAD_PAN, DEAD_ZOOM = 0.1, 0.16
"""The camera rests until the wish is this far away: in view widths; as a part of the width ..."""
PATIENCE_S = 0.5
"""... for so long. Twice as far away, it waits a quarter of it."""
SLACK_PAN, SLACK_ZOOM = 0.02, 0.05
"""Hysteresis: the goal turns back only once the wish has by more than this; walking sways, too."""
SETTLED = 0.012
"""It stops within this much of the goal, in view widths."""
ARRIVED_PX = 0.02
"""From the goal, px of the picture: it is there. Less than a twelfth of an output pixel."""
HASTES = (1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0)
"""The motion profiles that are tried: so many times quicker than the usual one."""
CALM_S = 0.4
"""Haste fades with this time constant once it is not needed."""
BETTER = 0.85
"""Where a head will be cut either way, a quicker way must leave this part of the cut, or less."""
FORESIGHT_S, THOUGHTS = 1.6, 22
"""So far is looked ahead, in so many steps."""
CATCH_S = 0.2
"""A head that will be at the view's edge so soon is caught up with by then, whatever the limits."""
TOLERABLE = 0.002
"""Of the view's width; less is no cut."""
AIR = 0.1
"""Between a head and the edge of the view, in face widths, that it should keep."""


class CameraController:
    """Eases a rectangle towards the people.

    Args: whole: the largest view, xyxy px; every view lies in it and has its shape.
          picture, output: (width, height) of what the camera sends and of what is shown, px.
    """

    def __init__(self, whole: Rect, picture: Size, output: Size) -> None:
        self._bounds = whole
        self._picture, self._output = picture, output
        self._aspect = (whole[2] - whole[0]) / (whole[3] - whole[1])
        self._full: Vector = np.array([whole[0], whole[1], whole[2] - whole[0]])
        self._subjects = Subjects(whole)
        self._motion = MotionProfile(self._full)
        self._goal = self._full.copy()
        self._aim: Vector = np.array([*self._middle(self._full), self._full[2]])
        self._moving = False
        self._unease = 0.0
        self._haste = 1.0

    def follow(self, faces: tuple[Face, ...], step_s: float) -> Rect:
        """Move on by `step_s`; returns the rectangle to show."""
        self._subjects.see(faces, step_s)
        self._choose(step_s)
        self._catch_up(step_s)
        self._motion.move(self._goal, step_s, 1.0 / self._haste)
        self._motion.place(self._inside(self._motion.at))
        if not self._moving and np.abs(self._goal - self._motion.at).max() < ARRIVED_PX:
            self._motion.stop(self._goal)
        self._keep_heads(step_s)
        return self._rect(self._motion.at)

    def _choose(self, step_s: float) -> None:
        """Decide where to go, and how quickly; stay where we are while the wish is near."""
        aim = self._ideal()
        wish = self._around(aim)
        heads = self._heads_ahead()
        needed = 1.0
        if not self._moving:
            pan = np.abs(self._middle(wish) - self._middle(self._goal)).max() / wish[2]
            zoom = abs(math.log(wish[2] / self._goal[2]))
            off = max(pan / DEAD_PAN, zoom / DEAD_ZOOM)
            self._unease = self._unease + off * off * step_s if off > 1.0 else 0.0
            self._moving = (
                self._unease > PATIENCE_S or self._will_cut(self._goal, heads, 1.0) > TOLERABLE
            )
            if self._moving:
                self._haste = 1.0
        if self._moving:
            self._aim = self._with_play(aim)
            self._goal = self._around(self._aim)
            needed = self._needed(self._goal, heads)
            near = float(np.abs(self._goal - self._motion.at).max() / self._goal[2])
            self._moving = near > SETTLED or self._motion.pace > SETTLED
            self._unease = 0.0
            if not self._moving:
                self._goal = self._on_pixels(self._goal)
        self._haste = max(1.0 + (self._haste - 1.0) * math.exp(-step_s / CALM_S), needed)

    def _on_pixels(self, view: Vector) -> Vector:
        """The nearest view that is drawn on whole pixels: where the camera may stand."""
        left, top, _, _ = aligned(self._rect(view), self._output, self._picture)
        return self._inside(np.array([left, top, view[2]]))

    def _needed(self, goal: Vector, heads: list[list[Rect]]) -> float:
        """The least haste on the way to a goal with which no head will be cut."""
        best, least = 1.0, math.inf
        for haste in HASTES:
            cut = self._will_cut(goal, heads, haste)
            if cut <= TOLERABLE:
                return haste
            if cut < BETTER * least:
                best, least = haste, cut
        return best

    def _heads_ahead(self) -> list[list[Rect]]:
        """For each step of foresight, the heads in view that are still in the picture then."""
        inside = [one for one in self._subjects.people if one.inside]
        if not inside:
            return []
        steps = []
        for i in range(1, THOUGHTS + 1):
            places = [one.ahead(i * FORESIGHT_S / THOUGHTS, at_worst=True) for one in inside]
            there = [place for place in places if not self._subjects.goes_out(place)]
            steps.append([self._subjects.head(place, AIR) for place in there])
        return steps

    def _will_cut(self, goal: Vector, heads: list[list[Rect]], haste: float) -> float:
        """By how much a head will reach out of the view, in view widths; 0: it will not."""
        if not heads:
            return 0.0
        way = self._motion.ahead(goal, THOUGHTS, FORESIGHT_S / THOUGHTS, 1.0 / haste)
        cuts = [
            self._cut(view, head) for view, there in zip(way, heads, strict=True) for head in there
        ]
        return max(0.0, *cuts) if cuts else 0.0

    def _cut(self, view: State, head: Rect) -> float:
        """By how much a head reaches out of a view, in view widths."""
        left, top, wide = view
        right, bottom = left + wide, top + wide / self._aspect
        return max(left - head[0], top - head[1], head[2] - right, head[3] - bottom) / wide

    def _with_play(self, wish: Vector) -> Vector:
        """The wish; but whatever of it does not go on as the view goes follows with play.

        What has arrived goes nowhere: on the way aside the last hair of the way up or down has a
        direction, too, and each sway of the head would turn it.
        """
        aim = self._aim
        at = np.array([*self._middle(self._motion.at), self._motion.at[2]])
        play = np.array([SLACK_PAN, SLACK_PAN, SLACK_ZOOM]) * wish[2]
        drawn = wish + np.clip(aim - wish, -play, play)
        goes_on = ((wish - aim) * (aim - at) > 0.0) & (np.abs(aim - at) > SETTLED * wish[2])
        return np.where(goes_on, wish, drawn)

    def _around(self, aim: Vector) -> Vector:
        """The view with this middle and width, or the nearest in the picture."""
        x, y, wide = aim
        return self._inside(np.array([x - wide / 2.0, y - wide / self._aspect / 2.0, wide]))

    def _ideal(self) -> Vector:
        """Middle and width of the view to wish for; a part of it may lie beside the picture."""
        people = self._subjects.people
        if not people:
            return np.array([*self._middle(self._full), self._full[2]])
        # Where they will be when the view has come there: lead room for people who walk.
        heads = np.array([one.ahead(lead_s) for lead_s in LEADS_S for one in people])
        x, y, width = heads[:, 0], heads[:, 1], heads[:, 2]
        # People who walk out are not followed out.
        left = max(float((x - width * (HEAD_SIDE + MARGIN)).min()), self._bounds[0])
        right = min(float((x + width * (HEAD_SIDE + MARGIN)).max()), self._bounds[2])
        top = float((y - width * (HEAD_ABOVE + MARGIN)).min())
        bottom = float((y + width * (HEAD_BELOW + MARGIN)).max())
        wanted = max(FACES_HIGH * float(width.max()), bottom - top, (right - left) / self._aspect)
        full_height = self._full[2] / self._aspect
        high = min(max(wanted, full_height / MAX_ZOOM), full_height)
        wide = high * self._aspect
        middle_x = (left + right) / 2.0
        middle_y = (float(y.min()) + float(y.max())) / 2.0 + (0.5 - FACE_AT) * high
        # Head room first, then what is below.
        middle_y = min(max(middle_y, bottom - high / 2.0), top + high / 2.0)
        return np.array([middle_x, middle_y, wide])

    def _catch_up(self, step_s: float) -> None:
        """Push the view just far enough to hold, a moment later, everybody who is in it now."""
        coasted = self._motion.at + CATCH_S * self._motion.speed
        heads = [
            self._subjects.head(place)
            for one in self._subjects.people
            if one.inside
            and not self._subjects.goes_out(place := one.ahead(CATCH_S, at_worst=True))
        ]
        short = self._holding(coasted, heads) - coasted
        push = 2.0 / CATCH_S**2 * short
        self._motion.place(self._motion.at, self._motion.speed + step_s * push)

    def _keep_heads(self, step_s: float) -> None:
        """A head that was wholly in the last view stays so, however fast it moves.

        This may exceed the limits of speed: a cut head is worse than a quick move.
        """
        at = self._motion.at
        inside = [
            one
            for one in self._subjects.people
            if one.inside and not self._subjects.goes_out(one.last)
        ]
        kept = self._inside(self._holding(at, [self._subjects.head(one.last) for one in inside]))
        if not np.array_equal(kept, at):
            # The view goes on with the head, or it would be caught up with again in every frame.
            self._motion.place(kept, self._motion.speed + (kept - at) / step_s)
        view = self._rect(self._motion.at)
        for one in self._subjects.everybody:
            one.inside = _holds(view, self._subjects.head(one.last))

    def _holding(self, view: Vector, heads: list[Rect]) -> Vector:
        """A view, moved and, if need be, widened by no more than it must be to hold the heads."""
        if not heads:
            return view
        lefts, tops, rights, bottoms = zip(*heads, strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
        wide = max(view[2], right - left, (bottom - top) * self._aspect)
        return np.array(
            [
                min(max(view[0], right - wide), left),
                min(max(view[1], bottom - wide / self._aspect), top),
                wide,
            ]
        )

    def _middle(self, view: Vector) -> Vector:
        return np.array([view[0] + view[2] / 2.0, view[1] + view[2] / self._aspect / 2.0])

    def _inside(self, view: Vector) -> Vector:
        left, top, right, bottom = self._bounds
        wide = min(max(view[2], (right - left) / MAX_ZOOM), right - left)
        return np.array(
            [
                min(max(view[0], left), right - wide),
                min(max(view[1], top), bottom - wide / self._aspect),
                wide,
            ]
        )

    def _rect(self, view: Vector) -> Rect:
        left, top, wide = (float(v) for v in view)
        if wide == self._full[2]:
            return self._bounds
        return (left, top, left + wide, top + wide / self._aspect)


def _holds(view: Rect, head: Rect) -> bool:
    return view[0] <= head[0] and view[1] <= head[1] and view[2] >= head[2] and view[3] >= head[3]
