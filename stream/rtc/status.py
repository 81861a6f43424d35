"""Status: what a call is doing right now, for its owner to read. No picture is in them."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from dataclasses import dataclass

from stream.frame import Frame, View
from stream.stages.framing.framing import Mode

RECENT = 30
"""Rates and delays are those of so many pictures."""
STALE_S = 2.0
"""A picture that is older says nothing about now."""


@dataclass(frozen=True)
class Status:
    """One look at a call."""

    fps: float
    """Pictures a second that came out."""
    delay_ms: float
    """What enhancing adds between a picture's arrival and its departure, median."""
    faces: int
    enhanced: int
    """Of the faces in the latest picture."""
    why: str
    """Why nothing is enhanced; empty when something is."""
    view: tuple[float, float, float, float]
    """The part of the camera's picture that is shown: left, top, right, bottom, 0..1."""
    framing: Mode
    strength: float
    detail: float
    dropped: int
    """Pictures that a newer one replaced."""
    passed_by: int
    """Pictures that did not wait for stages that were late, or not there yet."""
    quality: str
    """What is given up to keep up with the camera, see `stream.quality_ladder.LADDER`."""
    learning: str
    """Whether somebody is learnt now, and what it has brought; empty where nobody ever is."""


class Recent:
    """The latest pictures of a call. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times_s: deque[float] = deque(maxlen=RECENT)
        self._delays_ms: deque[float] = deque(maxlen=RECENT)
        self._faces = self._enhanced = 0
        self._people: tuple[int, ...] = ()
        self._passed_by = False
        self._all_passed_by = 0
        self._view = (0.0, 0.0, 1.0, 1.0)

    def add(self, arrived_ns: int, done: Frame | None = None) -> None:
        """Count one picture that leaves now.

        Args: done: with what the stages found; None for one that passed them by.
        """
        now_ns = time.monotonic_ns()
        with self._lock:
            self._times_s.append(now_ns / 1e9)
            self._delays_ms.append((now_ns - arrived_ns) / 1e6)
            self._passed_by = done is None
            if done is None:
                self._all_passed_by += 1
                return
            self._faces = len(done.faces)
            self._enhanced = done.enhanced
            self._people = tuple(face.track_id for face in done.faces)
            if done.view is not None:
                self._view = _part(done.view, (done.image.shape[1], done.image.shape[0]))

    @property
    def people(self) -> tuple[int, ...]:
        """The track_id of everybody in the latest picture that the stages have seen."""
        with self._lock:
            return self._people

    @property
    def delay_ms(self) -> float:
        """What enhancing adds, median; 0 when nothing was shown lately."""
        with self._lock:
            return self._delay()

    def status(
        self,
        *,
        trouble: str,
        strength: float,
        detail: float,
        framing: Mode,
        dropped: int,
        quality: str,
        learning: str,
    ) -> Status:
        """All of it. Args: trouble: what is wrong; empty when nothing is."""
        with self._lock:
            enhanced = self._enhanced if strength > 0.0 and not self._passed_by else 0
            why = "" if enhanced else trouble or self._why(strength)
            return Status(
                fps=self._fps(),
                delay_ms=self._delay(),
                faces=self._faces,
                enhanced=enhanced,
                why=why,
                view=self._view,
                framing=framing,
                strength=strength,
                detail=detail,
                dropped=dropped,
                passed_by=self._all_passed_by,
                quality=quality,
                learning=learning,
            )

    def _why(self, strength: float) -> str:
        if not self._times_s:
            return "no picture has come yet"
        if self._passed_by:
            return "this machine is late; the camera's picture is shown"
        if not self._faces:
            return "no face is in the picture"
        if strength <= 0.0:
            return "the strength is 0"
        return "the face is large and sharp enough by itself"

    def _fps(self) -> float:
        times = self._times_s
        if len(times) < 2 or time.monotonic() - times[-1] > STALE_S:
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], 1e-6)

    def _delay(self) -> float:
        if not self._times_s or time.monotonic() - self._times_s[-1] > STALE_S:
            return 0.0
        return statistics.median(self._delays_ms)


def _part(view: View, size: tuple[int, int]) -> tuple[float, float, float, float]:
    left, top, right, bottom = view.rect
    return left / size[0], top / size[1], right / size[0], bottom / size[1]
