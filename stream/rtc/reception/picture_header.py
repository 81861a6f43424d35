"""PictureHeader: what the first bytes of a picture tell, before anything is decoded.

Sources: RFC 7741 (VP8 payload), RFC 6386 9.1 (VP8 frame header), RFC 6184 (H.264 payload), ITU-T
H.264 7.3.2.1 (sequence parameter set).
"""

from __future__ import annotations

import re

from aiortc.rtp import RtpPacket

_IDR, _SPS = 5, 7
_START = re.compile(rb"\x00\x00\x01")
_HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128)


def begins_picture(codec: str, packet: RtpPacket) -> bool:
    """Whether a packet is surely the first of a picture."""
    if codec == "VP8":
        head = packet.payload[:1]
        return bool(head) and head[0] & 0x10 != 0 and head[0] & 0x0F == 0
    return _SPS in _kinds(packet._data)  # type: ignore[attr-defined]


def begins_key_frame(codec: str, packet: RtpPacket) -> bool:
    """Whether a picture that begins with this packet needs no other one."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    if codec == "VP8":
        return begins_picture(codec, packet) and data[:1] != b"" and data[0] & 1 == 0
    kinds = _kinds(data)
    return _SPS in kinds or _IDR in kinds


def picture_size(codec: str, data: bytes) -> tuple[int, int] | None:
    """Width and height (px) that a picture's data announces; None: it announces none.

    Args: data: a whole picture, as a decoder gets it.
    """
    if codec == "VP8":
        if len(data) < 10 or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
            return None
        return (data[6] | data[7] << 8) & 0x3FFF, (data[8] | data[9] << 8) & 0x3FFF
    sizes = [_sps_size(unit[1:]) for unit in _units(data) if unit and unit[0] & 0x1F == _SPS]
    return max((one for one in sizes if one), key=lambda one: one[0] * one[1], default=None)


def _units(data: bytes) -> list[bytes]:
    """The NAL units of H.264 (Annex B)."""
    return [one.rstrip(b"\x00") for one in _START.split(data)[1:]]


def _kinds(data: bytes) -> set[int]:
    return {unit[0] & 0x1F for unit in _units(data) if unit}


class _Bits:
    """Reads bits and Exp-Golomb numbers. Raises IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in data[:200])
        self._place = 0

    def take(self, count: int) -> int:
        """An unsigned number of so many bits."""
        text = self._bits[self._place : self._place + count]
        if len(text) < count:
            raise IndexError
        self._place += count
        return int(text, 2) if text else 0

    def golomb(self) -> int:
        """ue(v); se(v) takes the same bits."""
        zeros = 0
        while self.take(1) == 0:
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


def _sps_size(data: bytes) -> tuple[int, int] | None:
    """Coded size, before cropping, of a sequence parameter set without its first byte."""
    bits = _Bits(data.replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.golomb()  # seq_parameter_set_id
        if profile in _HIGH_PROFILES:
            if bits.golomb() == 3:  # chroma_format_idc
                bits.take(1)
            bits.golomb(), bits.golomb(), bits.take(1)  # depths, transform bypass
            if bits.take(1):
                return None  # scaling lists: profiles that are not negotiated
        bits.golomb()  # log2_max_frame_num
        order = bits.golomb()
        if order == 0:
            bits.golomb()
        elif order == 1:
            bits.take(1), bits.golomb(), bits.golomb()
            for _ in range(bits.golomb()):
                bits.golomb()
        bits.golomb(), bits.take(1)  # reference frames, gaps
        width, height = 16 * (bits.golomb() + 1), 16 * (bits.golomb() + 1)
        return width, height if bits.take(1) else 2 * height
    except IndexError:
        return None
