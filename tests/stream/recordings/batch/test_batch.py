"""Archives as a command: what is worked on, what is left alone, and what a failure costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import run_pipeline
from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.options import BatchOptions, Options
from stream.recordings.batch.task import Task, perform
from stream.recordings.resume.work_dir import work_folder
from stream.shared_runtime import SharedRuntime
from stream.telemetry.progress import Progress
from tests.batches import write_call
from tests.pictures import need_models

Run = Callable[..., SimpleNamespace]
QUICK = ("--scale", "1", "--runtime", "onnxruntime-cpu")
"""Archives as small as can be: OpenVINO takes seconds to compile each size of crop."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process; workers have processes of their own. What it returns
    is named as by `subprocess.run`."""

    def run(*arguments: str) -> SimpleNamespace:
        capsys.readouterr()
        status = run_pipeline.main([*QUICK, *arguments])
        said = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=said.out, stderr=said.err)

    return run


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """calls/ with two recordings, one without a face, and one that is none."""
    monkeypatch.chdir(tmp_path)
    need_models()
    (tmp_path / "calls" / "2024").mkdir(parents=True)
    write_call(tmp_path / "calls" / "a.mp4")
    write_call(tmp_path / "calls" / "2024" / "b.mkv", frames=8)
    write_call(tmp_path / "calls" / "empty.mp4", frames=4, person=False)
    (tmp_path / "calls" / "c.mp4").write_bytes(b"Hello\n" * 200)
    return tmp_path


def manifest(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "manifest.jsonl").read_text(encoding="ascii")
    return [json.loads(line) for line in text.splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.jsonl"
    }


def test_an_archive_and_again(calls: Path, run: Run) -> None:
    first = run("--input", "calls", "--output", "out")
    assert first.returncode == 1, first.stderr
    errors = [line for line in first.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert errors[0].startswith("error: calls/c.mp4: calls/c.mp4 is not a recording")
    assert first.stdout == "done 3, unchanged 0, failed 1, skipped 0\n"
    made = files(calls / "out")
    assert set(made) == {"a.mp4", "2024/b.mkv", "empty.mp4"}
    assert made["empty.mp4"] == (calls / "calls" / "empty.mp4").read_bytes()
    lines = {line["output"]: line for line in manifest(calls / "out")}
    assert lines["c.mp4"]["result"] == "failed"
    assert lines["a.mp4"]["figures"]["faces_enhanced"] > 0
    assert lines["a.mp4"]["output_bytes"] == len(made["a.mp4"])
    assert lines["empty.mp4"]["notes"] == [
        "no face was found: the recording was passed through unchanged"
    ]

    (calls / "calls" / "c.mp4").unlink()
    (calls / "out" / "2024" / "b.mkv").unlink()  # missing
    shutil.copy(calls / "calls" / "a.mp4", calls / "calls" / "empty.mp4")  # changed
    again = run("--input", "calls", "--output", "out")
    assert again.returncode == 0, again.stderr
    assert again.stdout == "done 2, unchanged 1, failed 0, skipped 0\n"
    assert [line["output"] for line in manifest(calls / "out")[4:]] == ["empty.mp4", "2024/b.mkv"]
    same = files(calls / "out")
    assert same["a.mp4"] == made["a.mp4"]
    assert same["empty.mp4"] == made["a.mp4"]


def test_a_defect_of_ours_costs_one_recording_and_is_called_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("open() got an unexpected keyword argument")

    monkeypatch.setattr("stream.recordings.batch.task.open_source", broken)
    write_call(tmp_path / "a.mp4", frames=2)
    options = parse(["--input", str(tmp_path / "a.mp4"), "--output", str(tmp_path / "b.mp4")])
    assert isinstance(options, Options)
    task = Task(options=options, place="b.mp4", settings="", model="")
    record = perform(task, Progress, SharedRuntime("auto"))
    assert record.result == "failed"
    assert record.error is not None
    assert record.error.startswith("a defect of Closeup, not of the recording: TypeError: open()")
    assert "(test_batch.py:" in record.error


def test_what_is_not_ours_is_never_replaced(calls: Path, run: Run) -> None:
    for name in ("calls/c.mp4", "calls/empty.mp4", "calls/2024/b.mkv"):
        (calls / name).unlink()
    (calls / "out").mkdir()
    (calls / "out" / "a.mp4").write_bytes(b"mine")
    refused = run("--input", "calls", "--output", "out")
    assert refused.returncode == 1
    assert "is not of this archive; add --overwrite" in refused.stderr
    assert (calls / "out" / "a.mp4").read_bytes() == b"mine"
    assert run("--input", "calls", "--output", "out", "--overwrite").returncode == 0
    assert (calls / "out" / "a.mp4").stat().st_size > 1000
    (calls / "out" / "a.mp4").write_bytes(b"mine again")
    changed = run("--input", "calls", "--output", "out", "--strength", "0.5")
    assert "was changed by others; add --overwrite" in changed.stderr
    assert (calls / "out" / "a.mp4").read_bytes() == b"mine again"


def test_ctrl_c_while_finished_work_is_removed(
    calls: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("calls/c.mp4", "calls/empty.mp4", "calls/2024/b.mkv"):
        (calls / name).unlink()
    command = ["--input", "calls", "--output", "out", "--segment", "4"]

    def broken_off(output: Path) -> None:
        (work_folder(output) / "000000.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("stream.recordings.batch.batch.clear_work", broken_off)
        assert run_pipeline.main([*QUICK, *command]) == 130
    assert len(list(work_folder(Path("out/a.mp4")).glob("0*"))) == 5
    again = run(*command)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "done 0, unchanged 1, failed 0, skipped 0\n"
    assert not work_folder(Path("out/a.mp4")).exists()


def test_other_settings_make_it_anew(calls: Path, run: Run) -> None:
    more = ("--input", "calls/a.mp4", "--output", "out/")
    assert run(*more).returncode == 0
    before = files(calls / "out")
    assert run(*more, "--scale", "1.5").stdout.startswith("done 1,")
    assert run(*more, "--scale", "1.5").stdout.startswith("done 0, unchanged 1,")
    assert files(calls / "out")["a.mp4"] != before["a.mp4"]


def test_progress_for_programs(calls: Path, run: Run) -> None:
    result = run("--input", "calls", "--output", "out", "--progress", "json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    states = [(e["input"], e["state"]) for e in events if e["event"] == "recording"]
    last = {Path(name).name: state for name, state in states}
    assert last == {"a.mp4": "done", "b.mkv": "done", "c.mp4": "failed", "empty.mp4": "done"}
    assert events[-1] == {
        **{"event": "archive", "state": "done", "recordings": 4, "finished": 4, "failed": 1},
        "left_s": 0.0,
    }
    one = run("--input", "calls/a.mp4", "--output", "a.mp4", "--progress", "json")
    lines = [json.loads(line) for line in one.stdout.splitlines()]
    assert (lines[-1]["frames"], lines[-1]["frames_total"]) == (12, 12)
    assert "faces seen" in one.stderr


def test_a_folder_without_recordings_says_so(tmp_path: Path, run: Run) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls/notes.txt").touch()
    done = run("--input", str(tmp_path / "calls"), "--output", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (0, "done 0, unchanged 0, failed 0, skipped 0\n")
    assert done.stderr == "skipped: 1 other file (.txt 1)\nnote: the inputs hold no recordings\n"


def test_what_makes_an_archive(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    folder, one = str(tmp_path / "calls"), str(tmp_path / "a.mp4")
    for inputs, output in (
        ([folder], "out"), ([one, "b.mp4"], "out"), ([f"{folder}/*.mp4"], "out"),
        ([one], "out/"), ([one], folder),
    ):  # fmt: skip
        words = [word for name in inputs for word in ("--input", name)]
        options = parse([*words, "--output", output, "--jobs", "2"])
        assert isinstance(options, BatchOptions)
        assert (options.inputs, options.jobs) == (tuple(inputs), 2)
        assert (options.each.framing, options.each.report) == ("fixed", None)
    single = parse(["--input", one, "--output", "out.mp4"])
    assert isinstance(single, Options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", ".", "--output", "a", "--output", "b"], "one --output"),
        (["--input", "."], "one --output"),
        (["--input", ".", "--output", "better.mp4"], "several need a folder"),
        (["--input", ".", "--output", "a", "--report", "r.json"], "manifest.jsonl"),
        (["--input", ".", "--output", "a", "--jobs", "0"], "--jobs 0 is out of range"),
        (["--input", "a.mp4", "--output", "b.mp4", "--jobs", "2"], "--jobs is for several"),
        (["--input", "a.mp4", "--input", "webcam", "--output", "b"], "several inputs"),
        (["--input", "webcam", "--progress", "json"], "--progress is for recordings"),
        (["--input", "demo", "--resume"], "--resume is for recordings"),
        (["--input", "a.mp4", "--output", "b.mp4", "--segment", "0"], "--segment 0 is out"),
        (["--input", "webrtc", "--jobs", "2"], "--jobs is not for the relay"),
    ],
)
def test_options_that_cannot_be_met(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(arguments)
