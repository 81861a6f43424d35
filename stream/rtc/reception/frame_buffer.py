"""FrameBuffer: RTP packets of a video stream → its frames, in order, as soon as each is complete.

aiortc's jitter buffer (1.16) gives out one frame for each packet, so a backlog never drains; it
holds every frame until the next begins; and it waits for a lost packet until 128 more are there.
Here all that is complete comes out at once, and after `HOLD_S` the newest key frame goes on.
"""

from __future__ import annotations

from typing import NamedTuple

from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from stream.rtc.reception.picture_header import begins_key_frame, begins_picture

HOLD_S = 0.4
"""A missing packet is waited for so long; then the stream goes on with a key frame."""
ASK_S, ASK_AGAIN_S = 0.5, 1.0
"""A key frame is asked for (PLI) so often, and again when a part of one has come."""
LATE_S, CLOCK_HZ = 1.0, 90_000
"""Pictures so much older than the newest one are not waited for."""
KEPT_PACKETS = 2048
"""More are not kept; at 4 Mbit/s these are 5 s."""
_CYCLE = 1 << 16


class Taken(NamedTuple):
    """What a buffer gives out."""

    frames: list[tuple[int, JitterFrame]]
    """Payload type and data."""
    ask: bool
    """Whether the sender should be asked for a key frame."""


class Unwrapper:
    """16-bit sequence numbers → numbers that never wrap."""

    def __init__(self) -> None:
        self._last: int | None = None

    def __call__(self, number: int) -> int:
        if self._last is None:
            self._last = number
            return number
        step = (number - self._last + _CYCLE // 2) % _CYCLE - _CYCLE // 2
        found = self._last + step
        self._last = max(self._last, found)
        return found


class FrameBuffer:
    """Packets in any order in; frames in order out. Times are seconds of any steady clock.

    Args: codecs: payload type → "VP8" or "H264".
    """

    def __init__(self, codecs: dict[int, str]) -> None:
        self._codecs = codecs
        self._packets: dict[int, RtpPacket] = {}
        self._arrived: dict[int, float] = {}
        self._unwrap = Unwrapper()
        self.next: int | None = None
        """The first packet that has not been given out (unwrapped)."""
        self._key_wanted = True
        self._asked_s = float("-inf")
        self._asking = False
        self._shown: int | None = None
        """Timestamp of the last picture that was given out."""

    def add(self, packet: RtpPacket, now_s: float) -> int:
        """Keep a packet, its payload's data in `_data`; returns its unwrapped number."""
        number = self._unwrap(packet.sequence_number)
        if self.next is None:
            self.next = number
        if number >= self.next and number not in self._packets:
            self._packets[number] = packet
            self._arrived[number] = now_s
        while len(self._packets) > KEPT_PACKETS:
            self._drop(min(self._packets))
            self._key_wanted = True
        return number

    def take(self, now_s: float) -> Taken:
        """All frames that can be shown now."""
        frames: list[tuple[int, JitterFrame]] = []
        while True:
            if self._key_wanted and not self._go_to_key_frame():
                break
            frame = self._first()
            if frame is not None:
                frames.append(frame)
                continue
            if not self._stuck(now_s):
                break
            self._key_wanted = True
        return Taken(frames, self._must_ask(now_s))

    def refuse(self) -> None:
        """The last frame could not be used: go on with a key frame."""
        self._key_wanted = True

    def _first(self) -> tuple[int, JitterFrame] | None:
        """The frame at `next`, when it is complete."""
        while self.next in self._packets and not self._packets[self.next]._data:  # type: ignore[attr-defined]
            self._drop(self.next)  # padding
            self.next += 1
        end = self._end(self.next)
        if end is None or self.next is None:
            return None
        packets = [self._packets[number] for number in range(self.next, end)]
        for number in range(self.next, end):
            self._drop(number)
        self.next, self._shown = end, packets[0].timestamp
        data = b"".join(one._data for one in packets)  # type: ignore[attr-defined]
        return packets[0].payload_type, JitterFrame(data=data, timestamp=packets[0].timestamp)

    def _end(self, first: int | None) -> int | None:
        """Behind the frame that begins there; None while something of it is missing."""
        if first is None or first not in self._packets:
            return None
        number, timestamp = first, self._packets[first].timestamp
        while number in self._packets:
            packet = self._packets[number]
            if packet.timestamp != timestamp:
                return number
            if packet.marker:
                return number + 1
            number += 1
        return None

    def _stuck(self, now_s: float) -> bool:
        """Whether something is missing, and others behind it have waited for long enough.

        A large picture on a slow line only takes long: nothing is missing before its last packet.
        """
        missing = self.next or 0
        while missing in self._packets:
            missing += 1
        behind = [time for number, time in self._arrived.items() if number > missing]
        if not behind:
            return False
        newest = self._packets[max(self._packets)].timestamp
        late_s = ((newest - self._shown) % (1 << 32)) / CLOCK_HZ if self._shown is not None else 0.0
        # What was sent during an outage is of no use, even if it can be had again.
        return now_s - min(behind) > HOLD_S or LATE_S < late_s < 1e4

    def _go_to_key_frame(self) -> bool:
        """Give up all that lies before the newest complete key frame; False: there is none."""
        for number in sorted(self._packets, reverse=True):
            if self._is_key(number) and self._end(number) is not None:
                for old in [one for one in self._packets if one < number]:
                    self._drop(old)
                self.next = number
                self._key_wanted = False
                return True
        # A picture that needs another is of no use; only a key frame may still become complete.
        keys = [number for number in self._packets if self._is_key(number)]
        first = min(keys, default=max(self._packets, default=0) + 1)
        for old in [one for one in self._packets if one < first]:
            self._drop(old)
        if keys:
            self.next = first
        elif self.next is not None:
            self.next = max(self.next, first)
        return False

    def _is_key(self, number: int) -> bool:
        packet, before = self._packets[number], self._packets.get(number - 1)
        codec = self._codecs.get(packet.payload_type, "")
        begins = begins_picture(codec, packet) or before is None or bool(before.marker)
        return begins and begins_key_frame(codec, packet)

    def _must_ask(self, now_s: float) -> bool:
        if not self._key_wanted or self.next is None:
            return False
        every_s = ASK_S
        if self._packets:
            # While a key frame comes in, another would only make both late.
            every_s = ASK_AGAIN_S
            newest_s = max(self._arrived.values())
            if self._asking and now_s - newest_s < ASK_AGAIN_S and not self._stuck(now_s):
                return False
        if now_s - self._asked_s < every_s:
            return False
        self._asked_s, self._asking = now_s, True
        return True

    def _drop(self, number: int) -> None:
        del self._packets[number]
        del self._arrived[number]
