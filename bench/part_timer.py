"""PartTimer: what the parts of every stage take, and which of them make new pictures.

It puts itself before functions and methods for the time of a `with`; nothing of the program knows.
"""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

TASKS = Path("/proc/self/task")
PROBE_S = 0.002
"""How long the probe sleeps between two looks at the interpreter's lock."""
PICTURE_PART = 0.25
"""What is this much of a camera's picture, or more, counts as one."""


@dataclass
class Part:
    """One part of a stage."""

    wall_ms: list[float] = field(default_factory=list)
    """Of each call."""
    cpu_ms: float = 0.0
    """Of the calling thread, all calls together."""
    pictures: int = 0
    """New ones that it returned, at least a quarter as large as the camera's."""
    picture_bytes: int = 0


class PartTimer:
    """Times parts within `with`.

    Args: parts: label → "module:name" or "module:class.method". picture_bytes: of a frame.
    """

    def __init__(self, parts: dict[str, str], picture_bytes: int) -> None:
        self._places = parts
        self._least = PICTURE_PART * picture_bytes
        self._restore: list[tuple[Any, str, Any]] = []
        self._lock = threading.Lock()
        self.parts: dict[str, Part] = {label: Part() for label in parts}
        self.gil_ms: list[float] = []
        """How much later than it asked for a thread that slept was given the interpreter."""
        self.threads_ms: dict[str, float] = {}
        """Processor time by thread; of threads that Python does not know, as "native"."""
        self.seconds = 0.0
        self._names: dict[int | None, str] = {}
        self._latest: dict[int, float] = {}
        self._over = threading.Event()
        self._probe = threading.Thread(target=self._look, name="bench probe", daemon=True)

    def __enter__(self) -> Self:
        for label, place in self._places.items():
            module, _, path = place.partition(":")
            owner: Any = importlib.import_module(module)
            *outer, name = path.split(".")
            for one in outer:
                owner = getattr(owner, one)
            real = owner.__dict__[name]
            self._restore.append((owner, name, real))
            setattr(owner, name, self._timed(label, real))
        self._before = thread_times()
        self._started_s = time.perf_counter()
        self._probe.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        for owner, name, real in reversed(self._restore):
            setattr(owner, name, real)

    def stop(self) -> None:
        """The time is over; threads may end after it. May be called again."""
        if not self._over.is_set():
            self._over.set()
            self._probe.join()
            self.seconds = time.perf_counter() - self._started_s

    def _timed(self, label: str, real: Callable[..., Any]) -> Callable[..., Any]:
        part = self.parts[label]

        @functools.wraps(real)
        def timed(*given: Any, **named: Any) -> Any:
            started, worked = time.perf_counter(), time.thread_time()
            try:
                result = real(*given, **named)
            finally:
                wall_ms = (time.perf_counter() - started) * 1e3
                cpu_ms = (time.thread_time() - worked) * 1e3
                with self._lock:
                    part.wall_ms.append(wall_ms)
                    part.cpu_ms += cpu_ms
            if self._is_new(result, (*given, *named.values())):
                part.pictures += 1
                part.picture_bytes += result.nbytes
            return result

        return timed

    def _is_new(self, result: Any, given: Iterable[Any]) -> bool:
        if not isinstance(result, np.ndarray) or result.nbytes < self._least:
            return False
        arrays = (one for one in given if isinstance(one, np.ndarray))
        return not any(np.may_share_memory(result, one) for one in arrays)

    def _look(self) -> None:
        """Sample: how long the interpreter's lock is waited for, and the threads' times."""
        turn = 0
        while not self._over.is_set():
            asked = time.perf_counter()
            time.sleep(PROBE_S)
            self.gil_ms.append((time.perf_counter() - asked - PROBE_S) * 1e3)
            turn += 1
            if turn % 10 == 0:
                self._sample()
        self._sample()

    def _sample(self) -> None:
        self._names.update({one.native_id: one.name for one in threading.enumerate()})
        self._latest.update(thread_times())
        found: dict[str, float] = {}
        for task, ms in self._latest.items():
            name = self._names.get(task, "native")
            found[name] = found.get(name, 0.0) + ms - self._before.get(task, 0.0)
        self.threads_ms = found


def thread_times() -> dict[int, float]:
    """Processor time of every thread so far, ms, by its native number; empty where unknown."""
    found = {}
    for task in TASKS.iterdir() if TASKS.is_dir() else ():
        try:
            run_ns = (task / "schedstat").read_text().split()[0]
        except (OSError, IndexError):  # it has ended meanwhile
            continue
        found[int(task.name)] = int(run_ns) / 1e6
    return found
