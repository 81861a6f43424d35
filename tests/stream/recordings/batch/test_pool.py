"""Workers: what a killed one costs, and that Ctrl-C leaves none behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.recordings.resume.work_dir import work_folder
from tests.batches import PROGRAM, children_of, run_program, write_call
from tests.pictures import need_models

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

COMMAND = ["--input", "calls", "--output", "out", "--scale", "1", "--segment", "6"]
COMMAND += ["--runtime", "onnxruntime-cpu"]  # OpenVINO takes seconds to compile, in each worker


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    need_models()
    (tmp_path / "calls").mkdir()
    write_call(tmp_path / "calls" / "a.mp4", frames=24)
    write_call(tmp_path / "calls" / "b.mp4", frames=18)
    return tmp_path


def started(*more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *COMMAND, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(met: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a condition, for two minutes at most."""
    deadline_s = time.monotonic() + 120.0
    while not met():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def segments(name: str) -> int:
    return len(list(work_folder(Path("out") / name).glob("0*.mp4")))


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Without Python's helper, which keeps track of shared things."""
    found = []
    for one in children_of(process.pid):
        command = Path(f"/proc/{one}/cmdline").read_bytes()
        if b"multiprocessing.spawn" in command or b"spawn_main" in command:
            found.append(one)
    return found


def test_a_killed_worker_costs_nothing_the_first_time(calls: Path) -> None:
    process = started("--jobs", "2")
    until(lambda: segments("a.mp4") >= 1, process)
    victims = workers(process)
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    os.kill(victims[1], signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.splitlines()[-1] == "done 2, unchanged 0, failed 0, skipped 0"
    whole = run_program("--input", "calls", "--output", "whole", *COMMAND[4:], "--jobs", "2")
    assert whole.returncode == 0, whole.stderr
    for name in ("a.mp4", "b.mp4"):
        assert (calls / "out" / name).read_bytes() == (calls / "whole" / name).read_bytes()
    names = {path.name for path in (calls / "out").iterdir()}
    assert names == {"a.mp4", "b.mp4", "manifest.jsonl"}


def test_killed_twice_is_a_failure_and_the_others_go_on(calls: Path) -> None:
    process = started()
    killed: list[int] = []
    for _ in range(2):
        until(lambda: segments("a.mp4") >= 1 and bool(set(workers(process)) - set(killed)), process)
        (victim,) = set(workers(process)) - set(killed)
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "error: calls/a.mp4: the process that worked on it was killed (SIGKILL), twice" in err
    assert out.splitlines()[-1] == "done 1, unchanged 0, failed 1, skipped 0"
    assert segments("a.mp4") >= 1  # for the next run


def test_ctrl_c_ends_all_processes_and_the_next_run_goes_on(calls: Path) -> None:
    process = started("--jobs", "2")
    until(lambda: segments("a.mp4") >= 2, process)
    everybody = [one for child in children_of(process.pid) for one in (child, *children_of(child))]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped; the same command goes on from here"
    deadline_s = time.monotonic() + 30.0
    while any(Path(f"/proc/{one}").exists() for one in everybody):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    kept = segments("a.mp4")
    assert kept >= 2
    assert not list(work_folder(Path("out/a.mp4")).glob("*growing*"))
    again = run_program(*COMMAND, "--jobs", "2")
    assert again.returncode == 0, again.stderr
    lines = (calls / "out" / "manifest.jsonl").read_text(encoding="ascii").splitlines()
    figures = {json.loads(line)["output"]: json.loads(line)["figures"] for line in lines}
    assert figures["a.mp4"]["frames"] == 24


def test_workers_end_with_a_parent_that_is_killed(calls: Path) -> None:
    process = started("--jobs", "2")
    until(lambda: segments("a.mp4") >= 1, process)
    left = workers(process)
    process.kill()
    process.communicate(timeout=60)
    deadline_s = time.monotonic() + 30.0
    while any(Path(f"/proc/{one}").exists() for one in left):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
