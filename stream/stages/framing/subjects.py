"""Subjects: who is before the virtual camera, where their heads are, and where they will be soon.

Somebody who turns away has not left, a false detection is nobody, and a face that moves counts
sooner than one that only appears.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stream.frame import Face
from stream.image.resample import Rect
from stream.stages.framing.motion_profile import Vector

# A head around the centre of its face box, in face widths: hair and hats reach far up.
HEAD_SIDE, HEAD_ABOVE, HEAD_BELOW = 0.85, 1.45, 0.85
SEEN_S, JOINED_S = 0.4, 0.8
"""A face counts once it has been there for this long, the second when others are shown already: a
false detection moves nothing."""
WALKED, WALKED_S = 0.5, 0.12
"""A newcomer who has gone so far, in face widths, counts after this long: false detections stay."""
HOLD_S, GONE_S = 3.45, 0.8
"""A face that is gone still counts for this long (never longer than it was there): people who turn
away come back; the second is for those last seen at the picture's edge: they went out."""
EDGE = 0.6
"""Nearer to the edge than this, in face widths, somebody has gone out when he is gone."""
SMOOTH_S, SIZE_S = 0.15, 0.3
"""Time constants that take the detector's noise out of the place, and out of the size."""
SPEED_S = 0.06
"""Time constant of somebody's speed, and of its change."""
SURGE_S = 0.2
"""A change of speed is expected to go on for so long."""
SLOW, SLOW_SIZE = 0.5, 0.1
"""Face widths a second, of place and size: less is no motion, twice as much is one ..."""
REST_S, FARTHER = 0.5, np.array([5.0, 2.5, 5.0])
"""... and nobody is expected to go farther than so many times as he has come from where he was of
late, on average over so long: aside most of all, for up and down people nod."""
COAST_S, COAST_WORST_S = 0.5, np.array([3.0, 3.0, 1.0])
"""People stop: a speed is expected to fade with this time constant; at worst later: aside, up or
down, nearer. A person who walks may walk on and out; one who comes near stops before the camera."""
BACK_S = 0.25
"""A person who was lost and is found again is taken to stand still, for so long."""


@dataclass
class Person:
    """Somebody whom the virtual camera follows."""

    head: Vector
    """float64 (3,): centre x, centre y and width of the face, px; smoothed."""
    last: Vector
    """The same, as last seen."""
    speed: Vector
    """Of it, a second; smoothed."""
    surge: Vector
    """Of the speed, a second; smoothed."""
    step: Vector
    """The same as the speed, of the last frame alone."""
    began: Vector
    """Where it was first seen."""
    rest: Vector
    """Where it was on average of late."""
    first_s: float
    last_s: float
    inside: bool = False
    """Whether the whole head was in the last view."""

    @classmethod
    def appearing(cls, head: Vector, now_s: float) -> Person:
        """Somebody who is seen for the first time, at rest as far as is known."""
        still = np.zeros(3)
        return cls(head, head, still, still, still, head, head, now_s, now_s)

    def see(self, head: Vector, now_s: float) -> None:
        """Take in where the face is now."""
        step_s = now_s - self.last_s
        keep = math.exp(-step_s / SMOOTH_S)
        # A person who goes away is followed; a face that shrinks a little may be noise.
        shrinks = 0.0 <= -self.speed[2] < SLOW_SIZE * head[2]
        keep_size = math.exp(-step_s / SIZE_S) if shrinks else keep
        share = 1.0 - math.exp(-step_s / SPEED_S)
        step = (head - self.last) / step_s
        # A jump of one frame is the detector's: as much as two steps in turn agree on.
        agreed = np.where(step * self.step > 0.0, np.sign(step), 0.0)
        agreed *= np.minimum(np.abs(step), np.abs(self.step))
        self.step = step
        change = share * (agreed - self.speed)
        self.surge = self.surge + share * (change / step_s - self.surge)
        self.speed = self.speed + change
        self.rest = head + math.exp(-step_s / REST_S) * (self.rest - head)
        self.head = head + np.array([keep, keep, keep_size]) * (self.head - head)
        self.last, self.last_s = head, now_s

    def ahead(self, after_s: float, *, at_worst: bool = False) -> Vector:
        """Where it will be; where it is, if it hardly moves."""
        place = self.last if at_worst else self.head
        width = float(place[2])
        coast_s = COAST_WORST_S if at_worst else COAST_S
        way_s = coast_s * (1.0 - np.exp(-after_s / coast_s))
        surge_s = min(after_s, SURGE_S)
        gain_s2 = surge_s * (after_s - 0.5 * surge_s)
        # Only acceleration is extrapolated: to predict a stop would be to be late.
        surge = np.where(self.surge * self.speed > 0.0, self.surge, 0.0)
        shift = self.speed * way_s + surge * gain_s2
        # Nodding and swaying lead nowhere, however fast they are.
        most = FARTHER * np.abs(self.last - self.rest)
        shift = np.clip(shift * self._certain(), -most, most)
        # A face that comes nearer at an even pace grows ever faster.
        growth = math.exp(min(max(float(shift[2]) / width, -0.7), 0.9))
        return np.array([*(place[:2] + shift[:2]), growth * width])

    def _certain(self) -> Vector:
        """Which parts of the motion are one, 0..1."""
        slow = np.array([SLOW, SLOW, SLOW_SIZE]) * self.last[2]
        return np.asarray(np.clip(np.abs(self.speed) / slow - 1.0, 0.0, 1.0))


