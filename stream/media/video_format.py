"""VideoFormat: what the pictures of a recording are, so that others of the same kind can be
written."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stream.image.resample import Rect, Size
from stream.media.chroma import PLACES, UNSPECIFIED, is_halved, place_of
from stream.media.colour import Colour, colour_of
from stream.media.pyav import exact, side_data
from stream.media.tracks import is_dolby_vision
from stream.media.transparency import is_transparent

CHROMATICITY_STEPS = 50_000
LUMINANCE_STEPS = 10_000
"""Of mastering display metadata, per unit and per cd/m² (SMPTE ST 2086)."""
SIDE_DATA = (
    *("DISPLAYMATRIX", "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "STEREO3D"),
    "SPHERICAL",
)
UNKEPT = {
    "SPHERICAL": "the mapping of 360° video",
    "DOVI_METADATA": "the Dolby Vision metadata",
    "DOVI_RPU_BUFFER": "the Dolby Vision metadata",
    "DOVI_CONF": "the Dolby Vision configuration",
    "DYNAMIC_HDR_PLUS": "the HDR10+ metadata",
    "A53_CC": "captions inside the pictures",
    "VIEW_ID": "the other eye's view of spatial video",
    "alpha_mode": "transparency",
}
"""Side data, and what a track says, that no encoder here is given → what people call it."""
VIEW_ID = 29
"""FFmpeg's number of the side data that names one of several views (MV-HEVC, of which one is
decoded); PyAV has no name for it."""
SLOWEST = Fraction(1, 30)
"""Pictures a second: screen recordings have one every few seconds."""
_STEREO = struct.Struct("=2i")
"""FFmpeg's AVStereo3D begins with the way and the flags; lowest bit: the right eye comes first."""
STEREO_MODES = {
    1: ("left_right", "right_left"),
    2: ("top_bottom", "bottom_top"),
    3: ("block_lr", "block_rl"),
    4: ("checkerboard_lr", "checkerboard_rl"),
    6: ("row_interleaved_lr", "row_interleaved_rl"),
    7: ("col_interleaved_lr", "col_interleaved_rl"),
}
"""FFmpeg's ways to pack two views into pictures → Matroska's, left or right eye first."""
_SPHERICAL = struct.Struct("=4i")
"""FFmpeg's AVSphericalMapping begins with the projection, then yaw, pitch and roll."""
_MASTERING = struct.Struct("=22i")
"""FFmpeg's AVMasteringDisplayMetadata: ten rationals, and whether they are set."""
_LIGHT_LEVEL = struct.Struct("=2I")


@dataclass(frozen=True)
class Turn:
    """A quarter turn or mirroring that brings a coded picture upright: transpose, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def apply(self, image: NDArray[Any]) -> NDArray[Any]:
        """(H, W, C) as coded -> upright; contiguous, the same array where nothing changes."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.flip_x:
            image = image[:, ::-1]
        if self.flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)

    def undo(self, image: NDArray[Any]) -> NDArray[Any]:
        """(H, W, C) upright -> as coded; a view."""
        if self.flip_y:
            image = image[::-1]
        if self.flip_x:
            image = image[:, ::-1]
        return image.transpose(1, 0, 2) if self.transpose else image

    def undo_rect(self, rect: Rect, size: Size) -> Rect:
        """A rectangle of an upright picture of `size` -> the same place as coded, xyxy px."""
        x0, y0, x1, y1 = rect
        if self.flip_y:
            y0, y1 = size[1] - y1, size[1] - y0
        if self.flip_x:
            x0, x1 = size[0] - x1, size[0] - x0
        return (y0, x0, y1, x1) if self.transpose else (x0, y0, x1, y1)

    def turned(self, size: Size) -> Size:
        """(width, height) as coded <-> upright."""
        return (size[1], size[0]) if self.transpose else size


@dataclass(frozen=True)
class Light:
    """Static HDR metadata: the display it was mastered on, and the brightest there is."""

    mastering: tuple[int, ...] | None
    """Red, green, blue and white, x and y in 1/50000; then least and most light, 1/10000 cd/m²."""
    levels: tuple[int, int] | None
    """MaxCLL and MaxFALL, cd/m² (CTA-861.3)."""


