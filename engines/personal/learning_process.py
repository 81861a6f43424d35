"""LearningProcess: a learner in a process of its own, bounded in threads, at the lowest priority.

A process, because training wants settings of the allocator that hold from its start, because a
frame must never wait for the interpreter's lock, and because its end frees everything. It is fed
with close-ups through a pipe, and nothing of them is written.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, Self

from engines.errors import EngineError, UnavailableError
from engines.install import install_command
from engines.personal.close_ups import LEAST_CLOSE_UPS, CloseUp
from engines.personal.gain import Gain
from engines.personal.personal_weights import PersonalWeights, shipped_digests
from engines.runtimes.cpu import default_threads

NEEDED = ("torch", "onnx")
ALLOCATOR = {
    # glibc hands large blocks back to the kernel at once and gets them again page by page
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "500000000",
    "MALLOC_ARENA_MAX": "1",
    # threads that spin while they wait take the cores from the call
    "OMP_WAIT_POLICY": "passive",
}
PAUSE, RESUME, STOP = "pause", "resume", "stop"


@dataclass(frozen=True)
class Task:
    """What is to be learnt."""

    close_ups: tuple[CloseUp, ...]
    scale: int
    minutes: float | None = None
    """How long; `steps` says it more exactly."""
    steps: int | None = None
    """One of the two must be given."""
    side: int | None = None
    """Of the crops, see `Learner`."""
    seed: int = 0
    threads: int = field(default_factory=default_threads)
    lowest_priority: bool = False


@dataclass(frozen=True)
class Learning:
    """How far it is."""

    step: int
    steps: int
    seconds: float
    """Since the first step."""
    gain: Gain | None
    """Of the best weights so far; None: not judged yet."""
    weights: PersonalWeights | None = None
    """Better ones than were told before; None: none so far."""
    done: bool = False
    """This is the last of them."""


def lacking() -> str | None:
    """What to install before anything can be learnt, in one line; None: nothing is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    install = install_command("learn")
    return f"learning a person needs {' and '.join(missing)}; install them with: {install}"


class LearningProcess:
    """Learns one person. A context manager; at its end the process is gone, whatever it did.

    Raises: UnavailableError: a package is missing. ValueError: too few close-ups.
    """

    def __init__(self, task: Task) -> None:
        reason = lacking()
        if reason is not None:
            raise UnavailableError(reason)
        if len(task.close_ups) < LEAST_CLOSE_UPS:
            raise ValueError(f"{len(task.close_ups)} close-ups, {LEAST_CLOSE_UPS} are needed")
        if task.minutes is None and task.steps is None:
            raise ValueError("minutes or steps must be given")
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_learn, args=(there,), daemon=True)
        with _environment({**ALLOCATOR, "OMP_NUM_THREADS": str(task.threads)}):
            self._process.start()
        there.close()
        self._here.send(task)
        self._ended = False

    def news(self, timeout_s: float = 0.0) -> Learning | None:
        """What has happened since the last call; None: nothing within this time.

        Raises: EngineError: the process has failed, or was killed.
        """
        if self._ended:
            return None
        latest: Learning | None = None
        weights: PersonalWeights | None = None
        try:
            while self._here.poll(0.0 if latest else timeout_s):
                told = self._here.recv()
                if isinstance(told, str):
                    raise EngineError(f"learning failed: {told}")
                latest = told
                weights = weights if told.weights is None else told.weights.copy()
                if told.done:
                    self._ended = True
                    break
        except (EOFError, OSError) as error:
            self._ended = True
            raise EngineError("learning has ended unexpectedly, perhaps out of memory") from error
        return None if latest is None else replace(latest, weights=weights)

    def pause(self) -> None:
        """Learn no further until `resume`; takes effect after the step that runs."""
        self._tell(PAUSE)

    def resume(self) -> None:
        """Learn on."""
        self._tell(RESUME)

    def stop(self) -> None:
        """Judge what there is, tell it, and end."""
        self._tell(STOP)

    def close(self) -> None:
        """End the process at once. May be called again."""
        self._ended = True
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._here.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _tell(self, word: str) -> None:
        with suppress(OSError):  # it has ended: `news` says how
            self._here.send(word)


def with_allocator(module: str) -> None:
    """Start `python -m module` again, with its arguments, unless the settings of the allocator
    hold already: they are read at a process's start. For programs that learn by themselves."""
    if sys.platform == "linux" and any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | ALLOCATOR)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables, for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _learn(pipe: Connection) -> None:
    """What the process does."""
    # Ctrl-C is for the program that started it, which says what becomes of the learning
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _Work(pipe, pipe.recv()).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the program is gone
    except Exception as error:
        with suppress(OSError):
            pipe.send(" ".join(f"{type(error).__name__}: {error}".split()))


class _Work:
    """The learning, in its own process; PyTorch is imported there only."""

    def __init__(self, pipe: Connection, task: Task) -> None:
        import torch

        from engines.hime.checkpoint import load_network
        from engines.weights.manifest import weights_files

        if task.lowest_priority and hasattr(os, "nice"):
            os.nice(19)
        torch.set_num_threads(task.threads)
        self._pipe = pipe
        self._task = task
        self._network = load_network(weights_files(task.scale)[1])
        self._of = shipped_digests(task.scale)
        self._stopped = False

    def run(self) -> None:
        """To the end, or until it is stopped."""
        from engines.personal.learner import Learner, steps_within

        task = self._task
        steps = task.steps
        if steps is None:
            assert task.minutes is not None
            steps = steps_within(
                self._network, task.close_ups, task.minutes, task.seed, side=task.side
            )
        learner = Learner(self._network, task.close_ups, steps, task.seed, side=task.side)
        started_s, told, last = time.monotonic(), None, 0
        for progress in learner.steps_made():
            last = progress.step
            weights = None
            if learner.best is not None and learner.best is not told:
                told = learner.best
                weights = self._weights(told)
            seconds = time.monotonic() - started_s
            self._pipe.send(Learning(progress.step, steps, seconds, progress.gain, weights))
            if self._is_stopped():
                break
        if last < steps:  # after the last of them it was judged
            learner.judge()
        best = learner.best
        self._pipe.send(
            Learning(
                last,
                steps,
                time.monotonic() - started_s,
                learner.gain,
                None if best is None or best is told else self._weights(best),
                done=True,
            )
        )

    def _weights(self, state: dict[str, Any]) -> PersonalWeights:
        parameters = {name: value.float().numpy() for name, value in state.items()}
        return PersonalWeights(self._task.scale, parameters, self._of)

    def _is_stopped(self) -> bool:
        """Whether to end; waits here while it is paused."""
        paused = False
        while paused or self._pipe.poll():
            word = self._pipe.recv()
            if word == STOP:
                return True
            paused = word == PAUSE
        return False
