"""Cluster: the recordings of an archive on the machines of a Ray cluster (extra `cluster`).

Every machine needs Closeup, and the folders of inputs and outputs under the same paths. A recording
whose worker or machine dies is worked on again elsewhere, from its last finished segment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from stream.errors import ConfigError
from stream.model import Model
from stream.progress import Moment
from stream.recordings.manifest import Record
from stream.recordings.task import Task, perform

LOCAL = "local"
RETRIES = 3
"""A recording is tried so many times again when its worker dies."""
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Cluster:
    """Where, and what a recording needs there."""

    address: str = LOCAL
    """Of Ray: "local" starts one on this machine, "auto" takes the one that runs here."""
    cpus: float = 1.0
    gpus: float = 0.0
    """Of one recording. A part of one is shared with others."""


def perform_on(cluster: Cluster, tasks: Sequence[Task]) -> Iterator[tuple[int, Moment | Record]]:
    """Work on all tasks. When the iteration is broken off, what is under way is ended.

    Yields: the number of a task and its record, once.
    Raises: ConfigError: Ray is missing or cannot be reached, or nothing there has what is needed.
    """
    # Ray would report figures of its use to its maker.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"--cluster needs Ray ({error}); pip install 'closeup[cluster]'"
        ) from error
    _join(ray, cluster)
    try:
        _check(ray, cluster)
        remote: Any = ray.remote(
            num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=RETRIES, max_calls=0
        )(closeup_recording)
        waiting = {remote.remote(_anywhere(task)): n for n, task in enumerate(tasks)}
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=LOOK_EVERY_S)
            for one in ready:
                number = waiting.pop(one)
                try:
                    record: Record = ray.get(one)
                except ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines()[0]
                    record = tasks[number].failed(f"its workers died: {reason}")
                yield number, replace(record, input=str(tasks[number].input))
    finally:
        ray.shutdown()


def closeup_recording(task: Task) -> Record:
    """What a worker does."""
    return perform(task, _SilentMeter, _model(task.options.runtime))


@cache
def _model(runtime: str) -> Model:
    """Opened once in each worker, which keeps it until it ends."""
    return Model(runtime)


class _SilentMeter:
    def __init__(self, total: int | None, *, label: str = "") -> None:
        pass

    def advance(self, replayed: bool = False) -> None:
        pass

    def finish(self) -> None:
        pass


def _join(ray: Any, cluster: Cluster) -> None:
    more = {"include_dashboard": False} if cluster.address == LOCAL else {}
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR", **more)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"--cluster {cluster.address} cannot be reached: {reason}") from error


def _check(ray: Any, cluster: Cluster) -> None:
    """Otherwise the work would wait for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(
        node.get("CPU", 0) >= cluster.cpus and node.get("GPU", 0) >= cluster.gpus for node in nodes
    ):
        raise ConfigError(
            f"no machine of --cluster {cluster.address} has {cluster.cpus:g} CPUs and "
            f"{cluster.gpus:g} GPUs; ask for less with --cluster-cpus and --cluster-gpus"
        )


def _anywhere(task: Task) -> Task:
    """With paths that do not depend on where a process was started."""
    output = task.options.output.absolute()
    return replace(task, options=replace(task.options, input=task.input.absolute(), output=output))
