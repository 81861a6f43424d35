"""Metrics: percentiles close to the truth, bounded memory, threads."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from stream.telemetry.metrics import BUCKETS, Histogram, Metrics


@pytest.mark.parametrize("median_ms", [0.05, 3.0, 800.0])
def test_percentiles_are_within_three_percent(median_ms: float) -> None:
    values = median_ms * np.exp(np.random.default_rng(1).normal(0.0, 0.7, 20_000))
    histogram = Histogram()
    for value in values:
        histogram.record(float(value))
    for percent in (50, 95, 99):
        truth = float(np.percentile(values, percent))
        assert histogram.percentile(percent) == pytest.approx(truth, rel=0.03)
    summary = histogram.summary()
    assert summary.count == len(values)
    assert summary.mean_ms == pytest.approx(float(values.mean()))
    assert summary.max_ms == pytest.approx(float(values.max()))


def test_extremes_stay_inside_the_buckets() -> None:
    histogram = Histogram()
    for value in (-1.0, 0.0, 1e-9, 1e12):
        histogram.record(value)
    assert histogram.percentile(1) <= 0.001
    assert histogram.summary().max_ms == 1e12
    assert len(histogram._buckets) == BUCKETS < 1000


def test_one_value_and_none() -> None:
    histogram = Histogram()
    assert histogram.percentile(50) == 0.0
    histogram.record(10.0)
    assert histogram.percentile(0) == pytest.approx(10.0, rel=0.03)
    assert histogram.percentile(100) <= 10.0
    with pytest.raises(ValueError, match="101"):
        histogram.percentile(101)


def test_time_measures_a_block_that_raises() -> None:
    metrics = Metrics()

    def fail() -> None:
        with metrics.time("stage"):
            time.sleep(0.01)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert metrics.summaries()["stage"].p50_ms >= 9.5


def test_many_threads_lose_nothing() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            metrics.record("a", 1.0)
            metrics.count("b", 2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.summaries()["a"].count == 2000
    assert metrics.counter("b") == 4000
    assert metrics.counter("never") == 0


def test_the_difference_of_two_snapshots() -> None:
    metrics = Metrics()
    for _ in range(50):
        metrics.record("a", 100.0)
    metrics.count("b", 3)
    metrics.set("c", 1.0)
    before = metrics.snapshot()
    metrics.record("a", 2.0)
    metrics.record("new", 7.0)
    metrics.count("b")
    metrics.set("c", 5.0)
    late = metrics.snapshot().since(before)
    summary = late.histograms["a"].summary()
    assert summary.count == 1
    assert summary.mean_ms == pytest.approx(2.0)
    assert summary.p99_ms == pytest.approx(2.0, rel=0.03)
    assert summary.max_ms == pytest.approx(2.0, rel=0.03)
    assert late.histograms["new"].count == 1
    assert late.counters == {"b": 1}
    assert late.gauges == {"c": 5.0}
    assert before.counters == {"b": 3}, "a snapshot does not change"
    assert before.histograms["a"].count == 50
