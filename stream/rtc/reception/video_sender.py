"""VideoSender: aiortc's sender, which sends nothing again that nobody should see any more.

After an outage a receiver asks for all that it missed. aiortc (1.16) sends all that it still has;
here what is older than a second is answered with a key frame.
"""

from __future__ import annotations

from typing import Any

import aiortc.rtcrtpsender
from aiortc import RTCRtpSender

OLD = 90_000
"""A second, in units of RTP's clock for pictures."""
_CYCLE = 1 << 32


class VideoSender(RTCRtpSender):
    """Sends one video stream."""

    async def _retransmit(self, sequence_number: int) -> None:
        history = self._RTCRtpSender__rtp_history  # type: ignore[attr-defined]
        module: Any = aiortc.rtcrtpsender  # where `media_settings` sets it
        packet = history.get(sequence_number % module.RTP_HISTORY_SIZE)
        newest: int = self._RTCRtpSender__rtp_timestamp  # type: ignore[attr-defined]
        if packet is not None and OLD < (newest - packet.timestamp) % _CYCLE < _CYCLE // 2:
            self._send_keyframe()
            return
        await super()._retransmit(sequence_number)
