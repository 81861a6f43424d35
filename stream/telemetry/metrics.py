"""Metrics: how long each part takes, and how often things happen, in bounded memory.

Names are words ("frames dropped"); who shows them makes labels of them. The time of a part is
recorded under the part's name; live, the age of the frames that an output has taken under
`age_of(output)`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

FRAMES = "frames"
"""Counter: frames handed to the outputs."""
DROPPED = "frames dropped"
"""Counter: frames that a newer one replaced. Live only."""
FAILED_OPEN = "frames failed open"
"""Counter: frames that some stage did not work on. Live only."""
FACES = "faces seen"
"""Counter: faces, once in every frame."""
ENHANCED = "faces enhanced"
"""Counter: those of them that were shown with a patch."""
FACE_LIMIT = "face limit"
"""Gauge: there were more faces than these, which stayed as they were; absent while there were not.
"""
EXEMPLARS = "exemplars"
"""Gauge: exemplars that the bank took in so far."""
AGE = " age"

LOWEST_MS = 0.001
RATIO = 1.04
"""Width of a bucket: a percentile is at most 2 % away from the truth."""
BUCKETS = 1 + math.ceil(math.log(1e9) / math.log(RATIO))
"""Up to 1e6 ms, about 17 minutes for one call; longer ones count as that."""


def age_of(output: str) -> str:
    """The name under which the age of an output's frames is recorded."""
    return output + AGE


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

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return self._count

    @property
    def sum_ms(self) -> float:
        """All of them together, ms."""
        return self._sum_ms

    def since(self, earlier: Histogram | None) -> Histogram:
        """What came after an earlier copy of this histogram; None: a copy of all.

        The maximum is known to the width of a bucket.
        """
        later = Histogram()
        before = earlier or later
        later._buckets = [
            now - then for now, then in zip(self._buckets, before._buckets, strict=True)
        ]
        later._count = self._count - before._count
        later._sum_ms = self._sum_ms - before._sum_ms
        later._max_ms = self._max_ms
        if earlier is not None:
            later._max_ms = later.percentile(100)
        return later

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


@dataclass(frozen=True)
class Snapshot:
    """All the figures of one moment, or with `since` of the time between two."""

    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    """In the order of first appearance."""
    counters: Mapping[str, int] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)

    def since(self, earlier: Self) -> Snapshot:
        """What was counted after an earlier snapshot; gauges are those of now."""
        return Snapshot(
            {
                name: one.since(earlier.histograms.get(name))
                for name, one in self.histograms.items()
            },
            {name: n - earlier.counters.get(name, 0) for name, n in self.counters.items()},
            self.gauges,
        )


class Metrics:
    """Named histograms, counters and gauges, filled from any thread.

    Args: total: gets all times and counts, too, and those of others; no gauges, since what one call
          shows now says nothing of all of them.
    """

    def __init__(self, total: Metrics | None = None) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._histograms: dict[str, Histogram] = {}
        self._counters: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}

    def record(self, name: str, ms: float) -> None:
        """Count one duration of `name`, in ms."""
        with self._lock:
            self._histograms.setdefault(name, Histogram()).record(ms)
        if self.total is not None:
            self.total.record(name, ms)

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
        if self.total is not None:
            self.total.count(name, number)

    def set(self, name: str, value: float) -> None:
        """The gauge `name` shows `value` from now on."""
        with self._lock:
            self._gauges[name] = value

    @property
    def gauges(self) -> dict[str, float]:
        """What each gauge shows now."""
        with self._lock:
            return dict(self._gauges)

    def counter(self, name: str) -> int:
        """The counter `name`; 0 when nothing was counted."""
        with self._lock:
            return self._counters[name]

    def snapshot(self) -> Snapshot:
        """A copy of everything."""
        with self._lock:
            histograms = {name: one.since(None) for name, one in self._histograms.items()}
            return Snapshot(histograms, dict(self._counters), dict(self._gauges))

    def summaries(self) -> dict[str, Summary]:
        """A summary for each name, in the order of first appearance."""
        return {name: one.summary() for name, one in self.snapshot().histograms.items()}
