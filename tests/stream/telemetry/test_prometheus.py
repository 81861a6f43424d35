"""Prometheus: what its own parser reads from us, quantiles of the last minute, the endpoint."""

from __future__ import annotations

import socket
import threading
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream.errors import ConfigError
from stream.telemetry.metrics import DROPPED, FRAMES, Metrics, age_of
from stream.telemetry.process_memory import resident_bytes
from stream.telemetry.prometheus import CONTENT_TYPE_LATEST, Exposition, serve


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def samples(text: bytes) -> dict[str, float]:
    """Sample → value, as a Prometheus server reads them."""
    families = text_string_to_metric_families(text.decode())
    return {
        ",".join([sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))]): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


def test_every_figure_has_its_name_and_its_unit() -> None:
    metrics = Metrics()
    metrics.count(FRAMES, 7)
    metrics.count(DROPPED, 2)
    metrics.set("quality level", 3)
    metrics.record("tracker", 20.0)
    metrics.record("tracker", 20.0)
    metrics.record(age_of("preview"), 50.0)
    read = samples(Exposition(metrics).render())
    assert read["closeup_frames_total"] == 7
    assert read["closeup_frames_dropped_total"] == 2
    assert read["closeup_quality_level"] == 3
    for quantile in ("0.5", "0.95", "0.99"):
        stage = read[f"closeup_stage_seconds,quantile={quantile},stage=tracker"]
        assert stage == pytest.approx(0.020, rel=0.03)
    age = read["closeup_frame_age_seconds,output=preview,quantile=0.95"]
    assert age == pytest.approx(0.050, rel=0.03)
    assert read["closeup_stage_seconds_count,stage=tracker"] == 2
    assert read["closeup_stage_seconds_sum,stage=tracker"] == pytest.approx(0.040)
    assert not any("preview" in name and "stage" in name for name in read)
    if resident_bytes() is not None:
        assert 1e6 < read["closeup_resident_memory_bytes"] < 1e12


def test_quantiles_forget_what_is_older_than_a_minute() -> None:
    metrics, clock = Metrics(), Clock()
    exposition = Exposition(metrics, clock)

    def median_s() -> float:
        key = "closeup_stage_seconds,quantile=0.5,stage=enhancer"
        return samples(exposition.render())[key]

    for _ in range(100):
        metrics.record("enhancer", 400.0)
    assert median_s() == pytest.approx(0.4, rel=0.03)
    for second in range(1, 130):
        clock.now_s = float(second)
        metrics.record("enhancer", 10.0)
        median = median_s()
        # Snapshots are 5 s apart: what is gone after 60 s is gone from the figures by 65 s.
        if second < 60:
            assert median == pytest.approx(0.4, rel=0.03), second
        elif second > 65:
            assert median == pytest.approx(0.01, rel=0.03), second
    assert samples(exposition.render())["closeup_stage_seconds_count,stage=enhancer"] == 229
    assert len(exposition._kept) < 20


def test_nothing_counted_is_no_error() -> None:
    assert "closeup_frames_total" not in samples(Exposition(Metrics()).render())


def test_the_endpoint_is_on_loopback_alone_and_goes_away() -> None:
    before = set(threading.enumerate())
    metrics = Metrics()
    metrics.count(FRAMES)
    with serve(metrics, 0) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert samples(answer.read())["closeup_frames_total"] == 1
    assert "version=" in CONTENT_TYPE_LATEST
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=10)
    assert set(threading.enumerate()) <= before


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"--metrics-port {port} cannot be opened"),
            serve(Metrics(), port),
        ):
            pass
