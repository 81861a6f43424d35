"""VideoSender: aiortc's sender, which sends nothing again that nobody should see any more.

After an outage a receiver asks for all that it missed. aiortc (1.16) sends all that it still has;
here what is older than a second is answered with a key frame. An encoder that refuses a picture
(libvpx does where time goes back) ends aiortc's sender, and with it the picture of the whole call.
aiortc makes a new encoder, which begins with a key frame, for each tenth by which the receiver's
estimate changes: on a slow line key frames take what is left of it. `SendingRate` says when.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

import aiortc.rtcrtpsender
from aiortc.codecs import get_encoder
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from av.error import FFmpegError

from stream.rtc.reception.bandwidth import BandwidthEstimate
from stream.rtc.reception.fitted_encoder import FittedEncoder
from stream.rtc.reception.playout_delay import PlayoutDelay
from stream.rtc.reception.sending_rate import SendingRate
from stream.rtc.reception.steady_reports import SteadyClock, SteadyReports

OLD = 90_000
"""A second, in units of RTP's clock for pictures."""
KEPT_REPORTS = 16
"""Of the sender's own reports: the time of so many is kept, for those of the receiver."""
_CYCLE = 1 << 32
_log = logging.getLogger("closeup.relay")


class VideoSender(SteadyReports):
    """Sends one video stream."""

    def __init__(self, track_or_kind: Any, transport: Any) -> None:
        super().__init__(track_or_kind, transport)
        self._rate, self._playout = SendingRate(), PlayoutDelay()
        self._RTCRtpSender__rtp_header_extensions_map = self._playout
        self.way_here: BandwidthEstimate | None = None
        """Of what the same peer sends."""
        self._reported_s: dict[int, float | None] = {}
        """When each of its own reports was sent, by the middle of its NTP time (LSR)."""

    @property
    def is_slow(self) -> bool:
        """Whether the network carries less than before."""
        return self._rate.is_less_than_usual

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        now_s, encoder = time.monotonic(), self._RTCRtpSender__encoder
        used = getattr(encoder, "target_bitrate", None)
        await super()._handle_rtcp_packet(packet)
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            self._hear(packet, now_s)
        elif used is not None and (offered := self._offered(packet)) is not None:
            encoder.target_bitrate = self._rate.choose(used, offered, now_s)

    def _hear(self, packet: Any, now_s: float) -> None:
        """Round trips and loss; aiortc (1.16) takes reports on its latest own one alone, and on a
        long way none is."""
        for one in packet.reports:
            sent_s = self._reported_s.get(one.lsr)
            if one.ssrc == self._ssrc and sent_s is not None and one.dlsr:
                self._rate.heard(now_s - sent_s - one.dlsr / 65_536, one.fraction_lost / 256, now_s)

    def _offered(self, packet: Any) -> int | None:
        """What a receiver's estimate (REMB) offers this stream, bits a second."""
        if not isinstance(packet, RtcpPsfbPacket) or packet.fmt != RTCP_PSFB_APP:
            return None
        with suppress(ValueError):
            bits, streams = unpack_remb_fci(packet.fci)
            return bits if self._ssrc in streams else None
        return None

    def _steady(self, told: Any, clock: SteadyClock) -> None:
        super()._steady(told, clock)
        number = told.ntp_timestamp >> 16 & 0xFFFFFFFF
        # Without a picture since the last one which of both is meant is unknown.
        known = number not in self._reported_s
        self._reported_s[number] = time.monotonic() if known else None
        while len(self._reported_s) > KEPT_REPORTS:
            del self._reported_s[next(iter(self._reported_s))]

    async def _next_encoded_frame(self, codec: Any) -> Any:
        encoder: Any = self._RTCRtpSender__encoder  # type: ignore[has-type]
        if encoder is None:
            encoder = FittedEncoder(get_encoder(codec))
            self._RTCRtpSender__encoder = encoder
        elif (way := self.way_here) is not None:
            used, now_s = encoder.target_bitrate, time.monotonic()
            shared = self._rate.share(used, way.narrow_bits, now_s, has_queue=way.has_queue)
            if shared != used:
                encoder.target_bitrate = shared
        encoder.is_slow = self.is_slow
        self._playout.allow(holding=not self._rate.was_long(time.monotonic()))
        try:
            return await super()._next_encoded_frame(codec)
        except FFmpegError as error:
            _log.warning("a picture cannot be encoded (%s)", error.strerror)
            # The next picture gets a new encoder, and is a key frame.
            self._RTCRtpSender__encoder = None
            return None

    async def _retransmit(self, sequence_number: int) -> None:
        history = self._RTCRtpSender__rtp_history  # type: ignore[attr-defined]
        module: Any = aiortc.rtcrtpsender  # where `media_settings` sets it
        packet = history.get(sequence_number % module.RTP_HISTORY_SIZE)
        newest: int = self._RTCRtpSender__rtp_timestamp  # type: ignore[attr-defined]
        if packet is not None and OLD < (newest - packet.timestamp) % _CYCLE < _CYCLE // 2:
            self._send_keyframe()
            return
        await super()._retransmit(sequence_number)
