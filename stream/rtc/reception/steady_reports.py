"""SteadyReports: what belongs together, told to receivers without the delay of the moment.

A receiver takes from reports (SR) which sound belongs to which picture. aiortc (1.16) says of the
last packet that it was captured when it was sent. What came late, through a queue on its way to the
relay, counts as captured late then, and browsers, which look at the last 20 reports, hold pictures
back for as long (Chromium 156: up to 2.3 s, half a minute long). Here it is the least delay of late
that counts, as if nothing had waited.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import RtcpSrPacket

LEAST_OF_S = 60.0
"""The least delay of so long is that of what did not wait."""
OTHER_CLOCK_S = 8.0
"""A delay that changes by more is another source's clock."""
_CYCLE = 1 << 32


class SteadyClock:
    """When what is sent was captured, as if nothing had waited on its way.

    Args: clock_hz: of the stream's RTP timestamps.
    """

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._last: tuple[float, int] | None = None
        self._delay_s = 0.0
        """Of what was sent last, with a constant that nobody knows."""
        self._delays: deque[tuple[float, float]] = deque()

    def waited_s(self, timestamp: int, sent_s: float) -> float:
        """How much later what was sent last was than the fastest of late, s.

        Args: timestamp: on RTP's clock, 32 bits. sent_s: when; seconds of any steady clock.
        """
        if self._last is not None:
            last_s, last = self._last
            step = (timestamp - last + _CYCLE // 2) % _CYCLE - _CYCLE // 2
            change_s = sent_s - last_s - step / self._clock_hz
            if abs(change_s) > OTHER_CLOCK_S:
                self._delays.clear()
            self._delay_s += change_s
        self._last = sent_s, timestamp
        self._delays.append((sent_s, self._delay_s))
        while self._delays[0][0] < sent_s - LEAST_OF_S:
            self._delays.popleft()
        return self._delay_s - min(delay_s for _, delay_s in self._delays)


class SteadyReports(RTCRtpSender):
    """A sender with such reports; they name the time of the last packet's capture."""

    _clock: SteadyClock | None = None

    async def send(self, parameters: Any) -> None:
        """As aiortc's."""
        if self._clock is None:
            self._clock = SteadyClock(parameters.codecs[0].clockRate)
        await super().send(parameters)

    async def _send_rtcp(self, packets: list[Any]) -> None:
        for one in packets:
            if isinstance(one, RtcpSrPacket) and one.sender_info.packet_count and self._clock:
                self._steady(one.sender_info, self._clock)
        await super()._send_rtcp(packets)

    def _steady(self, told: Any, clock: SteadyClock) -> None:
        waited_s = clock.waited_s(told.rtp_timestamp, told.ntp_timestamp / _CYCLE)
        told.ntp_timestamp -= round(waited_s * _CYCLE)
        # aiortc measures round trips by it.
        self._RTCRtpSender__lsr = told.ntp_timestamp >> 16 & 0xFFFFFFFF