class Subjects:
    """Remembers faces. Args: bounds: the largest view, xyxy px."""

    def __init__(self, bounds: Rect) -> None:
        self._bounds = bounds
        self._seen: dict[int, Person] = {}
        self._now_s = 0.0

    def see(self, faces: tuple[Face, ...], step_s: float) -> None:
        """Take in the faces of the next frame, `step_s` after the last."""
        self._now_s += step_s
        now_s = self._now_s
        for face in faces:
            head = np.array([*face.center, face.width_px], np.float64)
            person = self._seen.get(face.track_id) or self._returned(head, faces)
            if person is None:
                person = Person.appearing(head, now_s)
            else:
                person.see(head, now_s)
            self._seen[face.track_id] = person
        self._seen = {track: one for track, one in self._seen.items() if self._counts(one)}

    @property
    def people(self) -> list[Person]:
        """Those who are believed to be there."""
        there = [(one, one.last_s - one.first_s + 1e-6) for one in self._seen.values()]
        known = any(there_s >= JOINED_S for _, there_s in there)
        least_s = JOINED_S if known else SEEN_S
        return [one for one, there_s in there if there_s >= (WALKED_S if _walks(one) else least_s)]

    @property
    def everybody(self) -> list[Person]:
        """Those, too, who may be a false alarm."""
        return list(self._seen.values())

    def head(self, place: Vector, air: float = 0.0) -> Rect:
        """The part of a head that the camera sees, with `air` around it, in face widths."""
        x, y, width = float(place[0]), float(place[1]), float(place[2])
        return (
            max(x - (HEAD_SIDE + air) * width, self._bounds[0]),
            max(y - (HEAD_ABOVE + air) * width, self._bounds[1]),
            min(x + (HEAD_SIDE + air) * width, self._bounds[2]),
            min(y + (HEAD_BELOW + air) * width, self._bounds[3]),
        )

    def goes_out(self, place: Vector) -> bool:
        """Whether a face there is nearly beside the picture, where no view can hold it."""
        x, reach = float(place[0]), EDGE * float(place[2])
        return x - reach < self._bounds[0] or x + reach > self._bounds[2]

    def _returned(self, head: Vector, faces: tuple[Face, ...]) -> Person | None:
        """The person who was lost at this very place: for the view it is the same one."""
        present = {face.track_id for face in faces}
        for track, one in self._seen.items():
            near = np.abs(head[:2] - one.last[:2]).max() < head[2]
            if track not in present and near:
                del self._seen[track]
                one.first_s = min(one.first_s, self._now_s)
                one.last_s = self._now_s - BACK_S
                one.speed, one.surge, one.step = np.zeros((3, 3))
                return one
        return None

    def _counts(self, one: Person) -> bool:
        if one.last_s == self._now_s:
            return True
        there_s = one.last_s - one.first_s
        # What was hardly seen before it vanished was never anybody.
        hold_s = min(GONE_S if self._at_edge(one) else HOLD_S, there_s)
        return there_s >= SEEN_S and self._now_s - one.last_s <= hold_s

    def _at_edge(self, one: Person) -> bool:
        x, y, width = (float(v) for v in one.last)
        reach = EDGE * width
        left, top, right, bottom = self._bounds
        return x - left < reach or right - x < reach or y - top < reach or bottom - y < reach


def _walks(one: Person) -> bool:
    way = one.last - one.began
    width = float(one.last[2])
    gone = float(np.hypot(way[0], way[1])) / width
    pace = float(np.hypot(one.speed[0], one.speed[1])) / width
    return gone >= WALKED and pace > SLOW
