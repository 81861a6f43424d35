"""Pool: several workers share the recordings of an archive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait

from engines.machine import cores
from stream.recordings.batch.manifest import Record
from stream.recordings.batch.task import Task
from stream.recordings.batch.worker import Worker
from stream.telemetry.progress import Moment

TRIES = 2
"""A recording whose worker dies is tried once more, from where it was."""


def perform_all(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[int, Moment | Record]]:
    """Work on all tasks in the given order, up to `jobs` at the same time.

    Each recording has a process of its own around it: whatever brings it down is one failure. When
    the iteration is broken off, by Ctrl-C for example, all processes are ended first.

    Yields: the number of a task, and how far it is, or, once, its record.
    """
    jobs = min(jobs, len(tasks))
    threads = max(1, cores() // max(jobs, 1))
    waiting = deque(range(len(tasks)))
    tries = [0] * len(tasks)
    busy: dict[Worker, int] = {}
    idle: list[Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                each = tasks[0].options
                worker = _living(idle) or Worker(threads, each.runtime, each.weights, each.network)
                number = waiting.popleft()
                busy[worker] = number
                tries[number] += 1
                worker.begin(tasks[number])
            ready = wait([worker.pipe for worker in busy])
            for worker in [one for one in busy if one.pipe in ready]:
                number, answer = busy[worker], worker.answer()
                if isinstance(answer, Moment):
                    yield number, answer
                    continue
                del busy[worker]
                if answer is not None:
                    idle.append(worker)
                    yield number, answer
                elif tries[number] < TRIES:
                    worker.wait()
                    waiting.appendleft(number)
                else:
                    cause = f"{worker.cause}, twice"
                    worker.wait()
                    yield number, tasks[number].failed(cause)
    finally:
        workers = [*busy, *idle]
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.wait()


def _living(idle: list[Worker]) -> Worker | None:
    """One that waits for work; those that died while they waited cost nobody a try."""
    while idle:
        worker = idle.pop()
        if worker.alive:
            return worker
        worker.wait()
    return None
