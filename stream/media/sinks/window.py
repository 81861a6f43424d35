"""Window: a window on the screen, OpenCV's, and whether there is a screen at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Protocol

import cv2

from stream.errors import OutputError
from stream.frame import Image

NO_DISPLAY = "there is no display for the preview window ({}); add --headless and an --output"
PROBE = "import cv2; cv2.namedWindow('Closeup'); cv2.waitKey(1); cv2.destroyAllWindows()"
PROBE_S = 30.0


class Window(Protocol):
    """What the preview needs of a window. Everything in the thread that made it."""

    def show(self, image: Image) -> None:
        """Draw a picture, RGB uint8 (H, W, 3)."""
        ...

    def key(self) -> str:
        """The key that was pressed since the last call, or ""; lets the window live meanwhile."""
        ...

    def dragged_to(self) -> float | None:
        """Where the mouse was last dragged, 0..1 of the width; None when it was not."""
        ...

    def is_closed(self) -> bool:
        """Whether the user has closed it."""
        ...

    def close(self) -> None:
        """Take it from the screen."""
        ...


class CvWindow:
    """A window of OpenCV; call `check_display` before: without a screen OpenCV ends the process."""

    def __init__(self, title: str = "Closeup") -> None:
        self._title = title
        self._width = 1
        self._dragged_to: float | None = None
        self._shown = False
        # Qt complains on stderr about fonts that the window does not need.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(title, self._on_mouse)

    def show(self, image: Image) -> None:
        """Draw a picture, RGB uint8 (H, W, 3)."""
        height, self._width = image.shape[:2]
        if not self._shown:
            cv2.resizeWindow(self._title, self._width, height)
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._shown = True

    def key(self) -> str:
        """The key that was pressed, or ""; also moves all of the window's events."""
        code = cv2.waitKey(1)
        return chr(code & 0xFF) if code >= 0 else ""

    def dragged_to(self) -> float | None:
        """Where the mouse was last dragged, 0..1 of the width; None when it was not."""
        place, self._dragged_to = self._dragged_to, None
        return place

    def is_closed(self) -> bool:
        """Whether the user has closed it."""
        return self._shown and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1.0

    def close(self) -> None:
        """Take it from the screen."""
        cv2.destroyAllWindows()
        cv2.waitKey(1)

    def _on_mouse(self, event: int, x: int, y: int, flags: int, data: object) -> None:
        if flags & cv2.EVENT_FLAG_LBUTTON:
            self._dragged_to = min(max(x / self._width, 0.0), 1.0)


def display_missing(environ: Mapping[str, str] = os.environ) -> str | None:
    """Why no window can be opened, one line, or None.

    Asked in a process of its own: a display that cannot be reached ends the one that asks.
    """
    if sys.platform == "linux" and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, timeout=PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "it does not answer"
    if done.returncode == 0:
        return None
    if sys.platform == "linux" and not environ.get("DISPLAY"):
        return "OpenCV's windows need X, on Wayland through XWayland: DISPLAY is not set"
    return "it cannot be reached"


def check_display() -> None:
    """Raises: OutputError: no window can be opened."""
    if reason := display_missing():
        raise OutputError(NO_DISPLAY.format(reason))
