"""The cluster: what is asked of Ray, and a worker that is killed in the middle."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.options import BatchOptions, Options
from stream.recordings.batch import ray_cluster
from stream.recordings.batch.ray_cluster import Cluster, perform_on
from stream.recordings.batch.task import Task, perform
from stream.recordings.resume.work_dir import work_folder
from tests.batches import PROGRAM, write_call
from tests.pictures import need_models
from tests.wiring import OTHER_WEIGHTS, stand_in

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


class Ray:
    """Stands in for Ray, at the functions that are used of it: one machine with 4 CPUs and a card,
    which does every task at once."""

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(RayError=OSError)
        self.joined: dict[str, Any] = {}
        self.resources: dict[str, Any] = {}
        self._done: dict[int, Any] = {}

    def init(self, **how: Any) -> None:
        self.joined = how

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}]

    def remote(self, **resources: Any) -> Callable[[Callable[..., Any]], SimpleNamespace]:
        self.resources = resources

        def start(work: Callable[..., Any], *given: Any) -> int:
            self._done[len(self._done)] = work(*given)
            return len(self._done) - 1

        return lambda work: SimpleNamespace(remote=lambda *given: start(work, *given))

    def wait(self, waiting: list[int], timeout: float) -> tuple[list[int], list[int]]:
        return waiting, []

    def get(self, one: int) -> Any:
        return self._done[one]

    def shutdown(self) -> None:
        pass


class Queue:
    """Stands in for Ray's queue."""

    def __init__(self, actor_options: dict[str, Any]) -> None:
        assert actor_options == {"num_cpus": 0}

    def size(self) -> int:
        return 0

    def get_nowait_batch(self, number: int) -> Sequence[Any]:
        return ()


def test_options_reach_the_cluster_and_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = Ray()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.util", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "ray.util.queue", SimpleNamespace(Queue=Queue))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.chdir(tmp_path)
    words = ["--input", "a.mp4", "--output", "b.mp4", "--runtime", "onnxruntime-cpu"]
    options = parse([*words, "--weights", OTHER_WEIGHTS, "--network", "small"])
    assert isinstance(options, Options)
    task = Task(options=options, place="b.mp4", settings="", model="")
    place = "stream.recordings.batch.ray_cluster.perform"
    performed = stand_in(monkeypatch, place, perform, task.failed("not tried"))
    heaps = list[None]()
    monkeypatch.setattr(ray_cluster, "use_few_arenas", lambda: heaps.append(None))
    ray_cluster._shared_runtime.cache_clear()
    ((number, record),) = perform_on(Cluster("10.0.0.1:6379", 2.0, 0.5), [task])
    assert (number, record) == (0, task.failed("not tried"))
    assert ray.joined["address"] == "10.0.0.1:6379"
    assert (ray.resources["num_cpus"], ray.resources["num_gpus"]) == (2.0, 0.5)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    (asked,) = performed
    assert asked["task"].options.input == tmp_path / "a.mp4"
    assert asked["task"].options.output == tmp_path / "b.mp4"
    opener = asked["shared_runtime"]
    assert (opener.name, opener.weights) == ("onnxruntime-cpu", OTHER_WEIGHTS)
    assert opener.network == "small"
    assert heaps == [None]


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
