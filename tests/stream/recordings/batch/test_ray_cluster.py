"""The cluster: a worker is killed in the middle, and every recording is done once."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.options import BatchOptions
from stream.recordings.resume.work_dir import work_folder
from tests.batches import PROGRAM, write_call
from tests.pictures import need_models

NAMES = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")


def marked(mark: str) -> list[int]:
    """Ray's processes that work on a recording, of those that were started with this mark."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            ours = process.name.isdigit() and mark.encode() in (process / "environ").read_bytes()
            if ours and b"ray::closeup_recording" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="Ray is not installed: pip install -e '.[cluster]'",
)
def test_a_worker_is_killed_and_every_recording_is_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_models()
    monkeypatch.chdir(tmp_path)
    Path("calls").mkdir()
    for number, name in enumerate(NAMES):
        write_call(Path("calls") / name, frames=24 + number)
    mark = f"CLOSEUP_TEST_MARK={tmp_path}"
    monkeypatch.setenv(*mark.split("="))
    monkeypatch.setenv("PYTHONPATH", str(PROGRAM.parent))
    monkeypatch.setenv("RAY_DISABLE_DOCKER_CPU_WARNING", "1")
    command = ["--input", "calls", "--output", "out", "--scale", "1", "--segment", "8"]
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *command, "--progress", "json", "--cluster"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 240.0
    while not (
        any(list(work_folder(Path("out") / name).glob("0*.mp4")) for name in NAMES)
        and len(marked(mark)) >= min(2, os.cpu_count() or 1)
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    os.kill(marked(mark)[0], signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "done 4, unchanged 0, failed 0, skipped 0" in err.splitlines()
    events = [json.loads(line) for line in out.splitlines()]
    running = {
        event["input"]
        for event in events
        if event["event"] == "recording" and event["state"] == "running" and event["frames"] > 0
    }
    assert running
    assert running <= {f"calls/{name}" for name in NAMES}
    lines = Path("out/manifest.jsonl").read_text(encoding="ascii").splitlines()
    records = [json.loads(line) for line in lines]
    assert sorted(record["output"] for record in records) == sorted(NAMES)
    assert {record["input"] for record in records} == {f"calls/{name}" for name in NAMES}
    assert {record["figures"]["frames"] for record in records} == {24, 25, 26, 27}
    assert {path.name for path in Path("out").iterdir()} == {*NAMES, "manifest.jsonl"}


def test_options_of_the_cluster() -> None:
    words = ["--input", "a.mp4", "--output", "out/"]
    local = parse([*words, "--cluster"])
    assert isinstance(local, BatchOptions)
    assert (local.cluster, local.cluster_cpus, local.cluster_gpus) == ("local", 1.0, 0.0)
    far = parse([*words, "--cluster", "10.0.0.1:6379", "--cluster-gpus", "0.5"])
    assert isinstance(far, BatchOptions)
    assert (far.cluster, far.cluster_gpus) == ("10.0.0.1:6379", 0.5)
    for more, message in (
        (["--cluster", "--jobs", "2"], "--jobs is for this machine"),
        (["--cluster-gpus", "1"], "need --cluster"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse([*words, *more])
    with pytest.raises(ConfigError, match="--cluster is for several recordings"):
        parse(["--input", "a.mp4", "--output", "b.mp4", "--cluster"])
