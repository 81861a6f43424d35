"""Ray cluster: the recordings of an archive on the machines of a Ray cluster (extra `cluster`).

Every machine needs Closeup, and the folders of inputs and outputs under the same paths. A recording
whose worker or machine dies is worked on again elsewhere, from its last finished segment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from engines.allocator import use_few_arenas
from engines.install import install_command
from stream.errors import ConfigError
from stream.recordings.batch.batch_progress import SentMeter
from stream.recordings.batch.manifest import Record
from stream.recordings.batch.task import Task, perform
from stream.shared_runtime import SharedRuntime
from stream.telemetry.progress import Moment

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

    Yields: the number of a task, and how far it is, or, once, its record.
    Raises: ConfigError: Ray is missing or cannot be reached, or nothing there has what is needed.
    """
    # Ray would report figures of its use to its maker.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
        from ray.util.queue import Queue
    except ImportError as error:
        raise ConfigError(f"--cluster needs Ray ({error}); {install_command('cluster')}") from error
    _join(ray, cluster)
    try:
        _check(ray, cluster)
        remote: Any = ray.remote(
            num_cpus=cluster.cpus, num_gpus=cluster.gpus, max_retries=RETRIES, max_calls=0
        )(closeup_recording)
        heard = Queue(actor_options={"num_cpus": 0})
        waiting = {
            remote.remote(number, _anywhere(task), heard): number
            for number, task in enumerate(tasks)
        }
        while waiting:
            ready, _ = ray.wait(list(waiting), timeout=LOOK_EVERY_S)
            for number, moment in _heard(ray, heard):
                if number in waiting.values():
                    yield number, moment
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


def closeup_recording(number: int, task: Task, heard: Any) -> Record:
    """What a worker does. Args: heard: Ray's queue of (number, `Moment`)."""
    import ray

    def send(moment: Moment) -> None:
        # To be seen is not worth a recording.
        with suppress(ray.exceptions.RayError):
            heard.put((number, moment))

    each = task.options
    shared_runtime = _shared_runtime(each.runtime, each.weights, each.network)
    return perform(task, partial(SentMeter, send=send), shared_runtime)


@cache
def _shared_runtime(runtime: str, weights: str, network: str) -> SharedRuntime:
    """Opened once in each worker, which keeps it until it ends."""
    use_few_arenas()
    return SharedRuntime(runtime, weights, network)


def _heard(ray: Any, heard: Any) -> list[tuple[int, Moment]]:
    """What the workers have said since; nothing when the machine that heard them is gone."""
    try:
        said: list[tuple[int, Moment]] = heard.get_nowait_batch(heard.size())
    except ray.exceptions.RayError:
        return []
    return said


def _join(ray: Any, cluster: Cluster) -> None:
    more = {"include_dashboard": False} if cluster.address == LOCAL else {}
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR", **more)
    except Exception as error:
        # A start that takes too long is an Exception and no kind of it.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
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
