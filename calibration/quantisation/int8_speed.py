"""INT8 speed: every runtime and precision in one run, taking turns.

Two figures for each: milliseconds as a call sees them, on all the threads that the runtime takes;
and milliseconds of processor time in one thread, which other programs hardly change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from engines.benchmark import pictures
from engines.runtime import EngineError
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.openvino_cpu import OpenVinoCpu

Files = tuple[Path, Path]
EXEMPLARS = 3
CALLS = 4
"""In a turn."""
FASTER = 0.97
"""Of the time of the fastest other precision: less than this is faster, and no accident."""


@dataclass
class Way:
    """A runtime in a precision, and what it took."""

    runtime: str
    precision: str
    enhance_ms: float = 0.0
    """Wall clock, all threads."""
    enhance_cpu_ms: float = 0.0
    """Processor time, one thread."""
    encode_cpu_ms: float = 0.0
    turns: list[tuple[float, float, float]] = field(default_factory=list, repr=False)


def measure(
    scale: int,
    bucket: int,
    exact: Files,
    quantised: Files,
    turns: int,
    missing: Callable[[str], None],
) -> list[Way]:
    """All CPU runtimes in all precisions on one bucket.

    Args:   exact, quantised: encode and enhance halves. missing: gets a line for what cannot run.
    Raises: WeightsError.
    """
    crop, exemplars = pictures(bucket, scale, EXEMPLARS)
    ways: list[tuple[Way, tuple[Callable[[], object], ...]]] = []
    with ExitStack() as opened:
        for kind in (OnnxRuntimeCpu, OpenVinoCpu):
            for precision in kind.precisions:
                files = quantised if precision == "int8" else exact
                calls: list[Callable[[], object]] = []
                try:
                    for threads in (None, 1):
                        runtime = opened.enter_context(kind(scale, precision, threads, files))
                        features = runtime.encode(exemplars)
                        runtime.enhance(crop, features)
                        calls.append(partial(runtime.enhance, crop, features))
                        calls.append(partial(runtime.encode, exemplars))
                except EngineError as error:
                    missing(f"{kind.name} {precision}: {error}")
                    continue
                ways.append((Way(kind.name, precision), (calls[0], calls[2], calls[3])))
        for _ in range(turns):
            for way, (many, one, encode) in ways:
                way.turns.append(
                    (
                        _ms(many, time.perf_counter),
                        _ms(one, time.process_time),
                        _ms(encode, time.process_time),
                    )
                )
    for way, _ in ways:
        columns = [median(column) for column in zip(*way.turns, strict=True)]
        way.enhance_ms, way.enhance_cpu_ms, way.encode_cpu_ms = columns
    return [way for way, _ in ways]


def _ms(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Median of some calls."""
    taken = []
    for _ in range(CALLS):
        start = clock()
        call()
        taken.append((clock() - start) * 1e3)
    return median(taken)


def gain(ways: list[Way], runtime: str) -> float | None:
    """Processor time of INT8 over that of the fastest other precision; None: not both were run."""
    times = {way.precision: way.enhance_cpu_ms for way in ways if way.runtime == runtime}
    quantised = times.pop("int8", None)
    return None if quantised is None or not times else quantised / min(times.values())
