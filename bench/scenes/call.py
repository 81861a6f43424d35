"""Call: a scene with people on their ways, its truth at any size, and what a camera sends of it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np

from bench.scenes.cases import Case
from bench.scenes.props import HAND_SIDE, SCREEN_RATE, draw_hand, on_screen, with_glasses
from bench.scenes.synthetic_people import RATE, SyntheticPerson
from bench.scenes.trajectories import Trajectory
from stream.frame import Floats, Frame, Image
from stream.image.resample import Rect, Size, resample
from stream.media.codec_line import CodecLine
from stream.media.demo.demo_room import FRAME_SIZE, draw_desk, draw_room
from stream.media.demo.demo_source import Sensor
from stream.media.demo.layers import cover, sample_layer

BITS_PER_PIXEL = 0.052
"""1.2 Mbit/s at 1280x720 and 25 frames a second, what a call gets on an ordinary line."""


@dataclass(frozen=True)
class TrueFace:
    """One person's face in one frame, as it really is."""

    person: int
    box: Floats
    """float32 (4,), xyxy px of the frame."""

    @property
    def width_px(self) -> float:
        """Of the face box."""
        return float(self.box[2] - self.box[0])

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) px of the frame."""
        return float(self.box[0] + self.box[2]) / 2.0, float(self.box[1] + self.box[3]) / 2.0


class Call:
    """A case with its people. Iterate for the frames that the camera and the line give.

    Args: size: (width, height) of the camera's picture, px. seed: of the noise.
    """

    rate = Fraction(RATE)

    def __init__(
        self, case: Case, people: Sequence[SyntheticPerson], size: Size, seed: int = 0
    ) -> None:
        self.case = case
        self.people = list(people)
        self.size = size
        self._seed = seed
        self._room, self._desk, self._hand = draw_room(), draw_desk(), draw_hand()
        self._behind = lru_cache(maxsize=4)(self._draw_behind)

    @property
    def frames_total(self) -> int:
        """How many frames it has."""
        return round(self.case.duration_s * RATE)

    def __iter__(self) -> Iterator[Frame]:
        sensor = Sensor(self._seed, self.case.noise)
        bits = round(BITS_PER_PIXEL * self.case.bits * self.size[0] * self.size[1] * RATE)
        codec = self.case.codec
        line = None if codec is None else CodecLine(self.size, self.rate, bits, codec)
        waiting: deque[int] = deque()
        whole = (0.0, 0.0, float(self.size[0]), float(self.size[1]))
        for index in range(self.frames_total):
            waiting.append(index)
            seen = sensor.take(self.render(index, whole, self.size))
            for image in (seen,) if line is None else line.send(seen, index):
                yield self._frame(image, waiting.popleft())
        for image in () if line is None else line.end():
            yield self._frame(image, waiting.popleft())

    def time_s(self, index: int) -> float:
        """The moment of the scene that a frame shows: it stands still once it is frozen."""
        time_s = index / RATE
        frozen_s = self.case.frozen_s
        return time_s if frozen_s is None else min(time_s, frozen_s)

    def faces(self, index: int) -> list[TrueFace]:
        """Everybody whose face is in the frame, whole."""
        time_s = self.time_s(index)
        found = []
        for number, (person, trajectory) in enumerate(
            zip(self.people, self.case.trajectories, strict=True)
        ):
            place = self._place(person, trajectory, time_s)
            box = person.face_box(_played(trajectory, time_s))
            corners = place @ np.array([[box[0], box[2]], [box[1], box[3]], [1.0, 1.0]])
            center, half = corners.mean(axis=1), 0.5 * (box[2] - box[0]) * place[0, 0]
            face = TrueFace(number, np.array([*(center - half), *(center + half)], np.float32))
            inside = face.box[0] >= 0 and face.box[1] >= 0
            if inside and face.box[2] <= self.size[0] and face.box[3] <= self.size[1]:
                found.append(face)
        return found

    def render(self, index: int, rect: Rect, size: Size) -> Image:
        """The clean scene, without noise or codec.

        Args:    rect: xyxy px of the frame. size: (width, height) of the result.
        Returns: RGB uint8 (height, width, 3).
        """
        time_s = self.time_s(index)
        picture = self._behind(rect, size).astype(np.float32)
        people = list(zip(self.people, self.case.trajectories, strict=True))
        # The nearer covers the other.
        for person, trajectory in sorted(people, key=lambda one: one[1].at(time_s).face_px):
            self._draw(picture, person, trajectory, time_s, rect, size)
        if self.case.desk:
            cover(picture, sample_layer(self._desk, self._in_room(rect), size))
        picture *= np.array(self.case.light_at(time_s), np.float32)
        return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)

    def _draw(
        self,
        picture: Floats,
        person: SyntheticPerson,
        trajectory: Trajectory,
        time_s: float,
        rect: Rect,
        size: Size,
    ) -> None:
        waypoint = trajectory.at(time_s)
        scale = waypoint.face_px / person.face_px
        layer = person.layer(_played(trajectory, time_s))
        if trajectory.glasses_s is not None and time_s >= trajectory.glasses_s:
            layer = with_glasses(layer, person.face_box(_played(trajectory, time_s)))
        if trajectory.screen:
            layer = on_screen(layer, person.anchor, person.face_px, time_s)
        if trajectory.tilt:
            turn = cv2.getRotationMatrix2D(
                person.anchor, -np.degrees(trajectory.tilt_at(time_s)), 1.0
            )
            turned = cv2.warpAffine(
                layer, turn, (layer.shape[1], layer.shape[0]), flags=cv2.INTER_CUBIC
            )
            layer = np.minimum(turned, turned[..., 3:])  # cubic overshoot at the border
        left = waypoint.x * self.size[0] - scale * person.anchor[0]
        top = waypoint.y * self.size[1] - scale * person.anchor[1]
        on_layer = _on_layer(rect, left, top, scale)
        cover(picture, sample_layer(layer, on_layer, size))
        if trajectory.hand is not None and trajectory.hand[0] <= time_s <= trajectory.hand[1]:
            part = (time_s - trajectory.hand[0]) / (trajectory.hand[1] - trajectory.hand[0])
            # In front of the face from one side to the other, a little below its middle.
            scale = 1.1 * waypoint.face_px / HAND_SIDE
            left = waypoint.x * self.size[0] + (2.6 * part - 1.3) * waypoint.face_px
            left -= scale * HAND_SIDE / 2
            top = waypoint.y * self.size[1] - 0.35 * waypoint.face_px
            cover(picture, sample_layer(self._hand, _on_layer(rect, left, top, scale), size))

    def _place(self, person: SyntheticPerson, trajectory: Trajectory, time_s: float) -> Floats:
        """Layer → frame, float64 (2, 3); the tilt is left out: it turns around the face."""
        waypoint = trajectory.at(time_s)
        scale = waypoint.face_px / person.face_px
        left = waypoint.x * self.size[0] - scale * person.anchor[0]
        top = waypoint.y * self.size[1] - scale * person.anchor[1]
        return np.array([[scale, 0.0, left], [0.0, scale, top]], np.float32)

    def _draw_behind(self, rect: Rect, size: Size) -> Image:
        return resample(self._room, self._in_room(rect), size)

    def _in_room(self, rect: Rect) -> Rect:
        x, y = FRAME_SIZE[0] / self.size[0], FRAME_SIZE[1] / self.size[1]
        return rect[0] * x, rect[1] * y, rect[2] * x, rect[3] * y

    def _frame(self, image: Image, index: int) -> Frame:
        return Frame(image, index, index, 1 / self.rate, time.monotonic_ns())


def _played(trajectory: Trajectory, time_s: float) -> float:
    if trajectory.screen:
        time_s = math.floor(time_s * SCREEN_RATE) / SCREEN_RATE
    return 0.0 if trajectory.still else time_s


def _on_layer(rect: Rect, left: float, top: float, scale: float) -> Rect:
    return (
        (rect[0] - left) / scale,
        (rect[1] - top) / scale,
        (rect[2] - left) / scale,
        (rect[3] - top) / scale,
    )
