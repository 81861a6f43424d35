"""VideoReceiver: aiortc's receiver with the parts of this package in place of its own.

It replaces three innards of aiortc (1.16), which `tests/stream/rtc/reception` watches: the jitter
buffer, the generator of NACKs and the bandwidth estimate. Each frame goes to aiortc's decoder as
soon as it is complete; too large pictures and a backlog do not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket
from av import VideoFrame

from stream.rtc.reception.bandwidth import BandwidthEstimate
from stream.rtc.reception.frame_buffer import FrameBuffer
from stream.rtc.reception.missing_packets import MissingPackets
from stream.rtc.reception.picture_header import picture_size

TICK_S = 0.02
MOST_PIXELS = 2560 * 1440
"""Of a picture that is decoded."""
WAITING_FRAMES = 15
"""More do not wait for the decoder: then it goes on with a key frame."""
LATE_MS, LATE_MOST_S = 1000.0, 8.0
"""Pictures that are so much later than the fastest are not shown, for so long at most."""
KEPT_LATE = 1000
SOUND_LATE_MS = 700.0
"""Sound that is so much later is of no use in a conversation, and who hears it would stay late:
browsers keep their buffer of sound as long as it once had to be for a minute, and hold pictures
back for it (Chromium 156: up to 2.7 s)."""
_log = logging.getLogger("closeup.relay")


class _Inlet:
    """Stands where aiortc has its jitter buffer and its NACK generator."""

    missing: tuple[int, ...] = ()

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []

    def add(self, packet: RtpPacket) -> Any:
        """As the jitter buffer's: no PLI, no frame; the packet is kept for the receiver."""
        self.packets.append(packet)
        return False, None


class _Silent:
    """As aiortc's NACK generator, which never asks: the receiver does."""

    missing: tuple[int, ...] = ()

    def add(self, packet: RtpPacket) -> bool:
        """Nothing is asked for at once."""
        return False


class VideoReceiver(RTCRtpReceiver):
    """Receives one video stream; latest wins."""

    def __init__(self, transport: Any) -> None:
        super().__init__("video", transport)
        self._inlet, self.estimate = _Inlet(), BandwidthEstimate()
        self._RTCRtpReceiver__jitter_buffer = self._inlet
        self._RTCRtpReceiver__nack_generator = _Silent()
        self._RTCRtpReceiver__remote_bitrate_estimator = self.estimate
        self._names: dict[int, str] = {}
        self._buffer = FrameBuffer(self._names)
        self._missing = MissingPackets()
        self._ssrc: int | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._late: set[int] = set()
        self._fresh_s = self._fresh_sound_s = time.monotonic()
        self.refused = ""
        """Why the last picture was not decoded; empty: it was."""

    async def receive(self, parameters: Any) -> None:
        """As aiortc's."""
        await super().receive(parameters)
        self._names |= {codec.payloadType: codec.name for codec in parameters.codecs}
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick(), name="closeup reception")

    async def stop(self) -> None:
        """As aiortc's."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        await super().stop()

    def is_late(self, frame: VideoFrame) -> bool:
        """Whether a picture came through a queue of the network and is too old to be shown.

        Ask once for each picture. Of a queue that stays they count as new: the way is longer now.
        """
        late = frame.pts in self._late
        self._late.discard(frame.pts or 0)
        return late

    def sound_is_late(self) -> bool:
        """Whether the sound that comes now, on the way of these pictures, is too old to be heard.

        As with pictures, only for a while.
        """
        now_s = time.monotonic()
        if self.estimate.late_ms < SOUND_LATE_MS:
            self._fresh_sound_s = now_s
        return self.estimate.late_ms >= SOUND_LATE_MS and (
            now_s - self._fresh_sound_s < LATE_MOST_S
        )

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        await super()._handle_rtp_packet(packet, arrival_time_ms)
        now_s = time.monotonic()
        for one in self._inlet.packets:
            self._ssrc = one.ssrc
            self._missing.add(self._buffer.add(one, now_s), now_s)
        self._inlet.packets.clear()
        await self._go_on(now_s)

    async def _go_on(self, now_s: float) -> None:
        """Decode what is complete, and ask for what is missing."""
        taken = self._buffer.take(now_s)
        for payload_type, frame in taken.frames:
            self._decode(payload_type, frame)
        if self._buffer.next is not None:
            self._missing.forget_before(self._buffer.next)
        if self._ssrc is None:
            return
        if taken.ask:
            await self._send_rtcp_pli(self._ssrc)
        if due := self._missing.due(now_s):
            await self._send_rtcp_nack(self._ssrc, [number % 65_536 for number in due])

    def _decode(self, payload_type: int, frame: JitterFrame) -> None:
        codec = self._RTCRtpReceiver__codecs[payload_type]  # type: ignore[attr-defined]
        decoding = self._RTCRtpReceiver__decoder_queue  # type: ignore[attr-defined]
        self.refused = ""
        size = picture_size(codec.name, frame.data)
        if size is not None and size[0] * size[1] > MOST_PIXELS:
            self.refused = f"a picture of {size[0]}x{size[1]} is too large"
        elif decoding.qsize() >= WAITING_FRAMES:
            self.refused = "pictures come faster than they can be decoded"
        if self.refused or self._RTCRtpReceiver__decoder_thread is None:  # type: ignore[attr-defined]
            self._buffer.refuse()
            return
        mapper = self._RTCRtpReceiver__timestamp_mapper  # type: ignore[attr-defined]
        frame.timestamp = mapper.map(frame.timestamp)
        now_s = time.monotonic()
        if self.estimate.late_ms < LATE_MS:
            self._fresh_s = now_s
        elif now_s - self._fresh_s < LATE_MOST_S and len(self._late) < KEPT_LATE:
            self._late.add(frame.timestamp)
        decoding.put((codec, frame))

    async def _tick(self) -> None:
        while True:
            due_s = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            late_ms = 1000 * (time.monotonic() - due_s)
            # Remembered for about as long as the estimate looks back.
            self.estimate.pause_ms = max(late_ms, 0.9 * self.estimate.pause_ms)
            with suppress(ConnectionError):
                await self._go_on(time.monotonic())
