"""ReportCollector: what the report shows: moments before and after, close-ups, a timeline.

It keeps pictures of faces, as JPEG and few of each kind, and only runs where the user has asked for
a report that shows them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np

from stream.frame import Face, Frame, Image
from stream.image.headshot import headshot_rect
from stream.image.resample import Rect, resample
from stream.protocols import Stage
from stream.stages.exemplars.bank import Bank

SIDE_PX = 256
"""Of the pictures."""
JPEG_QUALITY = 90
MOMENTS = 6
CANDIDATES = 24
LEAST_GAP_S = 2.0
"""Between two moments of one person: neighbouring ones show the same thing."""
LOOK_EVERY_S = 0.5
"""A person is looked at so often: that takes 2 ms."""
SHOWN = 0.99
"""Weight of a patch that has faded in."""
STEP_S, MOST_STEPS = 0.25, 1200
"""Of the timeline; a longer recording has longer steps."""


@dataclass(frozen=True)
class Moment:
    """A face before and after."""

    person: int
    time_s: float
    width_px: float
    """Of the face in the recording."""
    gain: float
    """Fine detail after over before, in the same place at the same size; 1 is no more."""
    before: bytes
    after: bytes
    """JPEG."""


@dataclass
class Step:
    """A person within a step of the timeline."""

    frames: int = 0
    enhanced: int = 0
    width_sum: float = 0.0

    @property
    def width_px(self) -> float:
        """Of the face, on average."""
        return self.width_sum / self.frames

    def add(self, other: Step) -> None:
        """Make one of two."""
        self.frames += other.frames
        self.enhanced += other.enhanced
        self.width_sum += other.width_sum


@dataclass
class ReportCollector(Stage):
    """Stage, the last: looks, and changes nothing."""

    bank: Bank | None = None
    """Of the run, once there is one."""
    name: str = "collector"
    step_s: float = STEP_S
    timeline: dict[int, dict[int, Step]] = field(default_factory=dict)
    """By person, in the order of appearance, then by number of the step."""
    closeups: dict[int, dict[float, bytes]] = field(default_factory=dict)
    """By person, then by time: JPEG."""
    duration_s: float = 0.0
    _candidates: list[Moment] = field(default_factory=list)
    _looked_s: dict[int, float] = field(default_factory=dict)

    def __call__(self, frame: Frame) -> Frame:
        """The same frame."""
        self.duration_s = max(self.duration_s, frame.time_s)
        for face in frame.faces:
            self._note(face, frame.time_s)
            looked_s = self._looked_s.get(face.track_id)
            if looked_s is None or abs(frame.time_s - looked_s) >= LOOK_EVERY_S:
                self._looked_s[face.track_id] = frame.time_s
                self._keep_closeups(face.track_id)
                self._consider(face, frame)
        return frame

    @property
    def moments(self) -> list[Moment]:
        """The most improved, in the order of time."""
        best = sorted(self._candidates, key=lambda one: -one.gain)[:MOMENTS]
        return sorted(best, key=lambda one: one.time_s)

    def name_of(self, person: int) -> int:
        """People are numbered as they appear: 1, 2, …"""
        return list(self.timeline).index(person) + 1

    def _note(self, face: Face, time_s: float) -> None:
        number = int(max(time_s, 0.0) / self.step_s)
        while number >= MOST_STEPS:
            self._coarsen()
            number //= 2
        steps = self.timeline.setdefault(face.track_id, defaultdict(Step))
        steps[number].add(Step(1, int(face.is_enhanced), face.width_px))

    def _coarsen(self) -> None:
        self.step_s *= 2.0
        for person, steps in self.timeline.items():
            coarser: dict[int, Step] = defaultdict(Step)
            for number, step in steps.items():
                coarser[number // 2].add(step)
            self.timeline[person] = coarser

    def _keep_closeups(self, person: int) -> None:
        kept = self.closeups.setdefault(person, {})
        assert self.bank is not None
        now = {one.time_s: one for one in self.bank.exemplars_of(person)}
        # What the bank has let go is no longer what it works with.
        for gone in kept.keys() - now.keys():
            del kept[gone]
        for time_s, exemplar in now.items():
            if time_s not in kept:
                kept[time_s] = _jpeg(exemplar.image)

    def _consider(self, face: Face, frame: Frame) -> None:
        if (
            face.patch is None
            or face.patch.weight <= SHOWN
            or frame.output is None
            or frame.view is None
        ):
            return
        height, width = frame.image.shape[:2]
        x0, y0, x1, y1 = headshot_rect(face.center, max(2, round(face.headshot_side_px)))
        view = frame.view.rect
        rect = (max(x0, view[0], 0), max(y0, view[1], 0), min(x1, view[2], width),
                min(y1, view[3], height))  # fmt: skip
        if rect[2] - rect[0] < 2 or rect[3] - rect[1] < 2:
            return
        part = (rect[2] - rect[0]) / (rect[3] - rect[1])
        size = (SIDE_PX, max(2, round(SIDE_PX / part)))
        before = resample(frame.image, rect, size)
        after = resample(frame.output, _in_output(rect, frame), size)
        gain = _detail(after) / max(_detail(before), 1e-3)
        rivals = [
            one
            for one in self._candidates
            if one.person == face.track_id and abs(one.time_s - frame.time_s) < LEAST_GAP_S
        ]
        if any(one.gain >= gain for one in rivals):
            return
        moment = Moment(
            face.track_id, frame.time_s, face.width_px, gain, _jpeg(before), _jpeg(after)
        )
        others = [one for one in self._candidates if one not in rivals]
        self._candidates = sorted([*others, moment], key=lambda one: -one.gain)[:CANDIDATES]


def _in_output(rect: Rect, frame: Frame) -> Rect:
    assert frame.view is not None
    left, top, right, bottom = frame.view.rect
    across = frame.view.size[0] / (right - left)
    down = frame.view.size[1] / (bottom - top)
    return (
        (rect[0] - left) * across,
        (rect[1] - top) * down,
        (rect[2] - left) * across,
        (rect[3] - top) * down,
    )


def _detail(image: Image) -> float:
    """Mean contrast between neighbouring pixels, levels."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())


def _jpeg(image: Image) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    return data.tobytes()
