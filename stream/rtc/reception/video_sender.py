"""VideoSender: aiortc's sender, which sends nothing again that nobody should see any more.

After an outage a receiver asks for all that it missed. aiortc (1.16) sends all that it still has;
here what is older than a second is answered with a key frame. An encoder that refuses a picture
(libvpx does where time goes back) ends aiortc's sender, and with it the picture of the whole call.
"""

from __future__ import annotations

import logging
from typing import Any

import aiortc.rtcrtpsender
from aiortc import RTCRtpSender
from av.error import FFmpegError

OLD = 90_000
"""A second, in units of RTP's clock for pictures."""
_CYCLE = 1 << 32
_log = logging.getLogger("closeup.relay")


class VideoSender(RTCRtpSender):
    """Sends one video stream."""

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
