"""The estimate on made-up networks: it yields to a queue, not to jitter, and recovers."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.rtc.reception.bandwidth import CEILING, FLOOR, BandwidthEstimate

PACKET = 1000
PACED_MS, WAY_MS = 2.0, 50.0


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
    network.run(0.5, link=300_000)
    assert network.queue_ms > 300
    assert network.run(3, link=10_000_000) > 1_000_000


class Pictures:
    """Pictures of a sender that does not yield, each sent at once, packet after packet.

    Args: rate: bits a second. fps: pictures a second.
    """

    def __init__(self, rate: float, fps: int) -> None:
        self.estimate = BandwidthEstimate()
        self.every_ms = 1000.0 / fps
        self.packets = max(1, round(rate / fps / (8 * PACKET)))
        self.now_ms = self.free_ms = 0.0
        self.dice = random.Random(5)

    def run(
        self, seconds: float, link: float, jitter_ms: float = 0.0, loss: float = 0.0
    ) -> list[tuple[float, int]]:
        """When each estimate was made, ms from the beginning, and what it was, bits a second."""
        begins_ms, arrivals = self.now_ms, list[tuple[float, float]]()
        while self.now_ms < begins_ms + 1000 * seconds:
            for number in range(self.packets):
                sent_ms = self.now_ms + PACED_MS * number
                self.free_ms = max(self.free_ms, sent_ms) + 8000 * PACKET / link
                if self.dice.random() >= loss:
                    late_ms = self.dice.uniform(-jitter_ms, jitter_ms)
                    arrivals.append((self.free_ms + WAY_MS + late_ms, sent_ms))
            self.now_ms += self.every_ms
        made = []
        for came_ms, sent_ms in sorted(arrivals):
            sent = int(sent_ms / 1000 * (1 << 18)) % (1 << 24)
            if found := self.estimate.add(round(came_ms), sent, PACKET, 7):
                made.append((came_ms - begins_ms, found[0]))
        return made


@pytest.mark.parametrize(
    ("rate", "fps", "link"),
    [
        (850_000, 15, 300_000),
        (850_000, 30, 300_000),
        (1_500_000, 30, 500_000),
        (2_500_000, 30, 1_000_000),
    ],
)
def test_a_link_that_becomes_slow_is_told_within_300_ms(rate: float, fps: int, link: float) -> None:
    pictures = Pictures(rate, fps)
    pictures.run(10, link=20_000_000)
    told = pictures.run(1, link=link)
    first_ms = next(at_ms for at_ms, bits in told if bits < link)
    assert first_ms < WAY_MS + 300
    # What comes through shows how much that is.
    assert all(bits > FLOOR / 2 for _, bits in told)


@pytest.mark.parametrize(("jitter_ms", "loss"), [(30, 0.0), (50, 0.0), (50, 0.1), (0, 0.1)])
@pytest.mark.parametrize(("rate", "fps"), [(200_000, 15), (850_000, 15), (1_500_000, 30)])
def test_jitter_and_loss_are_never_taken_for_a_slow_link(
    rate: float, fps: int, jitter_ms: float, loss: float
) -> None:
    pictures = Pictures(rate, fps)
    pictures.run(5, link=20_000_000)
    made = pictures.run(120, link=20_000_000, jitter_ms=jitter_ms, loss=loss)
    assert min(bits for _, bits in made) > rate


def test_a_large_picture_is_no_slow_link() -> None:
    """A key frame fills a link that carries all the others well."""
    pictures = Pictures(850_000, 15)
    pictures.run(10, link=2_000_000)
    usual, pictures.packets = pictures.packets, 6 * pictures.packets
    made = pictures.run(1 / 15, link=2_000_000)
    pictures.packets = usual
    made += pictures.run(2, link=2_000_000)
    assert min(bits for _, bits in made) > 850_000


def test_what_limits_the_way_is_told_until_more_comes_through() -> None:
    network = Network(wanted=1_000_000)

    def told_after(seconds: float, link: float) -> int | None:
        network.run(seconds, link)
        return network.estimate.narrow_bits

    assert told_after(10, 10_000_000) is None
    assert told_after(1, 300_000) == network.allowed
    assert network.estimate.has_queue
    assert told_after(5, 300_000) == network.allowed < 600_000
    assert told_after(5, 10_000_000) is None
