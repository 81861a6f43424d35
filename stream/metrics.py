"""Metrics: how long each part takes, and how often things happen, in bounded memory."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOWEST_MS = 0.001
RATIO = 1.04
"""Width of a bucket: a percentile is at most 2 % away from the truth."""
BUCKETS = 1 + math.ceil(math.log(1e9) / math.log(RATIO))
"""Up to 1e6 ms, about 17 minutes for one call; longer ones count as that."""


@dataclass(frozen=True)
class Summary:
    """What a histogram knows; times in ms."""

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Histogram:
    """Durations in buckets whose width grows with the duration; not thread-safe by itself."""

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self._count = 0
        self._sum_ms = 0.0
        self._max_ms = 0.0

    def record(self, ms: float) -> None:
        """Count one duration in ms; a negative one counts as zero."""
        ms = max(ms, 0.0)
        place = 0 if ms <= LOWEST_MS else 1 + int(math.log(ms / LOWEST_MS) / math.log(RATIO))
        self._buckets[min(place, BUCKETS - 1)] += 1
        self._count += 1
        self._sum_ms += ms
        self._max_ms = max(self._max_ms, ms)

    def percentile(self, percent: float) -> float:
        """The duration in ms that `percent` of all do not exceed; 0.0 when there are none.

        Raises: ValueError: `percent` is outside 0..100.
        """
        if not 0.0 <= percent <= 100.0:
            raise ValueError(f"a percentile lies in 0..100, not at {percent}")
        wanted = max(1, math.ceil(self._count * percent / 100.0))
        seen = 0
        for place, number in enumerate(self._buckets):
            seen += number
            if seen >= wanted:
                middle: float = LOWEST_MS * RATIO ** (place - 0.5)
                return min(middle, self._max_ms)
        return 0.0

    def summary(self) -> Summary:
        """Count, mean, percentiles and maximum so far."""
        return Summary(
            count=self._count,
            mean_ms=self._sum_ms / self._count if self._count else 0.0,
            p50_ms=self.percentile(50),
            p95_ms=self.percentile(95),
            p99_ms=self.percentile(99),
            max_ms=self._max_ms,
        )


class Metrics:
    """Named histograms and counters, filled from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms: dict[str, Histogram] = {}
        self._counters: Counter[str] = Counter()

    def record(self, name: str, ms: float) -> None:
        """Count one duration of `name`, in ms."""
        with self._lock:
            self._histograms.setdefault(name, Histogram()).record(ms)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Measure the block, also when it raises."""
        started_ns = time.perf_counter_ns()
        try:
            yield
        finally:
            self.record(name, (time.perf_counter_ns() - started_ns) / 1e6)

    def count(self, name: str, number: int = 1) -> None:
        """Add `number` to the counter `name`."""
        with self._lock:
            self._counters[name] += number

    def counter(self, name: str) -> int:
        """The counter `name`; 0 when nothing was counted."""
        with self._lock:
            return self._counters[name]

    def summaries(self) -> dict[str, Summary]:
        """A summary for each name, in the order of first appearance."""
        with self._lock:
            return {name: histogram.summary() for name, histogram in self._histograms.items()}
