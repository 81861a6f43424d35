"""Stats: the figures of a call while it runs, a line a second, for programs (JSON) or people.

Each line covers the time since the line before; the last one the whole call.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal, Self, TextIO

from stream.telemetry.metrics import (
    AGE,
    DROPPED,
    ENHANCED,
    FACES,
    FAILED_OPEN,
    FRAMES,
    Histogram,
    Metrics,
    Snapshot,
)
from stream.telemetry.process_memory import resident_bytes

Form = Literal["json", "table"]
EVERY_S = 1.0
HEADER_EVERY = 20
"""Rows of the table."""
PATIENCE_S = 2.0
"""A reader that does not read holds nobody up for longer than this, at the end."""
HEADER = (
    f"{'time':>8} {'fps':>6} {'age50':>6} {'age95':>6} {'age99 ms':>9} {'dropped':>8}"
    f" {'open':>5} {'faces':>6} {'sharp':>6} {'level':>6} {'MB':>6}"
)


class Stats:
    """Writes the figures from a thread of its own, within `with`.

    A thread, because the reader may stop reading, and the call must go on.

    Args: metrics: of the running pipeline. form: "json" or "table". out: where to write.
          every_s: seconds between lines.
    """

    def __init__(self, metrics: Metrics, form: Form, out: TextIO, every_s: float = EVERY_S) -> None:
        self._metrics = metrics
        self._form = form
        self._out = out
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="closeup stats", daemon=True)
        self._rows = 0

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:  # Ctrl-C in Thread.start does not tell whether the thread runs
            self._ended.set()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        began_s = then_s = time.monotonic()
        before = Snapshot()
        try:
            while not self._ended.wait(self._every_s):
                now_s, now = time.monotonic(), self._metrics.snapshot()
                self._write(now.since(before), now_s - began_s, now_s - then_s)
                then_s, before = now_s, now
            whole_s = time.monotonic() - began_s
            self._write(self._metrics.snapshot(), whole_s, whole_s, final=True)
        except (BrokenPipeError, ValueError):
            # Nobody reads any more. What is left in the buffer must not fail at the exit again.
            if not self._out.closed:
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())

    def _write(self, figures: Snapshot, time_s: float, span_s: float, final: bool = False) -> None:
        line = describe(figures, time_s, span_s, final=final)
        if self._form == "json":
            text = json.dumps(line)
        else:
            text = _row(line)
            if self._rows % HEADER_EVERY == 0:
                text = f"{HEADER}\n{text}"
            self._rows += 1
        self._out.write(text + "\n")
        self._out.flush()


def describe(figures: Snapshot, time_s: float, span_s: float, *, final: bool) -> dict[str, Any]:
    """The JSON of one line.

    Args:    figures: of the last `span_s` seconds. time_s: since the start. final: the last line.
    Returns: `time_s`, `final`, `fps`; counters by their names ("frames", "frames_dropped", ...);
             gauges ("quality_level", ...); `resident_mb`, null where unknown; `age_ms` by output
             and `stages_ms` by part, each with p50, p95 and p99.
    """
    ages = {n.removesuffix(AGE): h for n, h in figures.histograms.items() if n.endswith(AGE)}
    parts = {name: h for name, h in figures.histograms.items() if not name.endswith(AGE)}
    counted = {name: figures.counters.get(name, 0) for name in (FRAMES, DROPPED, FAILED_OPEN)}
    counted |= {name: figures.counters.get(name, 0) for name in (FACES, ENHANCED)}
    counted |= figures.counters
    resident = resident_bytes()
    return {
        "time_s": round(time_s, 2),
        "final": final,
        "fps": round(figures.counters.get(FRAMES, 0) / max(span_s, 1e-6), 2),
        **{_key(name): number for name, number in counted.items()},
        **{_key(name): value for name, value in figures.gauges.items()},
        "resident_mb": None if resident is None else round(resident / 1e6, 1),
        "age_ms": _percentiles(ages),
        "stages_ms": _percentiles(parts),
    }


def _percentiles(histograms: Mapping[str, Histogram]) -> dict[str, dict[str, float]]:
    return {
        name: {f"p{percent}": round(one.percentile(percent), 2) for percent in (50, 95, 99)}
        for name, one in histograms.items()
        if one.count
    }


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _row(line: Mapping[str, Any]) -> str:
    """A row of the table; of several outputs the age of the slowest."""
    ages: Mapping[str, float] = max(line["age_ms"].values(), key=lambda age: age["p95"], default={})
    shown = [f"{ages[p]:.0f}" if ages else "-" for p in ("p50", "p95", "p99")]
    frames = max(line["frames"], 1)
    minutes, seconds = divmod(round(line["time_s"]), 60)
    when = "all" if line["final"] else f"{minutes}:{seconds:02}"
    memory = line["resident_mb"]
    return (
        f"{when:>8} {line['fps']:>6.1f} {shown[0]:>6} {shown[1]:>6} {shown[2]:>9}"
        f" {line['frames_dropped']:>8}"
        f" {line['frames_failed_open']:>5} {line['faces_seen'] / frames:>6.1f}"
        f" {line['faces_enhanced'] / frames:>6.1f} {line.get('quality_level', 0):>6.0f}"
        f" {'-' if memory is None else format(memory, '.0f'):>6}"
    )
