"""The command line: recordings in and out, and one clear line for everything that goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import run_pipeline
from engines.runtime import WeightsError
from stream.errors import ModelError
from stream.frame import Frame
from stream.graph import Opener
from stream.media.demo.__main__ import main as write_demo_call
from stream.media.demo.demo_source import DemoSource
from stream.media.sources.file_source import FileSource
from tests.fake_stages import run_main, use_fake_stages
from tests.recording_files import CLOCK, VFR_PTS, packets_of, picture, times_of, write_recording

REPO = Path(run_pipeline.__file__).parent


@pytest.fixture
def fake_stages(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces the real stages, which need models; see `use_fake_stages`."""
    use = partial(use_fake_stages, monkeypatch)
    use()
    return use


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.mp4"
    write_recording(path, sounds=2)
    return path


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What stderr says beside the progress: exactly one line of error."""
    lines = [line for line in capsys.readouterr().err.splitlines() if " frames" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_recording_is_enlarged_with_its_sound_and_times(
    fake_stages: Callable[..., None], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = recording.with_name("better.mp4"), recording.with_name("report.json")
    assert run_main("--input", recording, "--output", output, "--report", report) == 0
    with FileSource(output) as source:
        assert (source.width, source.height) == (128, 96)
        image = next(iter(source)).image
    assert np.median(np.abs(image[::2, ::2].astype(int) - picture())) <= 3
    assert times_of(output) == [pts * CLOCK for pts in VFR_PTS]
    key = lambda one: (one[0], one[1])  # noqa: E731
    assert sorted(packets_of(output, "audio"), key=key) == sorted(
        packets_of(recording, "audio"), key=key
    )
    written = json.loads(report.read_text(encoding="utf-8"))
    assert written["check"]["differences"] == []
    assert written["check"]["pictures"] == [len(VFR_PTS)] * 2
    assert written["frames"] == written["faces_seen"] == written["faces_enhanced"] == len(VFR_PTS)
    looked = {"look source", "look tracker", "look bank"}
    assert set(written["stages"]) == {*looked, "source", "enlarge", "write"}
    assert (written["people"], written["merged_tracks"]) == (1, 0)
    said = capsys.readouterr()
    assert "faces seen" in said.out
    assert f"checked: as in the input, {len(VFR_PTS)} pictures" in said.out
    assert "pass 1 of 2, looking: 10/10 frames (100 %)" in said.err
    assert "pass 2 of 2: 10/10 frames (100 %)" in said.err
    assert names(recording.parent) == {"call.mp4", "better.mp4", "report.json"}


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_recording_without_a_face_passes_through_unchanged(
    more: list[str],
    fake_stages: Callable[..., None],
    recording: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_stages(face=False)
    output = recording.with_name("better.mp4")
    assert run_main("--input", recording, "--output", output, *more) == 0
    assert output.read_bytes() == recording.read_bytes()
    assert (
        "no face was found: the recording was passed through unchanged" in capsys.readouterr().out
    )
    output.write_bytes(b"old")
    assert run_main("--input", recording, "--output", output, *more) == 2
    assert output.read_bytes() == b"old"
    assert run_main("--input", recording, "--output", output, "--overwrite", *more) == 0
    assert output.read_bytes() == recording.read_bytes()
    assert names(recording.parent) == {"call.mp4", "better.mp4"}


def test_a_recording_that_ends_early_is_processed_and_says_so(
    fake_stages: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=range(0, 180_000, 3600), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert run_main("--input", path, "--output", tmp_path / "better.mp4") == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note")]
    assert len(notes) == 1
    assert "call.mp4 ends early" in notes[0]
    assert 3 < len(times_of(tmp_path / "better.mp4")) < 50


def test_the_demo_writes_its_recording_and_its_picture(
    fake_stages: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_pipeline, "DemoSource", lambda: DemoSource(0.2))
    for _ in range(2):  # the second run replaces what the first one left
        assert run_main("--input", "demo") == 0
        assert "far face: " in capsys.readouterr().out
    assert len(times_of(tmp_path / "out" / "demo.mp4")) == 5
    assert packets_of(tmp_path / "out" / "demo.mp4", "audio")
    assert not list(tmp_path.rglob(".*.part"))


def test_the_demos_call_is_written_and_read_as_a_recording(
    fake_stages: Callable[..., None], tmp_path: Path
) -> None:
    """As `make demo` does."""
    call, better = tmp_path / "call.mp4", tmp_path / "better.mp4"
    assert write_demo_call([str(call), "--seconds", "0.2"]) == 0
    assert run_main("--input", call, "--output", better) == 0
    assert times_of(better) == times_of(call) == [Fraction(index, 25) for index in range(5)]
    assert packets_of(better, "audio") == packets_of(call, "audio")
    assert names(tmp_path) == {"call.mp4", "better.mp4"}


@pytest.mark.parametrize(("seconds", "message"), [("11", "up to 10 s"), ("0.2", "exists already")])
def test_a_demo_call_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str, message: str
) -> None:
    call = tmp_path / "call.mp4"
    call.write_bytes(b"mine")
    assert write_demo_call([str(call), "--seconds", seconds]) == 2
    assert message in capsys.readouterr().err
    assert call.read_bytes() == b"mine"


BAD_INPUTS: list[tuple[str, bytes | None, str]] = [
    ("missing.mp4", None, "does not exist"),
    (".", None, "several need a folder"),
    ("text.mp4", b"Hello\n" * 200, "is not a recording"),
    ("list.mp4", b"ffconcat version 1.0\nfile call.mp4\n", "is not a recording"),
    ("empty.mp4", b"", "is empty"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_INPUTS)
def test_bad_inputs(
    recording: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None,
    message: str,
) -> None:  # fmt: skip
    path = recording.with_name(name) if name != "." else recording.parent
    if content is not None:
        path.write_bytes(content)
    before = names(recording.parent)
    assert run_main("--input", path, "--output", recording.with_name("better.mp4")) == 2
    assert message in one_line(capsys)
    assert names(recording.parent) == before


def test_sound_only_and_a_lost_index(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = recording.with_name("better.mp4")
    recording.write_bytes(recording.read_bytes()[:1500])
    assert run_main("--input", recording, "--output", output) == 2
    assert "its end is missing" in one_line(capsys)
    write_recording(recording, video=False)
    assert run_main("--input", recording, "--output", output) == 2
    assert "no moving pictures" in one_line(capsys)
    assert names(recording.parent) == {"call.mp4"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "old.mp4"], "--overwrite"),
        (["--output", "nowhere/better.mp4"], "folder"),
        (["--output", "call.mp4", "--overwrite"], "the input itself"),
        (["--output", "better.txt"], "use .mp4"),
        (["--output", "better.mp4", "--report", "better.mp4"], "names a recording"),
        (["--output", "better.mp4", "--report", "old.mp4"], "give --report a folder"),
        (["--output", "better.mp4", "--report", "nowhere/report.json"], "folder"),
        (["--output", "better.mp4", "--scale", "9"], "out of range"),
        (["--output", "better.mp4", "--scale", "2", "--framing", "auto"], "needs --framing fixed"),
        ([], "--output is missing"),
    ],
)
def test_impossible_options(
    recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(recording.parent)
    Path("old.mp4").write_bytes(b"old")
    assert run_main("--input", "call.mp4", *arguments) == 2
    assert message in one_line(capsys)
    assert names(recording.parent) == {"call.mp4", "old.mp4"}
    assert Path("old.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("place", ["first_pass", "meet"])
@pytest.mark.parametrize(
    "error", [ModelError("the models cannot be fetched"), WeightsError("install a runtime")]
)
def test_an_error_of_a_stage_is_one_line_and_leaves_nothing(
    fake_stages: Callable[..., None], recording: Path, capsys: pytest.CaptureFixture[str],
    error: Exception, place: str,
) -> None:  # fmt: skip
    def fail(frame: Frame) -> None:
        if frame.index == 7:
            raise error

    fake_stages(**{place: fail})
    assert run_main("--input", recording, "--output", recording.with_name("better.mp4")) == 2
    assert str(error) in one_line(capsys)
    assert names(recording.parent) == {"call.mp4"}


def test_a_defect_keeps_its_traceback_and_leaves_nothing(
    fake_stages: Callable[..., None], recording: Path
) -> None:
    def fail(frame: Frame) -> None:
        if frame.index == 7:
            raise ZeroDivisionError

    fake_stages(meet=fail)
    with pytest.raises(ZeroDivisionError):
        run_main("--input", recording, "--output", recording.with_name("better.mp4"))
    assert names(recording.parent) == {"call.mp4"}


def test_a_recording_that_is_still_written_to(
    fake_stages: Callable[..., None], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def grow(frame: Frame) -> None:
        if frame.index == 3:
            os.utime(recording, (1.0, 1.0))

    fake_stages(meet=grow)
    assert run_main("--input", recording, "--output", recording.with_name("better.mp4")) == 0
    assert "note: call.mp4 was written to meanwhile" in capsys.readouterr().err


def test_a_recording_from_a_pipe(
    fake_stages: Callable[..., None], recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_stages()
    output = recording.with_name("better.mp4")
    with recording.open() as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        assert run_main("--input", "-", "--output", output) == 0
    assert times_of(output) == times_of(recording)
    assert names(recording.parent) == {"call.mp4", "better.mp4"}, "what was kept is gone"


def test_a_pipe_goes_in_alone_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main("--input", "-", "--output", "better.mp4", "--resume") == 2
    assert "--resume needs a file" in capsys.readouterr().err
    assert run_main("--input", "-", "--input", "call.mp4", "--output", "better/") == 2
    assert "several inputs must be recordings" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["first_pass", "meet"])
def test_ctrl_c_leaves_nothing(
    fake_stages: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    def interrupt(frame: Frame) -> None:
        if frame.index == 90:
            signal.raise_signal(signal.SIGINT)

    recording = tmp_path / "call.mp4"
    write_recording(recording, pts=range(0, 3_600_000, 3600), sounds=0)
    fake_stages(**{place: interrupt})
    assert run_main("--input", recording, "--output", tmp_path / "better.mp4") == 130
    assert "stopped; no output was written" in capsys.readouterr().err
    assert names(tmp_path) == {"call.mp4"}


def test_as_a_command(tmp_path: Path) -> None:
    arguments = ["--input", "nothing.mp4", "--output", "better.mp4"]
    result = subprocess.run(
        [sys.executable, str(REPO / "run_pipeline.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr == "error: nothing.mp4 does not exist\n"
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_the_opener_remembers_what_it_took_and_why() -> None:
    opener = Opener("auto")
    opened = opener(4)
    with opened.runtime:
        assert opener.opened is opened
        assert opened.name not in [one.name for one in opened.passed_over]
        assert all(one.reason for one in opened.passed_over)
    named = Opener("onnxruntime-cpu")
    opened = named(4)
    with opened.runtime as runtime:
        assert runtime.name == opened.name == "onnxruntime-cpu"
        assert not opened.passed_over
