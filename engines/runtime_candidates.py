"""Runtime candidates: runtimes in every precision with every number of threads, timed in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from engines.machine import cores
from engines.runtime import EngineError, Image, Runtime, WeightsError, runtime_class

MOST_THREADS = 8
TURNS, TURN_S = 7, 0.2
"""Turns of each candidate, and about how long one lasts."""
CLOSE = 1.15
"""A candidate that takes no longer than this much of the fastest one's time takes more turns."""
ALIKE = 1.05
"""Nearer than this, the one with fewer threads is taken: they are left for the video."""
MOST_ERROR = 65.0
"""Mean squared difference to float32 in 8-bit levels, 30 dB: INT8 as it should be is far nearer."""


@dataclass
class Candidate:
    """One way to run the network, and what it took."""

    name: str
    precision: str
    threads: int | None
    runtime: Runtime
    turns_ms: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        """Median of the turns."""
        return median(self.turns_ms)


def turn_ms(call: Callable[[], object], seconds: float = TURN_S) -> float:
    """Median time of calls that are repeated for about so long, at least three times."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return median(taken)


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... and all cores, at most 8."""
    most = min(most, MOST_THREADS)
    return sorted({n for n in (1, 2, 4, 8) if n <= most} | {most})


def open_candidates(
    scale: int,
    names: Iterable[str],
    opened: ExitStack,
    missing: Callable[[str], None],
    threads: Sequence[int | None] | None = None,
) -> list[Candidate]:
    """Open every runtime in every precision with every number of threads.

    Args:   scale: 4 or 8. names: of `RUNTIMES`. opened: closes them.
            missing: gets a line for each that cannot run here.
            threads: only so many; None among them stands for the runtime's own number.
    Raises: WeightsError.
    """
    found = []
    for name in names:
        kind = runtime_class(name)
        counts: Sequence[int | None] = [None]
        if name.endswith("-cpu"):
            counts = [*thread_counts(cores())] if threads is None else threads
        for precision in kind.precisions:
            try:
                for count in counts:
                    given: dict[str, Any] = {} if count is None else {"threads": count}
                    runtime = opened.enter_context(kind(scale, precision, **given))
                    found.append(Candidate(name, precision, count, runtime))
            except WeightsError:  # the same files for all
                raise
            except EngineError as error:
                missing(f"{name} {precision}: {error}")
    return found


def drop_wrong(
    candidates: list[Candidate], crop: Image, exemplars: list[Image], missing: Callable[[str], None]
) -> list[Candidate]:
    """Leave out who gives another picture: INT8 overflows on processors that are not made for it.

    Args:   missing: gets a line for each that is left out.
    Raises: EngineError.
    """
    made = [one.runtime.enhance(crop, one.runtime.encode(exemplars)) for one in candidates]
    exact = [p for one, p in zip(candidates, made, strict=True) if one.precision == "fp32"]
    kept = []
    for one, picture in zip(candidates, made, strict=True):
        error = np.square(picture.astype(np.float64) - exact[0]).mean() if exact else 0.0
        if error <= MOST_ERROR:
            kept.append(one)
        else:
            missing(f"{one.name} {one.precision}: its pictures are wrong on this processor")
    return kept


def compare(candidates: list[Candidate], crop: Image, exemplars: list[Image], turns: int) -> None:
    """Let candidates take turns, and the close ones twice as many more.

    Args:   candidates: get the time of each turn. crop, exemplars: as of `Runtime`. turns: of each.
    Raises: EngineError.
    """
    calls = []
    for one in candidates:
        call = partial(run, one.runtime, crop, exemplars)
        call()
        calls.append((one, call))
    for more in range(3):
        fastest = min((one.ms for one in candidates if one.turns_ms), default=0.0)
        for _ in range(turns):
            for one, call in calls:
                if not more or one.ms <= CLOSE * fastest:
                    one.turns_ms.append(turn_ms(call))


def run(runtime: Runtime, crop: Image, exemplars: list[Image]) -> Image:
    """What a frame needs of the network where the face has moved.

    Args:   crop: RGB uint8 (b, b, 3). exemplars: aligned, RGBA uint8 (s b, s b, 4).
    Raises: EngineError.
    """
    return runtime.enhance(crop, runtime.encode(exemplars))


def choose(candidates: list[Candidate]) -> Candidate:
    """The fastest; of those that are as fast, the one with the fewest threads."""
    fastest = min(one.ms for one in candidates)
    alike = [one for one in candidates if one.ms <= ALIKE * fastest]
    return min(alike, key=lambda one: (one.threads or 0, one.ms))
