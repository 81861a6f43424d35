"""Operator: decides what the virtual camera shows, and when it is worth moving.

A careful operator waits, then moves once, and far enough. So there is a dead zone with patience at
rest, play in the goal on the way, and a memory of who was there: somebody who turns away has not
left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stream.crop import Rect, Size, aligned
from stream.frame import Face
from stream.stages.glide import Glide, Vector

FACES_HIGH = 4.5
"""Wanted: the picture is this many face widths high."""
MAX_ZOOM = 4.0
FACE_AT = 0.46
"""Wanted: the middle of the faces at this part of the height, a little above the middle."""
# A head around the centre of its face box, in face widths: hair and hats reach far up.
HEAD_SIDE, HEAD_ABOVE, HEAD_BELOW = 0.85, 1.45, 0.85
# The head without hat and high hair: this much is never cut.
BARE = 0.8
"""Part of the three above."""
MARGIN = 0.25
"""Air around the outermost heads, in face widths."""
SEEN_S, JOINED_S = 0.4, 0.8
"""A face counts once it has been there for this long, the second when others are shown already: a
false alarm moves nothing."""
HOLD_S, GONE_S = 4.0, 0.8
"""A face that is gone still counts for this long (never longer than it was there): who turns away
comes back; the second is for those last seen at the picture's edge: they went out."""
EDGE = 0.6
"""Nearer to the edge than this, in face widths, somebody has gone out when he is gone."""
SMOOTH_S, SIZE_S = 0.15, 0.3
"""Time constants that take the detector's noise out of the place, and out of the size."""
SPEED_S, LEAD_S = 0.25, 0.35
"""Time constant of somebody's speed, and how far it is looked ahead."""
SLOW = 0.5
"""Face widths a second: whoever moves less is not looked ahead of."""
DEAD_PAN, DEAD_ZOOM = 0.1, 0.16
"""The camera rests until the wish is this far away: in view widths; as a part of the width ..."""
PATIENCE_S = 0.5
"""... for so long. Twice as far away, it waits half as long."""
SLACK_PAN, SLACK_ZOOM = 0.02, 0.05
"""On the way the goal follows the wish with this much play: what trembles does not turn it back."""
SETTLED = 0.012
"""It comes to rest within this much of the goal, in view widths."""
ARRIVED_PX = 0.02
"""From the goal, px of the picture: it is there. Less than a twelfth of an output pixel."""
GIVING_UP = 2.0
"""So many times slower when nobody is left."""
URGENT = 0.4
"""So much of the usual patience when somebody is about to leave the view."""
CATCH_S = 0.12
"""A head that is partly out of view, but not cut yet, is caught up with this time constant."""


@dataclass
class _Seen:
    """A face in the operator's memory."""

    head: Vector
    """float64 (3,): centre x, centre y and width of the face, px; smoothed."""
    last: Vector
    """The same, as last seen."""
    speed: Vector
    """Of it, a second; smoothed."""
    first_s: float
    last_s: float
    inside: bool = False
    """Whether the whole head was in the last view."""

    def see(self, head: Vector, now_s: float) -> None:
        """Take in where the face is now."""
        step_s = now_s - self.last_s
        keep = math.exp(-step_s / SMOOTH_S)
        keep_size = math.exp(-step_s / SIZE_S) if head[2] < self.head[2] else keep
        share = 1.0 - math.exp(-step_s / SPEED_S)
        self.speed = self.speed + share * ((head - self.last) / step_s - self.speed)
        self.head = head + np.array([keep, keep, keep_size]) * (self.head - head)
        self.last, self.last_s = head, now_s

    def ahead(self) -> Vector:
        """Where it will be soon; where it is, unless it moves for certain."""
        width = self.head[2]
        pace = float(np.linalg.norm(self.speed)) / width
        if pace <= SLOW:
            return self.head
        ahead: Vector = self.head + self.speed * (LEAD_S * (1.0 - SLOW / pace))
        return ahead


