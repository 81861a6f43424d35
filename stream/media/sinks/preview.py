"""Preview: the enhanced picture in a window, with a line between before and after.

Windows belong to the main thread, sinks have threads of their own. So `send` hands the newest frame
over and waits until `poll`, in the main thread, has drawn it: what the pipeline measures is the age
of what is on the screen.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np

from stream.frame import Frame, Image
from stream.image.resample import resample
from stream.media.sinks.window import CvWindow, Window
from stream.picture_options import DETAIL, STRENGTH

HELP = "b before/after (drag)   + - strength   [ ] detail   f forget   h help   q quit"
HELP_S = 8.0
"""So long the keys are shown at the start."""
SHOW_S = 0.25
"""A window that draws nothing for so long (it is being moved) does not hold its sink up."""
IDLE_S = 0.02
RECENT = 30
"""Figures are those of so many frames."""
STEP = 0.1
THUMBNAILS = 8
ESCAPE = "\x1b"


class Controls(Protocol):
    """What the keys act on, and what the figures come from. Called in the main thread."""

    strength: float
    detail: float

    def forget(self) -> None:
        """Wipe the close-ups of everybody."""
        ...

    def closeups(self, track_id: int) -> Sequence[Image]:
        """What is kept of one person: RGB uint8 (256, 256, 3) each."""
        ...

    def dropped(self) -> int:
        """Frames dropped so far."""
        ...

    def failed_open(self) -> int:
        """Frames on which a stage failed or was late, so far."""
        ...

    def quality(self) -> str:
        """What was given up so that the picture keeps up; empty for nothing."""
        ...

    def learning(self) -> str:
        """Whether somebody is learnt, and what it has brought; empty without learning."""
        ...


class Preview:
    """Sink: a window with keys, figures and the close-ups of who is in the picture.

    Args: controls: see `Controls`. window: opens the window, in the first `poll`.
    """

    name = "preview"

    def __init__(self, controls: Controls, window: Callable[[], Window] = CvWindow) -> None:
        self._controls = controls
        self._open = window
        self._window: Window | None = None
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._closed = False
        self._split: float | None = None
        self._help_until_s = time.monotonic() + HELP_S
        self._shown_s: deque[float] = deque(maxlen=RECENT)
        self._ages_s: deque[float] = deque(maxlen=RECENT)

    def send(self, frame: Frame) -> None:
        """Hand a frame to the window and wait until it is drawn, at most `SHOW_S`."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._frame is None or self._closed, SHOW_S)

    def poll(self) -> bool:
        """Draw the newest frame and obey the keys; in the main thread, again and again.

        Returns: False once the user wants to quit.
        """
        if self._window is None:
            self._window = self._open()
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None, IDLE_S)
            frame = self._frame
        if frame is not None:
            self._window.show(self.draw(frame))
            self._note_shown(frame)
        going_on = self._obey(self._window.key())
        place = self._window.dragged_to()
        if place is not None:
            self._split = place
        with self._changed:
            if self._frame is frame:
                self._frame = None
            self._changed.notify_all()
        return going_on and not self._window.is_closed()

    def close(self) -> None:
        """Close the window. May be called again; in the main thread."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()
        window, self._window = self._window, None
        if window is not None:
            window.close()

    abort = close

    def draw(self, frame: Frame) -> Image:
        """The picture in the window: RGB uint8, of the output's size, a new array."""
        canvas = (frame.image if frame.output is None else frame.output).copy()
        width = canvas.shape[1]
        if self._split is not None:
            edge = round(self._split * width)
            before = frame.image
            if frame.view is not None:
                before = resample(frame.image, frame.view.rect, frame.view.size)
            canvas[:, :edge] = before[:, :edge]
            canvas[:, max(edge - 1, 0) : edge + 1] = 255
        self._draw_closeups(canvas, frame)
        lines = [self._figures()]
        if time.monotonic() < self._help_until_s:
            lines.append(HELP)
        for number, line in enumerate(lines):
            _write(canvas, line, number)
        return canvas

    def _figures(self) -> str:
        fps, age_ms = 0.0, 0.0
        if len(self._shown_s) > 1:
            fps = (len(self._shown_s) - 1) / max(self._shown_s[-1] - self._shown_s[0], 1e-6)
            age_ms = 1000.0 * float(np.percentile(self._ages_s, 95))
        parts = [
            f"{fps:.0f} fps",
            f"age {age_ms:.0f} ms",
            f"strength {self._controls.strength:.2f}",
            f"detail {self._controls.detail:.2f}",
        ]
        parts.append(f"dropped {self._controls.dropped()}")
        if failed := self._controls.failed_open():
            parts.append(f"failed open {failed}")
        if quality := self._controls.quality():
            parts.append(f"quality {quality}")
        if learning := self._controls.learning():
            parts.append(learning)
        return "   ".join(parts)

    def _draw_closeups(self, canvas: Image, frame: Frame) -> None:
        side = max(16, canvas.shape[0] // 10)
        kept = [image for face in frame.faces for image in self._controls.closeups(face.track_id)]
        room = min(THUMBNAILS, canvas.shape[1] // side)
        for place, image in enumerate(kept[:room]):
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            canvas[-side:, place * side : (place + 1) * side] = small

    def _note_shown(self, frame: Frame) -> None:
        self._shown_s.append(time.monotonic())
        self._ages_s.append((time.monotonic_ns() - frame.captured_ns) / 1e9)

    def _obey(self, key: str) -> bool:
        if key in ("q", ESCAPE):
            return False
        if key == "b":
            self._split = 0.5 if self._split is None else None
        elif key in ("+", "="):
            self._controls.strength = STRENGTH.clamped(round(self._controls.strength + STEP, 2))
        elif key in ("-", "_"):
            self._controls.strength = STRENGTH.clamped(round(self._controls.strength - STEP, 2))
        elif key == "]":
            self._controls.detail = DETAIL.clamped(round(self._controls.detail + STEP, 2))
        elif key == "[":
            self._controls.detail = DETAIL.clamped(round(self._controls.detail - STEP, 2))
        elif key == "f":
            self._controls.forget()
        elif key == "h":
            shown = time.monotonic() < self._help_until_s
            self._help_until_s = 0.0 if shown else float("inf")
        return True


def _write(canvas: Image, line: str, number: int) -> None:
    size = canvas.shape[0] / 1200.0
    thick = max(1, round(1.6 * size))
    (width, height), below = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, size, thick)
    x, y = round(16 * size), round((40 + 50 * number) * size)
    edge = round(8 * size)
    area = canvas[max(y - height - edge, 0) : y + below + edge, : x + width + edge]
    area //= 2  # readable on any picture
    white = (255, 255, 255)
    cv2.putText(canvas, line, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, white, thick, cv2.LINE_AA)
