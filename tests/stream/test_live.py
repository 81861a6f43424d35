"""A call from the command line: pictures made up by FFmpeg, stages that need no model."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import run_pipeline
from engines.runtime import UnavailableError
from run_pipeline import main
from stream import live
from stream.cli.stopping import SIGNALS
from stream.frame import Frame, View
from stream.graph import Opener, Stages
from stream.live import Ending
from stream.media.sinks.preview import Controls, Preview
from stream.media.sources.file_source import FileSource
from stream.protocols import Stage
from stream.stages.compositing.compositor import Compositor
from stream.stages.exemplars.bank import Bank
from tests.fakes import Loopback
from tests.recording_files import times_of

SHORT = "lavfi:testsrc2=size=64x48:rate=30:duration=0.8"
ENDLESS = "lavfi:testsrc2=size=64x48:rate=30"


class Enlarge(Stage):
    """All stages in one: the whole picture on a canvas of the view's size."""

    name = "enlarge"

    def __init__(self, whole: View) -> None:
        self.whole = whole
        self.fail = False
        self.closed = 0

    def __call__(self, frame: Frame) -> Frame:
        if self.fail:
            raise OSError("no stage today")
        output = cv2.resize(frame.image, self.whole.size, interpolation=cv2.INTER_CUBIC)
        return replace(frame, view=self.whole, output=np.asarray(output, np.uint8))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Enlarge:
    """Takes the place of the real stages."""
    whole = View((0.0, 0.0, 64.0, 48.0), (128, 96))
    enlarge = Enlarge(whole)

    def build(size: tuple[int, int], rate: Fraction, *, runtime: str, **_: object) -> Stages:
        assert size == (64, 48)
        assert rate == 30
        return Stages([enlarge], Bank(), Compositor(), Opener(runtime), whole)

    monkeypatch.setattr(Stages, "build", build)
    return enlarge


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def call(tmp_path: Path, what: str, *more: object) -> int:
    return main(["--input", what, *(str(one) for one in more)])


def test_several_outputs_at_once_and_a_report(
    stage: Enlarge, loopback: type[Loopback], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "call.mp4", tmp_path / "call.mkv"]
    outputs = [word for path in files for word in ("--output", path)]
    report = tmp_path / "report.json"
    more = ["--headless", *outputs, "--output", "virtualcam", "--report", report]
    assert call(tmp_path, SHORT, *more) == 0
    for path in files:
        with FileSource(path) as source:
            assert (source.width, source.height) == (128, 96)
        times = times_of(path)
        assert len(times) > 3
        assert 0.3 < float(times[-1] - times[0]) < 3.0, "the times of the clock"
    (camera,) = loopback.opened
    assert camera.size == (128, 96, 30.0, "RGB")
    assert camera.sent > 3
    assert not camera.is_open
    written = json.loads(report.read_text(encoding="utf-8"))
    assert {"write age", "virtualcam age"} <= set(written["stages"])
    assert written["frames_failed_open"] == 0
    assert written["output"].endswith("call.mkv, virtualcam")
    assert stage.closed == 1
    said = capsys.readouterr()
    assert f"{files[1]} written" in said.out
    assert "error" not in said.err


