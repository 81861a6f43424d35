"""The estimate on made-up networks: it yields to a queue, not to jitter, and recovers."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.rtc.reception.bandwidth import CEILING, FLOOR, BandwidthEstimate

PACKET = 1000


class Network:
    """A sender that sends what the estimate allows, over a link."""

    def __init__(self, wanted: float) -> None:
        self.estimate = BandwidthEstimate()
        self.wanted, self.allowed = wanted, 300_000.0
        self.now_ms, self.free_ms, self.queue_ms = 0.0, 0.0, 0.0
        self.dice = random.Random(3)
        self.under_way: list[tuple[float, int]] = []

    def run(
        self,
        seconds: float,
        link: float,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        way_ms: float = 50.0,
    ) -> float:
        """Returns the estimate in the end, bits a second."""
        end_ms = self.now_ms + 1000 * seconds
        arrivals = self.under_way
        while self.now_ms < end_ms:
            self.now_ms += 8000 * PACKET / min(self.wanted, self.allowed)
            self.free_ms = max(self.free_ms, self.now_ms) + 8000 * PACKET / link
            self.queue_ms = self.free_ms - self.now_ms
            if self.dice.random() < loss:
                continue
            arrives = self.free_ms + way_ms + self.dice.uniform(-jitter_ms, jitter_ms)
            sent = int(self.now_ms / 1000 * (1 << 18)) % (1 << 24)
            arrivals.append((arrives, sent))
            arrivals.sort()
            while arrivals and arrivals[0][0] <= self.now_ms:
                came, stamp = arrivals.pop(0)
                if found := self.estimate.add(round(came), stamp, PACKET, 7):
                    assert found[1] == [7]
                    self.allowed = found[0]
        return self.allowed


def test_jitter_and_loss_lower_nothing() -> None:
    network = Network(wanted=1_000_000)
    assert network.run(10, link=10_000_000) > 1_000_000
    assert network.run(10, link=10_000_000, jitter_ms=50) > 1_000_000
    assert network.run(10, link=10_000_000, loss=0.2) > 1_000_000


def test_it_yields_to_a_slow_link_and_comes_back() -> None:
    network = Network(wanted=1_000_000)
    network.run(10, link=10_000_000)
    network.run(6, link=300_000)
    worst = 0.0
    for _ in range(20):
        allowed = network.run(0.5, link=300_000)
        assert FLOOR <= allowed < 600_000
        worst = max(worst, network.queue_ms)
    assert worst < 1000
    assert network.run(5, link=10_000_000) > 1_000_000


def test_a_queue_is_gone_soon() -> None:
    network = Network(wanted=1_000_000)
    network.run(10, link=10_000_000)
    network.run(4, link=300_000)
    assert network.queue_ms < 300


def test_a_way_that_becomes_longer_is_no_queue() -> None:
    network = Network(wanted=1_000_000)
    network.run(10, link=10_000_000)
    network.run(5, link=10_000_000, way_ms=250.0, jitter_ms=50)
    for _ in range(10):
        assert network.run(0.5, link=10_000_000, way_ms=250.0, jitter_ms=50) > 1_000_000
    assert network.run(5, link=10_000_000) > 1_000_000


def test_it_stays_within_bounds_over_hours() -> None:
    """The sender's clock wraps every 64 s."""
    network = Network(wanted=400_000)
    for _ in range(4):
        assert 400_000 < network.run(60, link=10_000_000) <= CEILING


def test_a_queue_that_fills_and_drains_is_no_longer_way() -> None:
    """Although less and less comes: other traffic shares the link."""
    network = Network(wanted=1_000_000)
    network.run(10, link=10_000_000)
    network.run(0.8, link=300_000)
    for tick in range(60):
        shared = 150_000 if tick // 10 % 2 else 300_000
        allowed = network.run(0.1, link=shared)
        assert network.queue_ms < 500 or allowed <= 300_000


def test_a_backlog_that_arrives_shows_what_the_link_carries_now() -> None:
    network = Network(wanted=1_000_000)
    network.run(10, link=10_000_000)
    network.run(2, link=300_000)
    assert network.queue_ms > 300
    assert network.run(3, link=10_000_000) > 1_000_000
