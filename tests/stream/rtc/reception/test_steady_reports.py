"""Reports tell when something was captured, not how long it waited on its way."""

from __future__ import annotations

import inspect
import random
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc import RTCRtpSender

from stream.rtc.reception.steady_reports import LEAST_OF_S, OTHER_CLOCK_S, SteadyClock
from tests.rtc_calls import run, until
from tests.rtc_relays import relay, watched

HZ = 90_000
WRAPS = (1 << 32) - 20 * HZ
"""A timestamp that begins anew after 20 s."""


def waits(clock: SteadyClock, delays_s: list[float], first_s: float = 0.0) -> list[float]:
    """Of reports a second apart, each of what was captured so much earlier."""
    return [
        clock.waited_s(round((first_s + tick - delay_s) * HZ + WRAPS) % (1 << 32), first_s + tick)
        for tick, delay_s in enumerate(delays_s)
    ]


def test_what_waited_in_a_queue_was_captured_as_early_as_if_it_had_not() -> None:
    told = waits(SteadyClock(HZ), [0.05] * 15 + [0.9, 1.2, 0.5] + [0.05] * 10)
    assert told == pytest.approx([0.0] * 15 + [0.85, 1.15, 0.45] + [0.0] * 10, abs=1e-3)


def test_a_way_that_stays_longer_is_believed_after_a_minute() -> None:
    told = waits(SteadyClock(HZ), [0.05] * 10 + [0.3] * 80)
    assert told[11] == pytest.approx(0.25, abs=1e-3)
    assert told[9 + round(LEAST_OF_S)] == pytest.approx(0.25, abs=1e-3)
    assert told[11 + round(LEAST_OF_S)] == pytest.approx(0.0, abs=1e-3)


def test_a_shorter_way_is_believed_at_once() -> None:
    assert waits(SteadyClock(HZ), [0.4] * 5 + [0.1] * 5) == pytest.approx([0.0] * 10, abs=1e-3)


@pytest.mark.parametrize("jump_s", [-2 * OTHER_CLOCK_S, 2 * OTHER_CLOCK_S, 3600.0])
def test_another_source_begins_anew(jump_s: float) -> None:
    clock = SteadyClock(HZ)
    waits(clock, [0.1] * 10)
    assert waits(clock, [jump_s] * 3, first_s=10.0) == pytest.approx([0.0] * 3, abs=1e-3)


def test_memory_does_not_grow() -> None:
    clock = SteadyClock(HZ)
    waits(clock, [random.Random(1).uniform(0.0, 1.0) for _ in range(1000)])
    assert len(clock._delays) <= LEAST_OF_S + 2


@pytest.mark.usefixtures("camera", "opened")
def test_the_reports_of_a_call_are_steady_and_measure_round_trips() -> None:
    async def program() -> None:
        async with relay() as client:
            sender, watching, _ = await watched(client)
            (connection,) = [one for one in client.relay.connections.open if one.kind == "watch"]
            (sending,) = connection._peer.getSenders()
            inner: Any = sending
            await until(lambda: inner._clock is not None and inner._clock._delays)
            reported: list[float] = []
            steady = inner._steady

            def late(told: Any, clock: SteadyClock) -> None:
                """As if the last picture had waited for a second."""
                before = told.ntp_timestamp = told.ntp_timestamp + (1 << 32)
                steady(told, clock)
                reported.append((before - told.ntp_timestamp) / (1 << 32))

            inner._steady = late
            await until(lambda: reported, "no report was sent")
            assert 0.5 < reported[0] < 1.5
            del inner._steady
            inner._RTCRtpSender__rtt = None
            await until(lambda: inner._RTCRtpSender__rtt is not None, "no round trip")
            assert inner._RTCRtpSender__rtt < 5.0
            for one in (sender, watching):
                await one.close()

    run(program())


def test_the_parts_of_aiortc_that_are_replaced_are_there() -> None:
    """Where this fails, a new aiortc has changed: look whether it still lacks what we add."""
    source = inspect.getsource(RTCRtpSender)
    for part in ("self.__ntp_timestamp = clock.current_ntp_time()",
                 "await self._send_rtcp(packets)",
                 "self.__lsr = ((self.__ntp_timestamp) >> 16) & 0xFFFFFFFF",
                 "if self.__lsr == report.lsr and"):  # fmt: skip
        assert part in source, part
