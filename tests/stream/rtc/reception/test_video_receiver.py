"""The relay's receiver in a call: loss, outage, too large pictures; and what it needs of aiortc."""

from __future__ import annotations

import asyncio
import inspect
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

import aiortc.rtcrtpreceiver
import aiortc.rtcrtpsender
from aiortc import RTCSessionDescription
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from bench import barcode
from stream.rtc.peer import make_peer
from stream.rtc.reception.video_receiver import LATE_MOST_S, SOUND_LATE_MS, VideoReceiver
from stream.rtc.relay_options import RelayOptions
from tests.faulty_network import Faults, FaultyNetwork
from tests.network_faults import plain_receiver
from tests.pictures import backdrop
from tests.rtc_calls import Clip, run, until
from tests.rtc_relays import Client, publisher, relay

pytestmark = pytest.mark.usefixtures("camera", "opened")


def received(client: Client) -> tuple[Any, list[int]]:
    """The relay's receiver, and the numbers of the pictures that it gives out from now on."""
    (connection,) = client.relay.connections.open
    (receiver,) = connection._peer.getReceivers()
    numbers: list[int] = []
    assert connection.video is not None
    put = connection.video._worker.put

    def note(picture: Any) -> None:
        number = barcode.read(picture.frame.to_ndarray(format="rgb24"))
        if number is not None:
            numbers.append(number)
        put(picture)

    connection.video._worker.put = note  # type: ignore[method-assign]
    return receiver, numbers


@asynccontextmanager
async def published(clip: Clip) -> AsyncIterator[tuple[FaultyNetwork, Any, list[int]]]:
    """A clip in a call over a network that may get faults; what `received` gives."""
    with FaultyNetwork() as network:
        async with relay() as client:
            sender = await publish(client, network, clip)
            yield network, *received(client)
            await sender.close()


async def publish(client: Client, network: FaultyNetwork, clip: Clip) -> Any:
    """A publisher behind a faulty network."""
    sender = publisher(clip)
    await sender.setLocalDescription(await sender.createOffer())
    status, answer, _ = await client.post("/whip", network.offer(sender.localDescription.sdp))
    assert status == 201, answer
    answer = await asyncio.to_thread(network.answer, answer)
    await sender.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await until(lambda: sender.connectionState == "connected", "no connection")
    return sender


@pytest.mark.parametrize(
    "faults",
    [Faults(loss=0.1), Faults(delay_ms=150, jitter_ms=50), Faults(delay_ms=50, jitter_ms=30)],
)
def test_pictures_go_on_through_loss_and_jitter(faults: Faults) -> None:
    async def program() -> None:
        clip = Clip((320, 240), fps=15)
        async with published(clip) as (network, _, numbers):
            await until(lambda: len(numbers) > 10)
            network.faults = faults
            begun, count = clip.sent, len(numbers)
            await until(lambda: clip.sent > begun + 90)
            assert len(numbers) - count > 60
            assert numbers == sorted(numbers)

    run(program())


def test_after_an_outage_the_newest_picture_comes_and_none_of_before() -> None:
    async def program() -> None:
        clip = Clip((320, 240), fps=15)
        async with published(clip) as (network, _, numbers):
            await until(lambda: len(numbers) > 10)
            network.faults = Faults(cut=True)
            begun = clip.sent
            await until(lambda: clip.sent > begun + 60)
            count, back = len(numbers), clip.sent
            network.faults = Faults()
            await until(lambda: len(numbers) > count + 20)
            assert numbers[count] >= back - 15, "a picture of more than a second ago"

    run(program())


def test_pictures_of_a_long_queue_are_not_shown_unless_it_stays() -> None:
    async def program() -> None:
        clip = Clip((640, 480), fps=15)
        async with published(clip) as (_, receiver, numbers):
            await until(lambda: len(numbers) > 30)
            decode = receiver._decode

            def late(payload_type: int, frame: Any) -> None:
                receiver.estimate.late_ms = 1500.0
                decode(payload_type, frame)

            receiver._decode = late
            count = len(numbers)
            begun = clip.sent
            await until(lambda: clip.sent > begun + 30)
            assert len(numbers) - count < 15, "they were shown"
            await until(lambda: len(numbers) > count + 20, "a longer way is no fault")

    run(program())


