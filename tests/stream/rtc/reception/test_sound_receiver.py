"""Sound comes out in order and at once; what a new aiortc would make needless."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

import aiortc.jitterbuffer
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from stream.rtc.reception.sound_receiver import HOLD_S, SoundBuffer, SoundReceiver
from tests.rtc_calls import Clip, Tone, run, until
from tests.rtc_relays import publisher, relay


def packet(number: int) -> RtpPacket:
    one = RtpPacket(sequence_number=number % 65_536, timestamp=960 * number)
    one._data = b"sound"  # type: ignore[attr-defined]
    return one


def numbers(buffer: SoundBuffer, number: int, now_s: float) -> list[int]:
    return [one.sequence_number for one in buffer.add(packet(number), now_s)]


def test_nothing_is_kept_back() -> None:
    buffer = SoundBuffer()
    assert [numbers(buffer, number, 0.02 * number) for number in range(65_534, 65_538)] == [
        [65_534],
        [65_535],
        [0],
        [1],
    ]


def test_packets_that_overtake_each_other_are_put_in_order() -> None:
    buffer = SoundBuffer()
    assert numbers(buffer, 1, 0.0) == [1]
    assert numbers(buffer, 3, 0.02) == []
    assert numbers(buffer, 2, 0.04) == [2, 3]
    assert numbers(buffer, 2, 0.05) == [], "once"


def test_a_lost_packet_delays_no_more_than_those_that_wait_for_it() -> None:
    buffer = SoundBuffer()
    assert numbers(buffer, 1, 0.0) == [1]
    came = {number: numbers(buffer, number, 0.02 * number) for number in range(3, 12)}
    late = next(number for number, found in came.items() if found)
    assert came[late] == list(range(3, late + 1)), "the backlog comes at once"
    assert 0.02 * (late - 3) == pytest.approx(HOLD_S, abs=0.021)
    assert all(came[number] == [number] for number in range(late + 1, 12))


def test_a_backlog_of_aiortc_never_drains() -> None:
    """Where this fails, a new aiortc may have made `SoundReceiver` needless."""
    buffer = aiortc.jitterbuffer.JitterBuffer(capacity=16, prefetch=4)
    given = 0
    for number in range(200):
        if number != 100:
            given += buffer.add(packet(number))[1] is not None
    assert given <= 199 - 15


def test_the_parts_of_aiortc_that_the_receiver_replaces_are_there() -> None:
    source = inspect.getsource(RTCRtpReceiver)
    assert "self.__jitter_buffer = JitterBuffer(capacity=16, prefetch=4)" in source
    assert "self.__jitter_buffer.add(packet)" in source


@pytest.mark.usefixtures("camera", "opened")
def test_the_relay_receives_sound_with_it() -> None:
    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip(), Tone())
            await client.begin(sender, "/whip")
            (connection,) = client.relay.connections.open
            receivers: list[Any] = connection._peer.getReceivers()
            (sound,) = [one for one in receivers if one.track.kind == "audio"]
            assert isinstance(sound, SoundReceiver)
            await until(lambda: connection.sound is not None and connection.sound._frames)
            await sender.close()

    run(program())
