"""Framing: which part of the scene the output shows, and how large.

`fixed` shows the whole picture, on a canvas `scale` times larger. `auto` is a virtual camera: it
moves like a careful operator, only when there is a reason to, and then smoothly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream.crop import Rect, Size
from stream.errors import ConfigError
from stream.frame import Face, Frame, View

Mode = Literal["auto", "fixed"]
Vector = NDArray[np.float64]
"""float64 (3,): left, top and width of the view, px of the frame."""

FACES_HIGH = 4.5
"""Wanted: the picture is this many face widths high."""
MAX_ZOOM = 4.0
FACE_AT = 0.46
"""Wanted: the middle of the faces at this part of the height, a little above the middle."""
# A head around the centre of its face box, in face widths: hair and hats reach far up.
HEAD_SIDE, HEAD_ABOVE, HEAD_BELOW = 0.85, 1.45, 0.85
MARGIN = 0.25
"""Air around the outermost heads, in face widths."""
SEEN_S = 0.4
"""A face counts once it has been there for this long: a false alarm moves nothing."""
HOLD_S = 1.0
"""A face that is gone still counts for this long."""
SMOOTH_S = 0.15
"""Time constant that takes the detector's noise out of the wish."""
DEAD_PAN, DEAD_ZOOM = 0.07, 0.12
"""The camera rests until the wish is this far away: in view widths; as a part of the width."""
SETTLED = 0.006
"""It comes to rest within this much of the wish, in view widths."""
EASE_HZ = 2.5
"""Rate of the approach, 1/s, near the wish."""
MAX_SPEED = 0.9
MAX_ACCELERATION = 1.2
"""View widths a second, and a second squared."""
WIDEN = 1.5
"""Widening the view may be this much faster: somebody who comes near must not be cut."""
STEP_S = 1.0 / 120.0
"""The motion is computed in steps this small, so that it is the same at any frame rate."""


@dataclass
class _Seen:
    """A face in the virtual camera's memory."""

    head: Vector
    """float64 (3,): centre x, centre y and width of the face, px; smoothed."""
    last: Vector
    """The same, as last seen."""
    first_s: float
    last_s: float
    inside: bool = False
    """Whether the whole head was in the last view."""


class Framing:
    """Sets `frame.view`.

    Args:   mode: "auto" or "fixed". source_size: (width, height) of the camera's picture, px.
            scale: output over source size, for "fixed". rate: nominal frames a second.
    Raises: ConfigError: the scale or the size is out of range.
    """

    name = "framing"

    def __init__(self, mode: Mode, source_size: Size, scale: float, rate: Fraction) -> None:
        width, height = source_size
        if width < 16 or height < 16:
            raise ConfigError(f"a picture of {width}x{height} is too small to work with")
        if not 0.25 <= scale <= 8.0:
            raise ConfigError(f"the scale must lie between 0.25 and 8, not {scale:g}")
        factor = scale if mode == "fixed" else 1.0
        self.source_size = source_size
        self.output_size: Size = (_even(width * factor), _even(height * factor))
        self._whole = _largest(source_size, self.output_size)
        self._nominal_s = float(1 / rate)
        self._camera = None if mode == "fixed" else _VirtualCamera(source_size, self._whole)
        self._last_s: float | None = None

    @property
    def whole(self) -> View:
        """As much of the picture as the output can show."""
        return View(self._whole, self.output_size)

    def __call__(self, frame: Frame) -> Frame:
        """Choose the view of this frame.

        Raises: ValueError: the picture does not have the size that was announced.
        """
        height, width = frame.image.shape[:2]
        if (width, height) != self.source_size:
            raise ValueError(f"a picture of {width}x{height} in a run of {self.source_size}")
        rect = self._whole
        if self._camera is not None:
            step_s = self._nominal_s if self._last_s is None else frame.time_s - self._last_s
            self._last_s = frame.time_s
            # A clock that stands still or jumps (a pause, a new stream) must not fling the view.
            step_s = self._nominal_s if step_s <= 0.0 else min(step_s, 1.0)
            rect = self._camera.follow(frame.faces, step_s)
        return replace(frame, view=View(rect, self.output_size))

    def close(self) -> None:
        """Nothing to release."""


