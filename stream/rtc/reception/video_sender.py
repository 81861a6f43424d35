"""VideoSender: aiortc's sender, which sends nothing again that nobody should see any more.

After an outage a receiver asks for all that it missed. aiortc (1.16) sends all that it still has;
here what is older than a second is answered with a key frame. An encoder that refuses a picture
(libvpx does where time goes back) ends aiortc's sender, and with it the picture of the whole call.
aiortc makes a new encoder, which begins with a key frame, for each tenth by which the receiver's
estimate changes: on a slow line key frames take what is left of it.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import aiortc.rtcrtpsender
from aiortc import RTCRtpSender
from av.error import FFmpegError

OLD = 90_000
"""A second, in units of RTP's clock for pictures."""
UP, UP_S = 1.3, 2.0
"""An encoder gets more bits when there are so many times as many, at most so often."""
DOWN, DOWN_S = 0.8, 0.5
"""And fewer when there are less than this part, at most so often."""
_CYCLE = 1 << 32
_log = logging.getLogger("closeup.relay")


class SteadyRate:
    """The bits a second of an encoder, in few steps."""

    def __init__(self) -> None:
        self._changed_s = float("-inf")

    def choose(self, used: int, offered: int, now_s: float) -> int:
        """What the encoder gets from now on.

        Args: used: bits a second that it gets now. offered: what the receiver can take. now_s: of
              any steady clock.
        """
        passed_s = now_s - self._changed_s
        lower = offered < DOWN * used and passed_s >= DOWN_S
        higher = offered > UP * used and passed_s >= UP_S
        if not (lower or higher):
            return used
        self._changed_s = now_s
        return offered


class VideoSender(RTCRtpSender):
    """Sends one video stream."""

    def __init__(self, track_or_kind: Any, transport: Any) -> None:
        super().__init__(track_or_kind, transport)
        self._rate = SteadyRate()

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        encoder: Any = self._RTCRtpSender__encoder
        used = getattr(encoder, "target_bitrate", None)
        await super()._handle_rtcp_packet(packet)
        if used is not None and encoder.target_bitrate != used:
            offered = encoder.target_bitrate
            encoder.target_bitrate = self._rate.choose(used, offered, time.monotonic())

    async def _next_encoded_frame(self, codec: Any) -> Any:
        try:
            return await super()._next_encoded_frame(codec)
        except FFmpegError as error:
            _log.warning("a picture cannot be encoded (%s)", error.strerror)
            self._RTCRtpSender__encoder = (
                None  # the next one gets a new encoder, and is a key frame
            )
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
