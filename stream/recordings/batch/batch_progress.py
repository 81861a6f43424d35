"""BatchProgress: how far the recordings under way are, and all of them together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, TextIO

from stream.recordings.batch.discovery import shown
from stream.recordings.batch.manifest import Record
from stream.recordings.batch.task import Task
from stream.recordings.first_pass import FIRST
from stream.recordings.job import SECOND
from stream.telemetry.progress import FRAMES, Clock, Line, Moment, Pace, clock_time, write_event

SENT_EVERY_S = 0.25
JSON_EVERY_S = 1.0
LOOKING = 0.25
"""The first pass takes about this part of the time."""


class SentMeter:
    """A `stream.telemetry.progress.Meter` that tells somebody else, a few times a second."""

    def __init__(
        self,
        total: int | None,
        send: Callable[[Moment], None],
        clock: Clock = time.monotonic,
        label: str = "",
        unit: str = FRAMES,
    ) -> None:
        self._pace = Pace(total, clock, label, unit)
        self._send = send
        self._clock = clock
        self._sent_s = -SENT_EVERY_S

    def advance(self, replayed: bool = False) -> None:
        """One more frame."""
        self._pace.advance(replayed)
        self._tell()

    def reach(self, done: int, note: str = "") -> None:
        """So many are done."""
        self._pace.reach(done, note)
        self._tell()

    def _tell(self) -> None:
        if self._clock() - self._sent_s >= SENT_EVERY_S:
            self._sent_s = self._clock()
            self._send(self._pace.moment)

    def finish(self) -> None:
        """No more frames come."""


class BatchProgress:
    """A line for people, or JSON lines for programs, while an archive is worked on.

    How long the rest takes is estimated by bytes: opening all the recordings first would take long.

    Args: tasks: all that will be worked on. kind: "text" or "json".
          stream: of the JSON; the line for people goes to standard error.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        kind: Literal["text", "json"] = "text",
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._tasks = tasks
        self._json = kind == "json"
        self._stream = stream
        self._clock = clock
        self._line = Line(None, clock)
        self._bytes = [_size(task) for task in tasks]
        self._under_way: dict[int, Moment] = {}
        self._written_s = [-JSON_EVERY_S] * len(tasks)
        self._finished_bytes = 0
        self._started_s = clock()
        self.finished = 0
        """Recordings, failed ones among them."""
        self.failed = 0

    def update(self, number: int, moment: Moment) -> None:
        """A recording is so far. Args: number: of the task."""
        self._under_way[number] = moment
        if not self._json:
            if self._line.on_terminal:
                self._line.draw(self._text)
        elif self._clock() - self._written_s[number] >= JSON_EVERY_S:
            self._written_s[number] = self._clock()
            self._write(self._tasks[number], "running", moment)
            self._write_all("running")

    def finish(self, number: int, record: Record) -> None:
        """A recording is done, or failed."""
        task, moment = self._tasks[number], self._under_way.pop(number, None)
        self._finished_bytes += self._bytes[number]
        self.finished += 1
        self.failed += record.result == "failed"
        if self._json:
            error = {} if record.error is None else {"error": record.error}
            self._write(task, record.result, moment, **error)
            self._write_all("running" if self.finished < len(self._tasks) else "done")
        elif record.result == "done":
            figures = record.figures
            self._line.print(
                f"{self.finished}/{len(self._tasks)} {shown(task.options.output)}: "
                f"{figures.get('frames')} frames, {figures.get('faces_enhanced')} faces enhanced"
                + self._left()
            )
            for note in record.notes:
                self._line.print(f"note: {shown(task.input)}: {note}")

    def clear(self) -> None:
        """Take the line away from the terminal."""
        self._line.clear()

    @property
    def left_s(self) -> float | None:
        """How long all the rest takes; None when nobody knows."""
        done = self._finished_bytes + sum(
            self._bytes[number] * part_of(moment) for number, moment in self._under_way.items()
        )
        if done <= 0:
            return None
        return (self._clock() - self._started_s) * (sum(self._bytes) - done) / done

    def _left(self) -> str:
        left_s = self.left_s
        if left_s is None or self.finished == len(self._tasks):
            return ""
        return f"; {clock_time(left_s)} left for all"

    def _text(self) -> str:
        first = min(self._under_way)
        name = shown(self._tasks[first].input.name)
        others = f" and {len(self._under_way) - 1} more" if len(self._under_way) > 1 else ""
        count = f"{self.finished}/{len(self._tasks)}"
        return f"{count} {name}{others}: {self._under_way[first].line}{self._left()}"

    def _write(self, task: Task, state: str, moment: Moment | None, **more: Any) -> None:
        names = {"input": str(task.input), "output": str(task.options.output)}
        write_event({"event": "recording", "state": state, **names, **more}, moment, self._stream)

    def _write_all(self, state: str) -> None:
        left_s = self.left_s
        write_event(
            {
                "event": "archive",
                "state": state,
                "recordings": len(self._tasks),
                "finished": self.finished,
                "failed": self.failed,
                "left_s": None if left_s is None else round(left_s, 1),
            },
            stream=self._stream,
        )


def part_of(moment: Moment) -> float:
    """How much of a recording is done, 0..1, all its passes together."""
    done = moment.frames / moment.total if moment.total else 0.0
    if moment.label == FIRST:
        return LOOKING * done
    if moment.unit != FRAMES:  # somebody is learnt, between the passes
        return LOOKING
    return LOOKING + (1.0 - LOOKING) * done if moment.label == SECOND else done


def _size(task: Task) -> int:
    try:
        return max(1, task.input.stat().st_size)
    except OSError:
        return 1
