"""Field-coded H.264, as camcorders record it (AVCHD): every field is a picture and a packet of its
own. No encoder of FFmpeg writes it; macroblocks without any compression (I_PCM) need none."""

from __future__ import annotations

SIZE = (32, 32)
ACROSS, DOWN = SIZE[0] // 16, SIZE[1] // 32


class _Bits:
    def __init__(self) -> None:
        self.bits: list[int] = []

    def u(self, count: int, value: int) -> None:
        self.bits += [(value >> shift) & 1 for shift in reversed(range(count))]

    def ue(self, value: int) -> None:
        length = (value + 1).bit_length()
        self.u(2 * length - 1, value + 1)

    def align(self) -> None:
        self.bits += [0] * (-len(self.bits) % 8)

    def unit(self, header: int) -> bytes:
        """A NAL unit with its start code (ITU-T H.264, 7.3.1 and annex B)."""
        self.bits.append(1)
        self.align()
        raw = bytes(
            int("".join(map(str, self.bits[at : at + 8])), 2) for at in range(0, len(self.bits), 8)
        )
        escaped, zeros = bytearray(), 0
        for byte in raw:
            if zeros >= 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([header]) + bytes(escaped)


def _parameters() -> bytes:
    """Main profile, level 3, field pictures allowed, order count by output (7.3.2.1, 7.3.2.2)."""
    sps = _Bits()
    sps.u(24, 77 << 16 | 30)
    for value in (0, 0, 2, 1):  # id, log2_max_frame_num - 4, pic_order_cnt_type, num_ref_frames
        sps.ue(value)
    sps.u(1, 0)
    sps.ue(ACROSS - 1)
    sps.ue(DOWN - 1)
    sps.u(6, 0b001000)  # frame_mbs_only 0, mbaff 0, direct_8x8 1, crop 0, vui 0
    sps.bits.pop()
    pps = _Bits()
    pps.ue(0)
    pps.ue(0)
    pps.u(2, 0)
    for value in (0, 0, 0):
        pps.ue(value)
    pps.u(3, 0)
    for value in (0, 0, 0):  # se(0) is ue(0)
        pps.ue(value)
    pps.u(3, 0)
    return sps.unit(0x67) + pps.unit(0x68)


def _field(number: int, bottom: bool, luma: int) -> bytes:
    """One IDR field, or the second field of its frame, of a single grey (7.3.3)."""
    bits = _Bits()
    bits.ue(0)
    bits.ue(7)
    bits.ue(0)
    bits.u(4, 0)
    bits.u(1, 1)
    bits.u(1, int(bottom))
    if not bottom:
        bits.ue(number % 2)
        bits.u(2, 0)
    else:
        bits.u(1, 0)
    bits.ue(0)
    for _ in range(ACROSS * DOWN):
        bits.ue(25)
        bits.align()
        for _ in range(256):
            bits.u(8, luma)
        for _ in range(128):
            bits.u(8, 128)
    return bits.unit(0x61 if bottom else 0x65)


def field_coded(frames: int) -> bytes:
    """An H.264 stream of so many frames of 32x32 px, two fields each."""
    stream = b""
    for number in range(frames):
        grey = 40 + 10 * number
        stream += b"\0\0\0\1\x09\x10" + _parameters() + _field(number, False, grey)
        stream += b"\0\0\0\1\x09\x10" + _field(number, True, grey)
    return stream
