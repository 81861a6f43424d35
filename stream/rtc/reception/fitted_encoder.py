"""FittedEncoder: aiortc's encoder, which on a slow network gets smaller pictures.

aiortc (1.16) encodes each picture as large as it is, and libvpx's coarsest quantizer then takes
more than the network carries. Half the width and height take about a quarter.
"""

from __future__ import annotations

from typing import Any

import av

BITS_A_PIXEL = 0.6
"""A second; with less a picture is halved (640x480: 184 kbit/s)."""
HALVINGS = 2


class FittedEncoder:
    """Has what aiortc asks of an encoder. Args: encoder: aiortc's."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.is_slow = False
        """Whether the network carries less than it did: only then pictures become smaller."""

    @property
    def target_bitrate(self) -> int:
        """Bits a second."""
        return int(self._encoder.target_bitrate)

    @target_bitrate.setter
    def target_bitrate(self, bits: int) -> None:
        self._encoder.target_bitrate = bits

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """Payloads of a picture, and its time on RTP's clock."""
        made: tuple[list[bytes], int] = self._encoder.encode(self._fitted(frame), force_keyframe)
        return made

    def pack(self, packet: Any) -> tuple[list[bytes], int]:
        """The same of one that is encoded already."""
        made: tuple[list[bytes], int] = self._encoder.pack(packet)
        return made

    def _fitted(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = frame.width, frame.height
        for _ in range(HALVINGS if self.is_slow else 0):
            if self.target_bitrate >= BITS_A_PIXEL * width * height:
                break
            width, height = max(2, width // 4 * 2), max(2, height // 4 * 2)
        if width == frame.width:
            return frame
        return frame.reformat(width=width, height=height, interpolation="AREA")
