"""What is asked for again and is too old is not sent; an encoder's error ends nothing."""

from __future__ import annotations

import inspect
import logging
import time
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc import RTCRtpSender
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci

from stream.rtc.reception.bandwidth import BandwidthEstimate
from stream.rtc.reception.fitted_encoder import FittedEncoder
from stream.rtc.reception.video_receiver import VideoReceiver
from stream.rtc.reception.video_sender import OLD, VideoSender
from tests.rtc_calls import Clip, peer, run, until
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
    for part in ("self.__rtp_history.get(", "self.__rtp_timestamp = ", "await self._retransmit(",
                 "self.__encoder.target_bitrate = bitrate"):  # fmt: skip
        assert part in source, part
    assert "self.codec.bit_rate\n            > 0.1" in inspect.getsource(Vp8Encoder)
    assert "self.codec = None" in inspect.getsource(Vp8Encoder), "it can change its rate by now"
    assert "self.codec.qmax = 56" in inspect.getsource(Vp8Encoder), "it keeps low rates by now"
    assert "if self.__lsr == report.lsr and" in source, "it knows older reports by now"


@pytest.mark.usefixtures("camera", "opened")
def test_what_the_receiver_can_take_reaches_the_encoder() -> None:
    async def program() -> None:
        async with relay() as client:
            sender, watching, watcher = await watched(client)
            (connection,) = [one for one in client.relay.connections.open if one.kind == "watch"]
            (sending,) = connection._peer.getSenders()
            assert isinstance(sending, VideoSender)
            inner: Any = sending
            encoder = inner._RTCRtpSender__encoder
            for offered, used in ((400_000, 400_000), (420_000, 400_000), (200_000, 200_000)):
                inner._rate._changed_s = float("-inf")
                inner._rate.heard(30.0, 0.0, time.monotonic())  # a queue: nothing more is tried
                fci = pack_remb_fci(offered, [inner._ssrc])
                packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci)
                await sending._handle_rtcp_packet(packet)
                assert abs(encoder.target_bitrate - used) < 1000
            count = len(watcher.frames)
            await until(lambda: len(watcher.frames) > count + 10)
            for one in (sender, watching):
                await one.close()

    run(program())


@pytest.mark.usefixtures("camera", "opened")
def test_round_trips_are_known_and_a_slow_network_gets_smaller_pictures() -> None:
    async def program() -> None:
        async with relay() as client:
            sender, watching, watcher = await watched(client)
            (connection,) = [one for one in client.relay.connections.open if one.kind == "watch"]
            (sending,) = connection._peer.getSenders()
            inner: Any = sending
            rate = inner._rate
            await until(lambda: rate._trips, "no round trip was noted")
            assert all(0 <= trip_s < 5 for _, trip_s in rate._trips)
            # Nothing is tried, and nobody offers more than is asked for here.
            inner._offered = lambda packet: None
            rate._usual, rate._used = 2_000_000, 30_000
            assert isinstance(inner._RTCRtpSender__encoder, FittedEncoder)
            full = watcher.frames[-1].width
            inner._RTCRtpSender__encoder.target_bitrate = 1
            inner._RTCRtpSender__encoder._encoder._Vp8Encoder__target_bitrate = 30_000
            await until(lambda: watcher.frames[-1].width < full, "pictures stayed as large")
            for one in (sender, watching):
                await one.close()

    run(program())


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


def slowed() -> BandwidthEstimate:
    """Of a link that carried 1 Mbit/s and carries 100 kbit/s now."""
    estimate = BandwidthEstimate()
    for sent_ms in range(0, 2000, 10):
        delay_ms = max(0.0, 100.0 * (sent_ms - 1000) / 10)
        estimate.add(round(sent_ms + delay_ms), int(sent_ms * (1 << 18) / 1000), 1250, 7)
    assert estimate.has_queue
    return estimate


@pytest.mark.usefixtures("camera", "opened")
def test_a_call_s_sender_knows_the_way_of_what_it_receives() -> None:
    async def program() -> None:
        async with relay() as client:
            page = peer()
            page.addTrack(Clip())
            await client.begin(page, "/call")
            (connection,) = client.relay.connections.open
            (sending,) = [one for one in connection._peer.getSenders() if one.kind == "video"]
            (receiving,) = [one for one in connection._peer.getReceivers()
                            if isinstance(one, VideoReceiver)]  # fmt: skip
            assert isinstance(sending, VideoSender)
            assert sending.way_here is receiving.estimate
            inner: Any = sending
            await until(lambda: inner._RTCRtpSender__encoder is not None, "nothing is encoded")
            encoder = inner._RTCRtpSender__encoder
            assert encoder.target_bitrate > 200_000
            sending.way_here = slowed()
            await until(lambda: encoder.target_bitrate < 200_000, "the way back stayed as it was")
            await page.close()

    run(program())
