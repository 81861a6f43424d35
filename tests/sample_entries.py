"""Boxes in the sample entry of an mp4 that no encoder of FFmpeg writes by itself: 360° video and
stereo (Spherical Video V2), Dolby Vision."""

from __future__ import annotations

import struct
from pathlib import Path

PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def _box(kind: bytes, content: bytes, *, full: bool = False) -> bytes:
    content = bytes(4 * full) + content
    return struct.pack(">I", 8 + len(content)) + kind + content


def stereo(mode: int) -> bytes:
    """`st3d`. Args: mode: 0 no stereo, 1 top and bottom, 2 left and right."""
    return _box(b"st3d", bytes([mode]), full=True)


def spherical(yaw: int = 0) -> bytes:
    """`sv3d` of an equirectangular mapping. Args: yaw: degrees."""
    source = _box(b"svhd", b"test\0", full=True)
    pose = _box(b"prhd", struct.pack(">3i", yaw << 16, 0, 0), full=True)
    bounds = _box(b"equi", bytes(16), full=True)
    return _box(b"sv3d", source + _box(b"proj", pose + bounds))


def dolby_vision(profile: int, compatible: int) -> bytes:
    """`dvcC` or `dvvC`, one layer with its metadata, level 3.

    Args: profile: 4 to 10. compatible: what else shows it, 0 nothing, 4 HLG.
    """
    numbers = struct.pack(">BBHB", 1, 0, profile << 9 | 3 << 3 | 0b101, compatible << 4)
    return _box(b"dvcC" if profile <= 7 else b"dvvC", numbers + bytes(19))


def add_to_sample_entry(path: Path, *boxes: bytes) -> None:
    """Into the first sample entry of the first track of an mp4 whose `moov` comes last."""
    data, added = bytearray(path.read_bytes()), b"".join(boxes)
    start, end, parents = 0, len(data), []
    for kind in PATH:
        while data[start + 4 : start + 8] != kind:
            start += _size(data, start)
            assert start < end, f"{path} has no {kind!r}"
        parents.append(start)
        start, end = start + 8, start + _size(data, start)
    # `stsd` begins with its version and the number of entries.
    entry = start + 8
    behind = entry + _size(data, entry)
    for parent in (*parents, entry):
        struct.pack_into(">I", data, parent, _size(data, parent) + len(added))
    data[behind:behind] = added
    path.write_bytes(data)


def _size(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