def test_a_call_goes_on_without_its_stages_and_says_so_once(
    stage: Enlarge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.fail = True
    output = tmp_path / "call.mp4"
    assert call(tmp_path, SHORT, "--headless", "--output", output) == 0
    with FileSource(output) as source:
        assert (source.width, source.height) == (128, 96)
    said = capsys.readouterr()
    notes = [line for line in said.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "the enlarge failed (no stage today)" in notes[0]
    assert "failed open" in said.out


@pytest.mark.parametrize("number", SIGNALS)
def test_ctrl_c_finishes_the_recording(stage: Enlarge, tmp_path: Path, number: int) -> None:
    output = tmp_path / "call.mp4"
    before = signal.getsignal(number)

    def twice() -> None:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)

    timer = threading.Timer(1.5, twice)
    timer.start()
    assert call(tmp_path, ENDLESS, "--headless", "--output", output) == 0
    timer.join()
    assert len(times_of(output)) > 3
    assert {path.name for path in tmp_path.iterdir()} == {"call.mp4"}
    assert signal.getsignal(number) == before


def test_ctrl_c_between_the_outputs_and_the_pipeline(
    stage: Enlarge, loopback: type[Loopback], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "showing", interrupt)
    output = tmp_path / "call.mp4"
    given = ["--output", output, "--output", "virtualcam", "--headless"]
    assert call(tmp_path, ENDLESS, *given) == 130
    assert [one.is_open for one in loopback.opened] == [False]
    assert stage.closed == 1
    assert not output.exists()


def test_who_insists_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    with Ending() as ending:
        signal.raise_signal(signal.SIGINT)
        assert ending.asked
        monkeypatch.setattr(live, "PATIENCE_S", -1.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_figures_alone_on_stdout_and_for_prometheus(
    stage: Enlarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    read: list[str] = []

    def scrape() -> None:
        (note,) = [one for one in capsys.readouterr().err.splitlines() if "Prometheus" in one]
        with urllib.request.urlopen(note.split(" at ")[1], timeout=10) as answer:
            read.append(answer.read().decode())

    timer = threading.Timer(1.0, scrape)
    timer.start()
    graph = SHORT.replace("0.8", "2.5")
    output = tmp_path / "call.mp4"
    more = ["--stats", "json", "--metrics-port", 0, "--headless", "--output", output]
    assert call(tmp_path, graph, *more) == 0
    timer.join()
    said = capsys.readouterr()
    *lines, last = [json.loads(line) for line in said.out.splitlines()]
    assert lines
    assert last["final"]
    assert last["frames"] > 3
    assert {"enlarge", "write"} <= set(last["stages_ms"])
    assert last["age_ms"]["write"]["p95"] > 0.0
    assert f"{output} written" in said.err
    assert 'closeup_stage_seconds{quantile="0.95",stage="enlarge"}' in read[0]
    assert "closeup_frames_total" in read[0]


class Screen:
    """A window whose user looks at ten pictures, presses keys, and quits."""

    def __init__(self) -> None:
        self.shown = 0
        self.keys = ["b", "-", "f"]
        self.closed = False

    def show(self, image: Any) -> None:
        assert image.shape == (96, 128, 3)
        self.shown += 1

    def key(self) -> str:
        if self.shown < 10:
            return ""
        return self.keys.pop(0) if self.keys else "q"

    def dragged_to(self) -> float | None:
        return None

    def is_closed(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def test_the_preview_ends_the_call_with_a_key(
    stage: Enlarge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen, kept = Screen(), []

    def preview(controls: Controls) -> Preview:
        kept.append(controls)
        return Preview(controls, lambda: screen)

    monkeypatch.setattr(live, "Preview", preview)
    monkeypatch.setattr(run_pipeline, "check_display", lambda: None)
    assert call(tmp_path, ENDLESS, "--output", tmp_path / "call.mp4") == 0
    assert screen.closed
    assert kept[0].strength == 0.9
    assert (tmp_path / "call.mp4").exists()


def broken_camera(*_: object, **__: object) -> None:
    raise RuntimeError("no device")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "webcam:97", "--headless", "--output", "a.mp4"], "is not there"),
        (["--input", SHORT], "there is no display"),
        (["--input", SHORT, "--headless", "--output", "a.mp4", "--metrics-port", "70000"], "range"),
        (["--input", SHORT, "--headless", "--output", "old.mp4"], "--overwrite"),
        (["--input", SHORT, "--headless", "--output", "a.txt"], "use .mp4"),
        (
            ["--input", SHORT, "--headless", "--output", "a.mp4", "--report", "a.mp4"],
            "give a .json file",
        ),
        (["--input", SHORT, "--headless", "--output", "virtualcam"], "modprobe v4l2loopback"),
    ],
)
def test_what_cannot_begin_says_why_and_leaves_nothing(
    stage: Enlarge, loopback: type[Loopback], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("old.mp4").write_bytes(b"old")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.modules["pyvirtualcam"], "Camera", broken_camera)
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert stage.closed == (1 if "virtualcam" in arguments else 0)


def test_a_runtime_that_was_asked_for_must_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str, scale: int, **rest: Any) -> None:
        raise UnavailableError(f"{name} cannot run here")

    monkeypatch.setattr("stream.graph.open_runtime", refuse)
    more = ["--headless", "--output", tmp_path / "a.mp4", "--runtime", "tensorrt"]
    assert call(tmp_path, ENDLESS, *more) == 2
    assert "tensorrt cannot run here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_output_that_fails_ends_the_call(
    stage: Enlarge, loopback: type[Loopback], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def gone(self: Loopback, image: Any) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(Loopback, "send", gone)
    started_s = time.monotonic()
    more = ["--headless", "--output", "virtualcam", "--output", tmp_path / "a.mp4"]
    assert call(tmp_path, ENDLESS, *more) == 2
    assert time.monotonic() - started_s < 10.0
    assert "the virtual camera /dev/video9 went away" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
