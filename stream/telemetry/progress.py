"""Progress: how far a run is, in one line, or as JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

REFRESH_S = 0.2
"""On a terminal the line is drawn at most this often."""
LINES = 10
"""Where the text is kept (a file, a log of a server): a line after each tenth."""
UNKNOWN_EVERY_S = 10.0
"""The same when the total is not known."""
JSON_EVERY_S = 1.0
FRAMES = "frames"
"""What is counted, unless it is said otherwise."""

Clock = Callable[[], float]
"""Seconds, never going back."""


@dataclass(frozen=True)
class Moment:
    """How far a recording is at one time."""

    frames: int
    """Done so far."""
    total: int | None
    """To expect; None when nobody knows, or when they are more than expected."""
    fps: float
    left_s: float | None
    """None when nobody knows."""
    label: str = ""
    """Of the pass, if there are several."""
    unit: str = FRAMES
    """What is counted."""
    note: str = ""
    """What is to be said beside it."""

    @property
    def line(self) -> str:
        """For people; without a pace where nobody knows it yet."""
        unit = " fps" if self.unit == FRAMES else f" {self.unit}/s"
        pace = f", {self.fps:.1f}{unit}" if self.fps else ""
        note = f", {self.note}" if self.note else ""
        if self.total is None:
            return f"{self.label}{self.frames} {self.unit}{pace}{note}"
        left = "?" if self.left_s is None else clock_time(self.left_s)
        done = f"{self.frames}/{self.total} {self.unit} ({100 * self.frames // self.total} %)"
        return f"{self.label}{done}{pace}, {left} left{note}"


class Meter(Protocol):
    """Is told of every frame of a recording."""

    def advance(self, replayed: bool = False) -> None:
        """One more frame is done, or, after an interruption, was done before."""
        ...

    def reach(self, done: int, note: str = "") -> None:
        """So many are done, all together; `note` is to be said beside it."""
        ...

    def finish(self) -> None:
        """No more frames come."""
        ...


class MakeMeter(Protocol):
    """Starts a meter for each pass over a recording."""

    def __call__(self, total: int | None, *, label: str = "", unit: str = FRAMES) -> Meter:
        """Args: total: frames to expect; None when nobody knows. label: of the pass, if several.
        unit: what is counted, if it is no frames."""
        ...


class Pace:
    """Counts frames, and how fast they come.

    Args: total: frames to expect; None when nobody knows. label: of the pass, if several.
          unit: what is counted.
    """

    def __init__(
        self,
        total: int | None,
        clock: Clock = time.monotonic,
        label: str = "",
        unit: str = FRAMES,
    ) -> None:
        self._total = total if total else None
        self._clock = clock
        self._label, self._unit, self._note = label, unit, ""
        self._started_s = clock()
        self._replayed = 0
        self.done = 0

    def advance(self, replayed: bool = False) -> None:
        """One more frame. A replayed one is quick and says nothing of those to come."""
        self.done += 1
        if replayed:
            self._replayed += 1
            self._started_s = self._clock()

    def reach(self, done: int, note: str = "") -> None:
        """So many are done. Those of the first time were done before the clock started."""
        if not self.done:
            self._replayed, self._started_s = done, self._clock()
        self.done, self._note = done, note

    @property
    def moment(self) -> Moment:
        """Now."""
        elapsed_s = max(self._clock() - self._started_s, 1e-6)
        fps = (self.done - self._replayed) / elapsed_s
        # A total that was only estimated may turn out too small.
        if self._total is None or self.done > self._total:
            return Moment(self.done, None, fps, None, self._label, self._unit, self._note)
        left_s = (self._total - self.done) / fps if fps else None
        return Moment(self.done, self._total, fps, left_s, self._label, self._unit, self._note)


class _PacedMeter:
    """What is done and how fast, shown from time to time."""

    def __init__(self, total: int | None, clock: Clock, label: str, unit: str) -> None:
        self._pace = Pace(total, clock, label, unit)
        self._clock = clock

    def advance(self, replayed: bool = False) -> None:
        """See `Meter`."""
        self._pace.advance(replayed)
        self._show()

    def reach(self, done: int, note: str = "") -> None:
        """See `Meter`."""
        self._pace.reach(done, note)
        self._show()

    def _show(self) -> None:
        raise NotImplementedError


class Progress(_PacedMeter):
    """A line for people: frames done, how fast, and how long the rest takes.

    Args: total: frames to expect; None when nobody knows.
          stream: where to write; standard error when left out.
          label: what comes first in the line.
    """

    def __init__(
        self,
        total: int | None,
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
        label: str = "",
        unit: str = FRAMES,
    ) -> None:
        super().__init__(total, clock, label, unit)
        self._total = total if total else None
        self._line = Line(stream, clock)
        self._printed_s = clock()
        self._tenths = 0

    def _show(self) -> None:
        if self._line.on_terminal:
            self._line.draw(lambda: self.line)
        elif self._total is None:
            if self._clock() - self._printed_s >= UNKNOWN_EVERY_S:
                self._print()
        elif self._pace.done * LINES // self._total > self._tenths:
            self._tenths = self._pace.done * LINES // self._total
            self._print()

    def finish(self) -> None:
        """See `Meter`."""
        self._line.clear()

    @property
    def line(self) -> str:
        """The line now."""
        return self._pace.moment.line

    def _print(self) -> None:
        self._line.print(self.line)
        self._printed_s = self._clock()


class Line:
    """A line on a terminal that changes; elsewhere lines one below the other."""

    def __init__(self, stream: TextIO | None = None, clock: Clock = time.monotonic) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self.on_terminal = self._stream.isatty()
        self._clock = clock
        self._drawn_s = clock()
        self._width = 0

    def draw(self, text: Callable[[], str]) -> None:
        """Show a text, unless one was shown just now."""
        now_s = self._clock()
        if now_s - self._drawn_s >= REFRESH_S:
            shown = text()
            self._stream.write("\r" + shown.ljust(self._width))
            self._stream.flush()
            self._width, self._drawn_s = len(shown), now_s

    def print(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        print(text, file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


class JsonProgress(_PacedMeter):
    """A JSON object a line, once a second and at the end, for programs.

    Args: total: as for `Progress`. names: of input and output.
    """

    def __init__(
        self,
        total: int | None,
        names: tuple[str, str],
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
        label: str = "",
        unit: str = FRAMES,
    ) -> None:
        super().__init__(total, clock, label, unit)
        self._names = {"input": names[0], "output": names[1]}
        self._stream = stream
        self._written_s = clock()

    def _show(self) -> None:
        if self._clock() - self._written_s >= JSON_EVERY_S:
            self._write()

    def finish(self) -> None:
        """See `Meter`."""
        self._write()

    def _write(self) -> None:
        self._written_s = self._clock()
        write_event(
            {"event": "recording", "state": "running", **self._names},
            self._pace.moment,
            self._stream,
        )


def write_event(
    event: dict[str, Any], moment: Moment | None = None, stream: TextIO | None = None
) -> None:
    """Write one line of `--progress json`, on stdout when no stream is given.

    Args: event: what happened; gets the figures of the moment. moment: how far the work is. stream:
          where to write; stdout when left out.
    """
    if moment is not None:
        left = None if moment.left_s is None else round(moment.left_s, 1)
        event |= {
            "step": moment.label.strip(" :"),
            moment.unit: moment.frames,
            f"{moment.unit}_total": moment.total,
        }
        event |= {"fps": round(moment.fps, 2), "left_s": left}
        if moment.note:
            event["note"] = moment.note
    print(json.dumps(event), file=stream, flush=True)


def clock_time(seconds: float) -> str:
    """Seconds → "0:05", "1:00:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