@dataclass(frozen=True)
class VideoFormat:
    """Of the pictures as they are coded, before they are turned upright."""

    size: Size
    """(width, height) px."""
    format: str
    """FFmpeg's name of the pixel format."""
    colour: Colour
    """What the numbers mean; assumed where the recording is silent."""
    tags: tuple[int, int, int, int]
    """What it says itself: matrix, primaries, transfer (ITU-T H.273), range (1 limited, 2 full)."""
    turn: Turn = Turn()
    display_matrix: tuple[int, ...] | None = None
    """Nine numbers, as in the side data."""
    pixel_aspect: Fraction | None = None
    """Width of a pixel by its height."""
    light: Light | None = None
    stereo: str | None = None
    """How two views are packed into a picture, in Matroska's words."""
    mapping: tuple[int, ...] | None = None
    """Of 360° video: FFmpeg's number of the projection; yaw, pitch and roll in degrees / 65536."""
    interlaced: bool = False
    chroma: str = PLACES[0]
    """Where the colour samples lie, of 4:2:0: see `stream.media.chroma`."""
    unkept: tuple[str, ...] = ()
    """What lies beside the pictures and is not written with others, in words."""

    @classmethod
    def of(
        cls,
        frame: av.VideoFrame,
        pixel_aspect: Fraction | None = None,
        *,
        sides: Mapping[str, bytes] | None = None,
        interlaced: bool = False,
    ) -> VideoFormat:
        """Read it off a decoded picture.

        Args: sides, interlaced: what the picture has lost on its way, see `side_data_of`.
        """
        sides = side_data_of(frame) if sides is None else sides
        matrix = sides.get("DISPLAYMATRIX")
        numbers = None if matrix is None else np.frombuffer(matrix, np.int32)
        tags = (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
        return cls(
            size=(frame.width, frame.height),
            format=frame.format.name,
            colour=colour_of(frame),
            tags=(int(tags[0]), int(tags[1]), int(tags[2]), int(tags[3])),
            turn=Turn() if numbers is None else _turn(numbers),
            display_matrix=None if numbers is None else tuple(int(n) for n in numbers),
            pixel_aspect=pixel_aspect,
            light=_light(sides),
            stereo=stereo_mode(sides.get("STEREO3D", b"")),
            mapping=_mapping(sides.get("SPHERICAL", b"")),
            interlaced=interlaced or frame.interlaced_frame,
            chroma=place_of(frame) if is_halved(frame.format.name) else UNSPECIFIED,
            unkept=tuple(dict.fromkeys(UNKEPT[name] for name in UNKEPT if name in sides)),
        )


def _turn(matrix: NDArray[np.int32]) -> Turn:
    """Read the display matrix: x' = a x + c y, y' = b x + d y, in rows (a b u), (c d v), …"""
    a, b, _, c, d, *_ = (int(number) for number in matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, flip_x=a < 0, flip_y=d < 0)
    return Turn(True, flip_x=c < 0, flip_y=b < 0)


def stereo_mode(data: bytes) -> str | None:
    """How two views are packed, in Matroska's words, by the side data; None where it is unsaid."""
    if len(data) < _STEREO.size:
        return None
    way, flags = _STEREO.unpack_from(data)
    return STEREO_MODES[way][flags & 1] if way in STEREO_MODES else None


def _mapping(data: bytes) -> tuple[int, ...] | None:
    return _SPHERICAL.unpack_from(data) if len(data) >= _SPHERICAL.size else None


def _light(sides: Mapping[str, bytes]) -> Light | None:
    mastering, levels = None, None
    data = sides.get("MASTERING_DISPLAY_METADATA")
    if data is not None and len(data) >= _MASTERING.size:
        *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(data)
        ratios = [n / d if d else 0.0 for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
        if has_primaries and has_luminance:
            steps = [CHROMATICITY_STEPS] * 8 + [LUMINANCE_STEPS] * 2
            pairs = zip(ratios, steps, strict=True)
            mastering = tuple(round(ratio * step) for ratio, step in pairs)
    data = sides.get("CONTENT_LIGHT_LEVEL")
    if data is not None and len(data) >= _LIGHT_LEVEL.size:
        most, average = _LIGHT_LEVEL.unpack_from(data)
        # 0 of both says that they are unknown (CTA-861.3).
        levels = (int(most), int(average)) if most or average else None
    return Light(mastering, levels) if mastering or levels else None


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes]:
    """What lies beside a decoded picture and belongs to its format, by FFmpeg's name."""
    found, sides = {}, side_data(frame)
    for name in SIDE_DATA:
        data = sides.get(name)
        if isinstance(data, SideData):
            found[name] = bytes(data)
    for name in UNKEPT.keys() - found.keys():
        data = sides.get(name)
        if isinstance(data, SideData):
            # That it is there is all that is asked of it.
            found[name] = b""
    if any(sides[number].type.value == VIEW_ID for number in range(len(sides))):
        found["VIEW_ID"] = b""
    return found


def side_data_of_track(pictures: VideoStream, format_: str) -> dict[str, bytes]:
    """What a track says beside its decoded pictures, of a pixel format by FFmpeg's name: VP8 and
    VP9 have transparency in pictures of their own, which FFmpeg's own decoders leave out; Dolby
    Vision is configured in the container."""
    told = {key.lower(): text for key, text in pictures.metadata.items()}
    sides = {}
    if told.get("alpha_mode") == "1" and not is_transparent(format_):
        sides["alpha_mode"] = b""
    if is_dolby_vision(pictures):
        sides["DOVI_CONF"] = b""
    return sides


def scaled_matrix(
    matrix: tuple[int, ...], before: tuple[int, int], after: tuple[int, int]
) -> tuple[int, ...]:
    """A display matrix for pictures of another size: only its shift depends on it.

    Args: matrix: nine numbers, row by row, as in the file. before, after: (width, height), px.
    """
    a, b, u, c, d, v, x, y, w = matrix
    return a, b, u, c, d, v, x * after[0] // before[0], y * after[1] // before[1], w


def plausible_rate(stream: VideoStream) -> Fraction:
    """Pictures a second on average; 25 where the file says nothing likely."""
    # Browsers write recordings that announce 1000 frames a second, or none.
    for rate in (exact(stream.average_rate), exact(stream.guessed_rate)):
        if rate is not None and SLOWEST <= rate <= 240:
            return rate
    return Fraction(25)
