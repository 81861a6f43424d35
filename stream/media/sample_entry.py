"""Sample entry: what an mp4 says of its pictures and FFmpeg does not pass on.

FFmpeg writes stereo and 360° video twice, in Google's boxes (Spherical Video V2: `st3d`, `sv3d`)
and in Apple's (`vexu`), of which the latter leave out how two views are packed and where 360° video
looks to. It reads Apple's alone where both are there.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from stream.media.mp4_boxes import Box, content, only, track

FIXED_BYTES = 8 + 8 + 78
"""Before the boxes in it: of `stsd`, then of the entry's own header, then its fields
(ISO/IEC 14496-12, 8.5.2 and 12.1.3)."""
STEREO = {1: 2, 2: 1}
"""How two views are packed: `st3d`'s number → FFmpeg's (AVStereo3DType)."""
_STEREO3D, _SPHERICAL = struct.Struct("=2i"), struct.Struct("=4i")
"""How FFmpeg's AVStereo3D and AVSphericalMapping begin: the way and its flags; the projection, yaw,
pitch and roll."""
_POSE = struct.Struct(">3i")


def sides_in_entry(path: Path, track_id: int) -> dict[str, bytes]:
    """How two views are packed, and the angles of 360° video, as far as a file says so.

    Args:    path: of any recording. track_id: of the pictures, by its number in an mp4.
    Returns: "STEREO3D": as the side data begins; "POSE": yaw, pitch and roll, degrees / 65536, for
             `turned`.
    """
    try:
        with path.open("rb") as file:
            moov = only(file, Box(0, path.stat().st_size), b"moov")
            pictures = None if moov is None else track(file, moov, track_id)
            entry = only(file, pictures, b"mdia", b"minf", b"stbl", b"stsd")
            if entry is None:
                return {}
            return _told(file, Box(entry.begin + FIXED_BYTES, entry.end))
    except (OSError, struct.error):
        return {}


def _told(file: BinaryIO, entry: Box) -> dict[str, bytes]:
    sides = {}
    stereo = content(file, only(file, entry, b"st3d"), 5)
    if stereo is not None and stereo[4] in STEREO:
        sides["STEREO3D"] = _STEREO3D.pack(STEREO[stereo[4]], 0)
    pose = content(file, only(file, entry, b"sv3d", b"proj", b"prhd"), 4 + _POSE.size)
    if pose is not None:
        sides["POSE"] = struct.pack("=3i", *_POSE.unpack_from(pose, 4))
    return sides


def completed(sides: dict[str, bytes], entry: dict[str, bytes]) -> dict[str, bytes]:
    """Side data as FFmpeg gives it, with what the sample entry says in its place.

    Args: entry: see `sides_in_entry`.
    """
    made = dict(sides)
    if "STEREO3D" in entry:
        made["STEREO3D"] = entry["STEREO3D"]
    mapping = sides.get("SPHERICAL", b"")
    if "POSE" in entry and len(mapping) >= _SPHERICAL.size:
        made["SPHERICAL"] = mapping[:4] + entry["POSE"] + mapping[_SPHERICAL.size :]
    return made
