"""Progress: how far a run is, in one line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

REFRESH_S = 0.2
"""On a terminal the line is drawn at most this often."""
LINES = 10
"""Where the text is kept (a file, a log of a server): a line after each tenth."""
UNKNOWN_EVERY_S = 10.0
"""The same when the total is not known."""


class Progress:
    """Counts frames and says how many are done, how fast, and how long the rest takes."""

    def __init__(
        self,
        total: int | None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        label: str = "",
    ) -> None:
        """Start the clock.

        Args: total: frames to expect; None when nobody knows.
              stream: where to write; standard error when left out.
              clock: seconds, never going back.
              label: what comes first in the line.
        """
        self._total = total if total else None
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._label = label
        self._started_s = clock()
        self._drawn_s = self._started_s
        self._tenths = 0
        self._done = 0
        self._width = 0

    def advance(self) -> None:
        """One more frame is done."""
        self._done += 1
        now_s = self._clock()
        if self._terminal:
            if now_s - self._drawn_s >= REFRESH_S:
                self._draw(now_s)
        elif self._total is None:
            if now_s - self._drawn_s >= UNKNOWN_EVERY_S:
                self._print(now_s)
        elif self._done * LINES // self._total > self._tenths:
            self._tenths = self._done * LINES // self._total
            self._print(now_s)

    def finish(self) -> None:
        """Take the line away from the terminal."""
        if self._terminal and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def line(self, now_s: float) -> str:
        """The line, at this time of the clock."""
        elapsed_s = max(now_s - self._started_s, 1e-6)
        fps = self._done / elapsed_s
        # A total that was only estimated may turn out too small.
        if self._total is None or self._done > self._total:
            return f"{self._label}{self._done} frames, {fps:.1f} fps"
        left = _clock_time((self._total - self._done) / fps) if self._done else "?"
        percent = 100 * self._done // self._total
        done = f"{self._done}/{self._total} frames ({percent} %)"
        return f"{self._label}{done}, {fps:.1f} fps, {left} left"

    def _draw(self, now_s: float) -> None:
        text = self.line(now_s)
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)
        self._drawn_s = now_s

    def _print(self, now_s: float) -> None:
        print(self.line(now_s), file=self._stream, flush=True)
        self._drawn_s = now_s


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
