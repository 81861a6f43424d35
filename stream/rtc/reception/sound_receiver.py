"""SoundReceiver: aiortc's receiver, with sound that comes out as soon as it is there.

aiortc (1.16) keeps four packets back, 80 ms at each receiver; and after a lost one it waits until
16 are there and then gives out one for each that comes, so that sound stays a third of a second
late for the rest of the call. It replaces an innard, which `tests/stream/rtc/reception` watches.
"""

from __future__ import annotations

import time
from typing import Any

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket

from stream.rtc.reception.frame_buffer import Unwrapper

HOLD_S = 0.1
"""A missing packet is waited for so long; packets overtake each other by less."""
KEPT = 100


class SoundBuffer:
    """Packets in any order in, in order out. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._unwrap = Unwrapper()
        self._waiting: dict[int, tuple[RtpPacket, float]] = {}
        self._next: int | None = None

    def add(self, packet: RtpPacket, now_s: float) -> list[RtpPacket]:
        """Take one; returns all whose turn it is now."""
        number = self._unwrap(packet.sequence_number)
        if self._next is None:
            self._next = number
        if number >= self._next:
            self._waiting.setdefault(number, (packet, now_s))
        out = []
        while self._waiting:
            first = min(self._waiting)
            since_s = min(came_s for _, came_s in self._waiting.values())
            if first != self._next and now_s - since_s < HOLD_S and len(self._waiting) < KEPT:
                break
            out.append(self._waiting.pop(first)[0])
            self._next = first + 1
        return out


class _Inlet:
    """Stands where aiortc has its jitter buffer; the packets are kept for the receiver."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []

    def add(self, packet: RtpPacket) -> Any:
        """As the jitter buffer's: no PLI, no frame."""
        self.packets.append(packet)
        return False, None


class SoundReceiver(RTCRtpReceiver):
    """Receives one sound."""

    def __init__(self, transport: Any) -> None:
        super().__init__("audio", transport)
        self._inlet, self._buffer = _Inlet(), SoundBuffer()
        self._RTCRtpReceiver__jitter_buffer = self._inlet

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        await super()._handle_rtp_packet(packet, arrival_time_ms)
        taken, self._inlet.packets = self._inlet.packets, []
        now_s = time.monotonic()
        for one in (found for packet in taken for found in self._buffer.add(packet, now_s)):
            self._decode(one)

    def _decode(self, packet: RtpPacket) -> None:
        if self._RTCRtpReceiver__decoder_thread is None:  # type: ignore[attr-defined]
            return
        codec = self._RTCRtpReceiver__codecs[packet.payload_type]  # type: ignore[attr-defined]
        mapper = self._RTCRtpReceiver__timestamp_mapper  # type: ignore[attr-defined]
        data: bytes = packet._data  # type: ignore[attr-defined]
        frame = JitterFrame(data=data, timestamp=mapper.map(packet.timestamp))
        self._RTCRtpReceiver__decoder_queue.put((codec, frame))  # type: ignore[attr-defined]
