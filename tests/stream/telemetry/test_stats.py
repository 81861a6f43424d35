"""Stats: lines that a program can read, for one second each, and readers that go away."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from typing import Any

import pytest

from stream.telemetry.metrics import DROPPED, ENHANCED, FACES, FRAMES, Metrics, Snapshot, age_of
from stream.telemetry.stats import HEADER, Stats, describe


def filled() -> Metrics:
    metrics = Metrics()
    for _ in range(30):
        metrics.count(FRAMES)
        metrics.count(FACES, 2)
        metrics.count(ENHANCED)
        metrics.record("tracker", 20.0)
        metrics.record(age_of("write"), 40.0)
    metrics.count(DROPPED, 3)
    metrics.set("quality level", 2)
    return metrics


def test_a_line_has_rates_counts_ages_and_times() -> None:
    line = describe(filled().snapshot(), 12.0, 2.0, final=False)
    assert (line["time_s"], line["final"], line["fps"]) == (12.0, False, 15.0)
    assert (line["frames"], line["frames_dropped"], line["frames_failed_open"]) == (30, 3, 0)
    assert (line["faces_seen"], line["faces_enhanced"], line["quality_level"]) == (60, 30, 2)
    assert line["age_ms"].keys() == {"write"}
    assert line["age_ms"]["write"]["p95"] == pytest.approx(40.0, rel=0.03)
    assert line["stages_ms"].keys() == {"tracker"}
    assert set(line["stages_ms"]["tracker"]) == {"p50", "p95", "p99"}
    assert json.loads(json.dumps(line)) == line


def test_a_line_covers_what_came_after_the_one_before() -> None:
    metrics = filled()
    before = metrics.snapshot()
    for _ in range(10):
        metrics.record("tracker", 5.0)
        metrics.count(FRAMES)
    line = describe(metrics.snapshot().since(before), 2.0, 1.0, final=False)
    assert (line["frames"], line["frames_dropped"], line["fps"]) == (10, 0, 10.0)
    assert line["stages_ms"]["tracker"]["p99"] == pytest.approx(5.0, rel=0.03)
    assert line["age_ms"] == {}, "no frame came out"
    empty = describe(Snapshot(), 0.0, 0.0, final=True)
    assert (empty["frames"], empty["fps"]) == (0, 0.0)


def test_json_lines_add_up_and_the_last_one_is_the_whole() -> None:
    metrics, out = filled(), io.StringIO()
    with Stats(metrics, "json", out, every_s=0.02):
        for _ in range(20):
            time.sleep(0.01)
            metrics.count(FRAMES)
    *lines, last = [json.loads(line) for line in out.getvalue().splitlines()]
    assert last["final"]
    assert last["frames"] == 50
    assert len(lines) > 1
    assert not any(line["final"] for line in lines)
    assert 30 <= sum(line["frames"] for line in lines) <= 50
    assert lines[0]["frames"] >= 30 > lines[1]["frames"]


def test_the_table_has_a_heading_and_aligned_rows() -> None:
    metrics, out = filled(), io.StringIO()
    with Stats(metrics, "table", out, every_s=0.02):
        time.sleep(0.1)
    header, *rows = out.getvalue().splitlines()
    assert header == HEADER
    assert rows[-1].split()[0] == "all"
    assert {len(row) for row in rows} == {len(HEADER)}
    assert rows[0].split()[1] != "0.0"
    assert rows[-1].split()[2:8] == ["40", "40", "40", "3", "0", "2.0"]


@pytest.mark.parametrize("form", ["json", "table"])
def test_a_reader_that_leaves_does_not_end_the_call(form: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = os.fdopen(writing, "w")
    stats = Stats(filled(), form, out, every_s=0.01)
    with stats:
        stats._thread.join(10.0)
        assert not stats._thread.is_alive(), "it gave up"
    out.close()  # raises where something is left to fail


def test_a_reader_that_does_not_read_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.telemetry.stats.PATIENCE_S", 0.1)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writing, True)
    before = threading.active_count()
    with os.fdopen(writing, "w") as out:
        with Stats(filled(), "json", out, every_s=0.01):
            time.sleep(0.05)
        assert threading.active_count() == before + 1, "still in the pipe"
        os.close(reading)
        while threading.active_count() > before:
            time.sleep(0.01)