def test_sound_of_a_long_queue_is_not_heard_unless_it_stays() -> None:
    async def program() -> None:
        async with published(Clip((320, 240))) as (_, receiver, numbers):
            await until(lambda: len(numbers) > 5)
            for late_ms, late in ((SOUND_LATE_MS - 1, False), (SOUND_LATE_MS, True)):
                receiver.estimate.late_ms = late_ms
                assert receiver.sound_is_late() == late
            receiver._fresh_sound_s -= LATE_MOST_S
            assert not receiver.sound_is_late(), "a longer way is no fault"

    run(program())


class Attack(Clip):
    """Sends some true pictures, then key frames that claim to be huge, then true ones again."""

    def __init__(self, key: bytes, attacks: int) -> None:
        super().__init__((320, 240))
        self.key, self.attacks = key, attacks

    async def recv(self) -> Any:
        frame: Any = await super().recv()
        if not 20 <= self.sent < 20 + self.attacks:
            return frame
        packet = av.Packet(self.key)
        packet.pts, packet.time_base = frame.pts, frame.time_base
        return packet


def huge_key_frame() -> bytes:
    """A VP8 key frame whose header says 8192x8192 (RFC 6386, 9.1)."""
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.options = Fraction(1, 30), {"deadline": "realtime"}
    frame = av.VideoFrame.from_ndarray(backdrop((320, 240)), format="rgb24")
    frame.pts = 0
    (packet, *_) = [*encoder.encode(frame), *encoder.encode(None)]
    data = bytearray(bytes(packet))
    data[6:10] = struct.pack("<HH", 8192, 8192)
    return bytes(data)


def test_too_large_pictures_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    refused, decoded = list[str](), list[int]()
    decode = VideoReceiver._decode

    def note(self: VideoReceiver, payload_type: int, frame: Any) -> None:
        queue = self._RTCRtpReceiver__decoder_queue  # type: ignore[attr-defined]
        before = queue.unfinished_tasks
        decode(self, payload_type, frame)
        refused.append(self.refused)
        if self.refused and queue.unfinished_tasks != before:
            decoded.append(1)

    monkeypatch.setattr(VideoReceiver, "_decode", note)

    async def program() -> None:
        async with relay() as client:
            clip = Attack(huge_key_frame(), 20)
            sender = publisher(clip)
            await client.begin(sender, "/whip")
            _, numbers = received(client)
            await until(lambda: any("8192x8192" in one for one in refused), "they were taken")
            await until(lambda: any(number > 45 for number in numbers), "the call did not go on")
            assert not decoded
            await sender.close()

    run(program())


def test_the_parts_of_aiortc_that_the_receiver_replaces_are_there() -> None:
    """Where this fails, a new aiortc has changed: look whether it still lacks what we add."""
    source = inspect.getsource(RTCRtpReceiver)
    for part in (
        "self.__jitter_buffer.add(packet)",
        "self.__nack_generator.add(packet)",
        "self.__remote_bitrate_estimator.add(",
        "self.__decoder_queue.put((codec, encoded_frame))",
        "self.__timestamp_mapper.map(",
        "self.__codecs[codec.payloadType] = codec",
        "self.__decoder_thread = None",
    ):
        assert part in source, part
    receiving: Any = aiortc.rtcrtpreceiver
    sending: Any = aiortc.rtcrtpsender
    # aiortc's own generator says nothing of a packet that stays away; once it does, ours may go.
    assert not hasattr(receiving.NackGenerator, "due")
    assert sending.RTP_HISTORY_SIZE == 128
    assert len(inspect.signature(receiving.JitterBuffer.add).parameters) == 2


def test_aiortc_s_receiver_can_be_put_in_its_place_to_compare() -> None:
    """As `tests.network_faults` does."""

    async def program() -> None:
        with plain_receiver():
            one = make_peer(RelayOptions())
            receiver = one.addTransceiver("video").receiver
        assert type(receiver) is RTCRtpReceiver
        await one.close()

    run(program())