class Operator:
    """Eases a rectangle towards the people.

    Args: whole: the largest view, xyxy px; every view lies in it and has its shape.
          picture, output: (width, height) of what the camera sends and of what is shown, px.
    """

    def __init__(self, whole: Rect, picture: Size, output: Size) -> None:
        self._bounds = whole
        self._picture, self._output = picture, output
        self._aspect = (whole[2] - whole[0]) / (whole[3] - whole[1])
        self._full: Vector = np.array([whole[0], whole[1], whole[2] - whole[0]])
        self._glide = Glide(self._full)
        self._goal = self._full.copy()
        self._moving = False
        self._unease = 0.0
        self._seen: dict[int, _Seen] = {}
        self._now_s = 0.0

    def follow(self, faces: tuple[Face, ...], step_s: float) -> Rect:
        """Move on by `step_s`; returns the rectangle to show."""
        self._now_s += step_s
        self._remember(faces)
        self._choose(step_s)
        haste = URGENT if self._is_urgent() else 1.0
        self._glide.move(self._goal, step_s, haste if self._people() else GIVING_UP)
        self._glide.place(self._inside(self._glide.at))
        if not self._moving and np.abs(self._goal - self._glide.at).max() < ARRIVED_PX:
            self._glide.stop(self._goal)
        self._keep_heads(step_s)
        return self._rect(self._glide.at)

    def _remember(self, faces: tuple[Face, ...]) -> None:
        now_s = self._now_s
        for face in faces:
            head = np.array([*face.center, face.width_px], np.float64)
            seen = self._seen.get(face.track_id) or self._returned(head, faces)
            if seen is None:
                seen = _Seen(head, head, np.zeros(3), now_s, now_s)
            else:
                seen.see(head, now_s)
            self._seen[face.track_id] = seen
        self._seen = {track: seen for track, seen in self._seen.items() if self._counts(seen)}

    def _returned(self, head: Vector, faces: tuple[Face, ...]) -> _Seen | None:
        """Whoever was lost at this very place: for the view it is the same, whoever it is."""
        present = {face.track_id for face in faces}
        for track, seen in self._seen.items():
            near = np.abs(head[:2] - seen.last[:2]).max() < head[2]
            if track not in present and near:
                del self._seen[track]
                seen.first_s = min(seen.first_s, self._now_s)
                seen.last_s, seen.speed = self._now_s - SPEED_S, np.zeros(3)
                return seen
        return None

    def _counts(self, seen: _Seen) -> bool:
        if seen.last_s == self._now_s:
            return True
        there_s = seen.last_s - seen.first_s
        # What was hardly seen before it vanished was never anybody.
        hold_s = min(GONE_S if self._at_edge(seen) else HOLD_S, there_s)
        return there_s >= SEEN_S and self._now_s - seen.last_s <= hold_s

    def _at_edge(self, seen: _Seen) -> bool:
        x, y, width = (float(v) for v in seen.last)
        reach = EDGE * width
        left, top, right, bottom = self._bounds
        return x - left < reach or right - x < reach or y - top < reach or bottom - y < reach

    def _people(self) -> list[_Seen]:
        there = [(seen, seen.last_s - seen.first_s + 1e-6) for seen in self._seen.values()]
        known = any(there_s >= JOINED_S for _, there_s in there)
        return [seen for seen, there_s in there if there_s >= (JOINED_S if known else SEEN_S)]

    def _choose(self, step_s: float) -> None:
        """Decide where to go; stay where we are while the wish is near."""
        wish = self._ideal()
        if not self._moving:
            pan = np.abs(self._middle(wish) - self._middle(self._goal)).max() / wish[2]
            zoom = abs(math.log(wish[2] / self._goal[2]))
            off = max(pan / DEAD_PAN, zoom / DEAD_ZOOM)
            self._unease = self._unease + off * step_s if off > 1.0 else 0.0
            self._moving = self._unease > PATIENCE_S or self._is_urgent()
            if self._moving:
                self._goal = wish
        if self._moving:
            self._goal = self._with_play(wish)
            near = float(np.abs(self._goal - self._glide.at).max() / self._goal[2])
            self._moving = near > SETTLED or self._glide.pace > SETTLED
            self._unease = 0.0
            if not self._moving:
                self._goal = self._on_pixels(self._goal)

    def _on_pixels(self, view: Vector) -> Vector:
        """The nearest view that is drawn on whole pixels: where the camera may stand."""
        left, top, _, _ = aligned(self._rect(view), self._output, self._picture)
        return self._inside(np.array([left, top, view[2]]))

    def _with_play(self, wish: Vector) -> Vector:
        """The wish, but where that would turn the view back, no farther than the play demands."""
        at, goal = self._glide.at, self._goal
        play = np.array([SLACK_PAN, SLACK_PAN, SLACK_ZOOM]) * wish[2]
        wanted, present, now = (
            np.array([*self._middle(view), view[2]]) for view in (wish, goal, at)
        )
        back = (wanted - present) * (present - now) < 0.0
        drawn = wanted + np.clip(present - wanted, -play, play)
        x, y, wide = np.where(back, drawn, wanted)
        return self._inside(np.array([x - wide / 2.0, y - wide / self._aspect / 2.0, wide]))

    def _ideal(self) -> Vector:
        people = self._people()
        if not people:
            return self._full
        # Where they are and where they will be: who walks has room before him.
        heads = np.array([person.head for person in people] + [p.ahead() for p in people])
        x, y, width = heads[:, 0], heads[:, 1], heads[:, 2]
        left = float((x - width * (HEAD_SIDE + MARGIN)).min())
        right = float((x + width * (HEAD_SIDE + MARGIN)).max())
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
        return self._inside(np.array([middle_x - wide / 2.0, middle_y - high / 2.0, wide]))

    def _is_urgent(self) -> bool:
        """Whether somebody who is in the view is about to leave it."""
        view = self._rect(self._glide.at)
        return any(
            person.inside and not _holds(view, self._head(person.ahead()))
            for person in self._people()
        )

    def _keep_heads(self, step_s: float) -> None:
        """A head that was wholly in the last view stays so, however fast it moves.

        This may exceed the limits of speed: a cut head is worse than a quick move.
        """
        inside = [person for person in self._people() if person.inside]
        at = self._glide.at
        wanted = self._widened(at, [self._head(person.last) for person in inside])
        at = at + (wanted - at) * (1.0 - math.exp(-step_s / CATCH_S))
        at = self._widened(at, [self._head(person.last, BARE) for person in inside])
        self._glide.place(self._inside(at))
        view = self._rect(self._glide.at)
        for person in self._seen.values():
            person.inside = _holds(view, self._head(person.last, BARE))

    def _widened(self, view: Vector, heads: list[Rect]) -> Vector:
        """A view, moved and widened by no more than it must be to hold the heads."""
        left, top, right, bottom = self._rect(view)
        for head in heads:
            left, top = min(left, head[0]), min(top, head[1])
            right, bottom = max(right, head[2]), max(bottom, head[3])
        wide = max(right - left, (bottom - top) * self._aspect)
        return np.array([left, top, wide]) if wide > view[2] else view

    def _head(self, place: Vector, part: float = 1.0) -> Rect:
        """The part of a head that the camera sees; `part` of the air around its middle."""
        x, y, width = float(place[0]), float(place[1]), part * float(place[2])
        return (
            max(x - HEAD_SIDE * width, self._bounds[0]),
            max(y - HEAD_ABOVE * width, self._bounds[1]),
            min(x + HEAD_SIDE * width, self._bounds[2]),
            min(y + HEAD_BELOW * width, self._bounds[3]),
        )

    def _middle(self, view: Vector) -> Vector:
        return np.array([view[0] + view[2] / 2.0, view[1] + view[2] / self._aspect / 2.0])

    def _inside(self, view: Vector) -> Vector:
        left, top, right, bottom = self._bounds
        wide = min(view[2], right - left)
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
