"""Report: the promised keys, the right counts, an atomic file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.runtime import OpenedRuntime, PassedOver, ProfileState
from engines.speed_profile import Choice
from stream.errors import OutputError
from stream.events import EventLog
from stream.graph import Stages, limit_event
from stream.session import EnhancementSession
from stream.telemetry.metrics import ENHANCED, FACES, FRAMES, Metrics
from stream.telemetry.report import Report, format_report, make_report, write_report
from tests.fakes import BicubicRuntime


@pytest.fixture
def report() -> Report:
    metrics = Metrics()
    for faces, enhanced in ((0, 0), (2, 1), (3, 1)):
        metrics.count(FRAMES)
        metrics.count(FACES, faces)
        metrics.count(ENHANCED, enhanced)
        metrics.record("tracker", 10.0)
    return make_report(
        metrics,
        duration_s=1.5,
        exemplars=7,
        input_name="call.mp4",
        output_name="better.mp4",
        opened=OpenedRuntime(
            "onnxruntime-cpu",
            BicubicRuntime(4),
            (PassedOver("tensorrt", "no card"),),
            ProfileState(Choice("onnxruntime-cpu", "fp32", 1, 48)),
        ),
    )


def test_faces_are_counted_in_every_frame(report: Report) -> None:
    assert report["frames"] == 3
    assert report["faces_seen"] == 5
    assert report["faces_enhanced"] == 2
    assert report["faces_passed_through"] == 3
    assert report["exemplars"] == 7
    assert report["fps"] == 2.0
    assert report["stages"]["tracker"]["p50_ms"] == pytest.approx(10.0, rel=0.03)


def test_the_file_has_the_promised_keys(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, report)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read == report
    assert read["runtime"] == "bicubic"
    assert read["profile"] == "speed profile: onnxruntime-cpu fp32, 1 thread, crops up to 48 px"
    assert read["passed_over"] == ["tensorrt passed over: no card"]
    assert {"frames", "faces_seen", "faces_enhanced", "faces_passed_through"} <= set(read)
    assert {"exemplars", "fps", "stages"} <= set(read)
    assert set(read["stages"]["tracker"]) == {"p50_ms", "p95_ms", "p99_ms"}
    assert list(tmp_path.iterdir()) == [path]


def test_the_table_is_short_and_has_the_numbers(report: Report) -> None:
    text = format_report(report)
    assert len(text.splitlines()) <= 10
    assert "network run by bicubic\nspeed profile: onnxruntime-cpu fp32, 1 thr" in text
    assert "tracker" in text
    assert "2.0" in text


def test_a_limit_that_was_reached_is_said(report: Report) -> None:
    assert report["face_limit"] is None
    assert "at once" not in format_report(report)
    events = EventLog()
    session = EnhancementSession(Stages([], events=events))
    limit_event(events)(64)
    more = make_report(session.metrics, duration_s=1, exemplars=0, input_name="", output_name="")
    assert more["face_limit"] == 64
    assert "more than 64 faces at once: the others are as they were" in format_report(more)


def test_a_place_that_cannot_be_written(report: Report, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "missing" / "report.json", report)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "folder", report)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
