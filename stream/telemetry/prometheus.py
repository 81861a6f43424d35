"""Prometheus: the figures of a running pipeline in the text that Prometheus reads.

    closeup_frames_total, closeup_frames_dropped_total, ...    every counter of `Metrics`
    closeup_quality_level, closeup_exemplars, ...              every gauge
    closeup_stage_seconds{stage, quantile}                     time of source, stages and sinks
    closeup_frame_age_seconds{output, quantile}                from capture until the output has it
    closeup_resident_memory_bytes

Quantiles are those of the last minute; `_sum` and `_count` go on from the start, as is the custom.
Source: Prometheus, "Metric and label naming" and "Exposition formats" (text 0.0.4).
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client import start_http_server as start_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from stream.errors import ConfigError
from stream.telemetry.metrics import (
    AGE,
    DROPPED,
    ENHANCED,
    FACES,
    FAILED_OPEN,
    FRAMES,
    Metrics,
    Snapshot,
)
from stream.telemetry.process_memory import resident_bytes

__all__ = ["CONTENT_TYPE_LATEST", "Exposition", "serve"]

LOOPBACK = "127.0.0.1"
WINDOW_S = 60.0
KEEP_EVERY_S = 5.0
"""So often at most a snapshot is kept for the window, however often somebody asks."""
QUANTILES = (0.5, 0.95, 0.99)
HELP = {
    FRAMES: "Frames handed to the outputs.",
    DROPPED: "Frames that a newer one replaced.",
    FAILED_OPEN: "Frames that some stage did not work on.",
    FACES: "Faces, once in every frame.",
    ENHANCED: "Faces that were shown enhanced, once in every frame.",
}


class Exposition(Collector):
    """The figures of a `Metrics`, for as many readers as there are; for any thread.

    Args: metrics: filled by the pipeline, or by all of them that share it.
          clock: seconds, never going back.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[tuple[float, Snapshot]] = deque([(clock(), Snapshot())])
        # Our own: the default one adds figures of the Python process that nobody asked for.
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def render(self) -> bytes:
        """The text, to be served as `CONTENT_TYPE_LATEST`."""
        return generate_latest(self.registry)

    def describe(self) -> list[Metric]:
        """Nothing: the names are known once something was counted."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families of figures as they are now; called by prometheus_client."""
        now = self._metrics.snapshot()
        recent = now.since(self._a_minute_ago(now))
        for name, number in now.counters.items():
            yield CounterMetricFamily(_label(name), _help(name), value=number)
        for name, value in now.gauges.items():
            yield GaugeMetricFamily(_label(name), _help(name), value=value)
        stages = SummaryMetricFamily(
            "closeup_stage_seconds", "Time that a part took for one frame.", labels=["stage"]
        )
        ages = SummaryMetricFamily(
            "closeup_frame_age_seconds",
            "From the capture of a frame until an output has taken it.",
            labels=["output"],
        )
        for name, histogram in now.histograms.items():
            family, label = (ages, "output") if name.endswith(AGE) else (stages, "stage")
            labels = {label: name.removesuffix(AGE)}
            for quantile in QUANTILES:
                value_s = recent.histograms[name].percentile(100 * quantile) / 1e3
                family.add_sample(family.name, {**labels, "quantile": str(quantile)}, value_s)
            family.add_metric(list(labels.values()), histogram.count, histogram.sum_ms / 1e3)
        yield from (stages, ages)
        resident = resident_bytes()
        if resident is not None:
            yield GaugeMetricFamily(
                "closeup_resident_memory_bytes", "Memory held in RAM.", value=resident
            )

    def _a_minute_ago(self, now: Snapshot) -> Snapshot:
        """The youngest snapshot that is at least `WINDOW_S` old, else the oldest there is."""
        with self._lock:
            time_s = self._clock()
            while len(self._kept) > 1 and time_s - self._kept[1][0] >= WINDOW_S:
                self._kept.popleft()
            if time_s - self._kept[-1][0] >= KEEP_EVERY_S:
                self._kept.append((time_s, now))
            return self._kept[0][1]


@contextmanager
def serve(metrics: Metrics, port: int) -> Iterator[str]:
    """Serve the figures on this machine's loopback, in a thread, within `with`.

    Args:   port: 0 takes a free one.
    Yields: the address.
    Raises: ConfigError: the port is taken, or not ours to take.
    """
    try:
        server, thread = start_server(port, LOOPBACK, Exposition(metrics).registry)
    except OSError as error:
        raise ConfigError(
            f"--metrics-port {port} cannot be opened ({error.strerror}); give another, or 0"
        ) from error
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _label(name: str) -> str:
    return "closeup_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)


def _help(name: str) -> str:
    return HELP.get(name, name.capitalize() + ".")
