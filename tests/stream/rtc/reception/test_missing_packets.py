"""Which packets are asked for again, and when."""

from __future__ import annotations

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.rtc.reception.missing_packets import KEPT, RETRIES, MissingPackets


def test_a_gap_is_asked_for_again_and_again_until_it_comes() -> None:
    missing = MissingPackets()
    missing.add(10, 0.0)
    missing.add(13, 0.0)
    assert missing.due(0.0) == [11, 12]
    assert missing.due(0.05) == []
    assert missing.due(0.11) == [11, 12]
    missing.add(11, 0.12)
    assert missing.due(0.25) == [12]
    missing.add(12, 0.26)
    assert missing.due(9.0) == []


def test_the_pause_follows_the_round_trip() -> None:
    missing = MissingPackets()
    missing.add(0, 0.0)
    missing.add(2, 0.0)
    assert missing.due(0.0) == [1]
    missing.add(1, 0.04)  # 40 ms
    missing.add(4, 1.0)
    assert missing.due(1.0) == [3]
    assert missing.due(1.055) == []
    assert missing.due(1.065) == [3]


def test_reordering_is_waited_for() -> None:
    missing = MissingPackets()
    missing.add(0, 0.0)
    for number in range(2, 20, 2):
        missing.add(number, number * 0.1)
        missing.add(number - 1, number * 0.1 + 0.03)
    missing.add(21, 5.0)
    assert missing.due(5.02) == []
    assert missing.due(5.04) == [19, 20]


def test_it_gives_up() -> None:
    missing = MissingPackets()
    missing.add(0, 0.0)
    missing.add(2, 0.0)
    asked = sum(bool(missing.due(second)) for second in range(100))
    assert asked == RETRIES
    assert len(missing) == 0
    missing.add(100_000, 200.0)
    assert len(missing) == KEPT
    missing.forget_before(99_990)
    assert len(missing) == 10