class _VirtualCamera:
    """Eases a rectangle towards the people.

    Left, top and width follow one common path with one common speed limit. All three lie within
    bounds that are linear in them, so the way between two good views is good all along.
    """

    def __init__(self, source_size: Size, whole: Rect) -> None:
        self._bounds = whole
        self._aspect = (whole[2] - whole[0]) / (whole[3] - whole[1])
        self._full: Vector = np.array([whole[0], whole[1], whole[2] - whole[0]])
        self._at = self._full.copy()
        self._speed: Vector = np.zeros(3)
        self._wish = self._full.copy()
        self._goal = self._full.copy()
        self._moving = False
        self._seen: dict[int, _Seen] = {}
        self._now_s = 0.0

    def follow(self, faces: tuple[Face, ...], step_s: float) -> Rect:
        """Move on by `step_s`; returns the rectangle to show."""
        self._now_s += step_s
        self._remember(faces, step_s)
        self._choose(step_s)
        steps = max(1, math.ceil(step_s / STEP_S))
        for _ in range(steps):
            self._move(step_s / steps)
        self._keep_heads()
        return self._rect(self._at)

    def _remember(self, faces: tuple[Face, ...], step_s: float) -> None:
        keep = math.exp(-step_s / SMOOTH_S)
        for face in faces:
            head = np.array([*face.center, face.width_px], np.float64)
            seen = self._seen.get(face.track_id)
            if seen is None:
                self._seen[face.track_id] = _Seen(head, head, self._now_s, self._now_s)
            else:
                seen.head = head + keep * (seen.head - head)
                seen.last, seen.last_s = head, self._now_s
        self._seen = {
            track: seen
            for track, seen in self._seen.items()
            if self._now_s - seen.last_s <= HOLD_S
            # What was hardly seen before it vanished was never anybody.
            and (seen.last_s - seen.first_s >= SEEN_S or seen.last_s == self._now_s)
        }

    def _people(self) -> list[_Seen]:
        return [s for s in self._seen.values() if s.last_s - s.first_s >= SEEN_S - 1e-6]

    def _choose(self, step_s: float) -> None:
        """Decide where to go; stay where we are while the wish is near."""
        self._wish = self._ideal()
        reach = self._wish[2]
        if not self._moving:
            pan = np.abs(self._middle(self._wish) - self._middle(self._goal)).max() / reach
            zoom = abs(math.log(reach / self._goal[2]))
            at_rest = pan <= DEAD_PAN and zoom <= DEAD_ZOOM
            self._moving = not at_rest
        if self._moving:
            self._goal = self._wish
            near = float(np.abs(self._goal - self._at).max()) / reach
            slow = float(np.abs(self._speed).max()) / reach
            self._moving = near > SETTLED or slow > SETTLED

    def _ideal(self) -> Vector:
        people = self._people()
        if not people:
            return self._full
        heads = np.array([person.head for person in people])
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

    def _move(self, step_s: float) -> None:
        """One small step: critically damped near the goal, limited in speed and acceleration."""
        reach = self._at[2]
        way = self._goal - self._at
        limit = WIDEN if way[2] > 0.0 else 1.0
        distance = float(np.linalg.norm(way)) / reach
        if distance > 0.0:
            braking = math.sqrt(2.0 * 0.6 * limit * MAX_ACCELERATION * distance)
            pace = min(EASE_HZ * distance, braking, limit * MAX_SPEED)
            wanted = way * (pace / distance)
        else:
            wanted = np.zeros(3)
        push = 4.0 * EASE_HZ * (wanted - self._speed)
        strength = float(np.linalg.norm(push)) / reach
        if strength > limit * MAX_ACCELERATION:
            push *= limit * MAX_ACCELERATION / strength
        self._speed = self._speed + push * step_s
        self._at = self._inside(self._at + self._speed * step_s)

    def _keep_heads(self) -> None:
        """A head that was wholly in the last view stays so, however fast it moves.

        This may exceed the limits of speed: a cut head is worse than a quick move.
        """
        for person in self._people():
            if not person.inside:
                continue
            head = self._head(person)
            left, top, right, bottom = self._rect(self._at)
            left, top = min(left, head[0]), min(top, head[1])
            right, bottom = max(right, head[2]), max(bottom, head[3])
            wide = max(right - left, (bottom - top) * self._aspect)
            if wide > self._at[2]:
                self._at = self._inside(np.array([left, top, wide]))
        left, top, right, bottom = self._rect(self._at)
        for person in self._seen.values():
            head = self._head(person)
            person.inside = (
                left <= head[0] and top <= head[1] and right >= head[2] and bottom >= head[3]
            )

    def _head(self, person: _Seen) -> Rect:
        """The part of a head that the camera sees."""
        x, y, width = (float(v) for v in person.last)
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


def _even(length: float) -> int:
    """The nearest even number of pixels: 4:2:0 pictures need it."""
    return max(2, 2 * round(length / 2.0))


def _largest(source_size: Size, output_size: Size) -> Rect:
    """The largest rectangle with the output's aspect, in the middle of the source."""
    width, height = float(source_size[0]), float(source_size[1])
    if all(0 <= s - o < 2 for s, o in zip(source_size, output_size, strict=True)):
        # An odd side loses its last line; resampling would change every pixel for it.
        return (0.0, 0.0, float(output_size[0]), float(output_size[1]))
    if source_size[0] * output_size[1] == source_size[1] * output_size[0]:
        return (0.0, 0.0, width, height)
    factor = min(width / output_size[0], height / output_size[1])
    wide, high = output_size[0] * factor, output_size[1] * factor
    left, top = (width - wide) / 2.0, (height - high) / 2.0
    return (left, top, left + wide, top + high)
