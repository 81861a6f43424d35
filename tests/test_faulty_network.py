"""The network that tests put between a client and the relay does what it says."""

from __future__ import annotations

import asyncio
import time

from tests.faulty_network import QUEUE_S, Direction, Faults

SLOW = Faults(bits_per_s=80_000)
PACKET = 972
"""Bytes; with its headers 0.1 s at the slow link."""


class Network:
    """Whose faults a direction has."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults


def numbered(number: int) -> bytes:
    return number.to_bytes(2, "big") + bytes(PACKET - 2)


def test_a_slow_link_keeps_the_order_and_loses_what_finds_no_room() -> None:
    async def program() -> None:
        network, came = Network(SLOW), list[tuple[int, float]]()
        direction, began_s = Direction(network, 1), time.monotonic()

        def note(data: bytes) -> None:
            came.append((int.from_bytes(data[:2], "big"), time.monotonic() - began_s))

        for number in range(25):
            direction.carry(numbered(number), note)
        await asyncio.sleep(0.45)
        assert [number for number, _ in came] == list(range(len(came)))
        assert 0 < len(came) < round(QUEUE_S / 0.1)
        assert came[0][1] >= 0.099
        # What waits leaves before anything newer when the link becomes fast.
        network.faults = Faults()
        direction.carry(numbered(100), note)
        await asyncio.sleep(0.01)
        kept = [number for number, _ in came]
        assert kept == [*range(round(QUEUE_S / 0.1)), 100]
        # And the link is free when it becomes slow again.
        network.faults = SLOW
        direction.carry(numbered(101), note)
        await asyncio.sleep(0.3)
        assert [number for number, _ in came] == [*kept, 101]

    asyncio.run(program())


def test_jitter_lets_packets_overtake_each_other_and_a_cut_stops_all() -> None:
    async def program() -> None:
        network, came = Network(Faults(delay_ms=30, jitter_ms=30)), list[int]()
        direction = Direction(network, 1)
        for number in range(50):
            direction.carry(numbered(number), lambda data: came.append(data[1]))
        await asyncio.sleep(0.2)
        assert sorted(came) == list(range(50))
        assert came != sorted(came)
        network.faults = Faults(cut=True)
        direction.carry(numbered(50), lambda data: came.append(data[1]))
        await asyncio.sleep(0.1)
        assert len(came) == 50

    asyncio.run(program())
