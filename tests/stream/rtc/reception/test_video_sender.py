"""What is asked for again and is too old is not sent; an encoder's error ends nothing."""

from __future__ import annotations

import inspect
import logging
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc import RTCRtpSender
from aiortc.rtp import RtpPacket

from stream.rtc.reception.video_sender import OLD, VideoSender
from tests.rtc_calls import run, until
from tests.rtc_relays import relay, watched


@pytest.mark.usefixtures("camera", "opened")
def test_a_packet_of_more_than_a_second_ago_is_answered_with_a_key_frame() -> None:
    async def program() -> None:
        async with relay() as client:
            sender, watching, _ = await watched(client)
            (connection,) = [one for one in client.relay.connections.open if one.kind == "watch"]
            (sending,) = connection._peer.getSenders()
            inner: Any = sending
            assert isinstance(sending, VideoSender)
            sent: list[RtpPacket] = []
            send = sending.transport._send_rtp

            async def note(data: bytes) -> None:
                if not 192 <= data[1] <= 223:  # RTCP (RFC 5761)
                    sent.append(RtpPacket.parse(data))
                await send(data)

            history, newest = inner._RTCRtpSender__rtp_history, max(
                inner._RTCRtpSender__rtp_history.values(), key=lambda one: one.sequence_number
            )  # fmt: skip
            old = RtpPacket(payload_type=newest.payload_type, sequence_number=4)
            old.timestamp = (newest.timestamp - 2 * OLD) % (1 << 32)
            old.payload = b"old"
            keys: list[bool] = []
            inner._send_keyframe = lambda: keys.append(True)
            inner.transport._send_rtp = note
            history[4] = old
            await sending._retransmit(4)
            assert keys == [True]
            assert not [one for one in sent if one.payload.endswith(b"old")]
            old.timestamp = newest.timestamp
            history[4] = old
            await sending._retransmit(4)
            assert keys == [True]
            assert [one for one in sent if one.payload.endswith(b"old")]
            for one in (sender, watching):
                await one.close()

    run(program())


def test_the_parts_of_aiortc_that_the_sender_replaces_are_there() -> None:
    """Where this fails, a new aiortc has changed: look whether it still lacks what we add."""
    source = inspect.getsource(RTCRtpSender)
    for part in ("self.__rtp_history.get(", "self.__rtp_timestamp = ", "await self._retransmit("):
        assert part in source, part


@pytest.mark.usefixtures("camera", "opened")
def test_a_step_back_in_time_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def program() -> None:
        async with relay() as client:
            sender, watching, watcher = await watched(client, "/whip/room", "/whep/room")
            published = client.relay.connections.published("room")
            assert published is not None
            published.stream.fan_outs["video"]._shift -= Fraction(5)
            await until(lambda: "cannot be encoded" in caplog.text, "libvpx takes it by now")
            count = len(watcher.frames)
            await until(lambda: len(watcher.frames) > count + 10, "the viewer lost it")
            for one in (sender, watching):
                await one.close()

    run(program())
