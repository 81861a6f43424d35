"""PlanarImage: a decoded picture that becomes RGB where it is read; `UprightRgb` makes them.

A tile that is converted with a margin has the very samples that it has in the whole picture:
FFmpeg's interpolation of colours looks no further than two of their samples.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from stream.frame import Floats, Image
from stream.image.detection import Region
from stream.image.lazy_image import LazyImage
from stream.media.brightness import PQ, ordinary
from stream.media.colour import Colour, to_rgb
from stream.media.planes import Layout, Samples, planes_of
from stream.media.video_format import Turn, VideoFormat

TILE_PX, MARGIN_PX = 192, 8
"""Converted at once; so much of it at each side is left out. FFmpeg prepares itself for one size,
which takes ten times as long as a tile."""
STEP_PX = TILE_PX - 2 * MARGIN_PX
MOST_TILES = 0.5
"""Where more of them are wanted, the whole picture is converted, which takes as long."""
LEFT, MIDDLE = 0.0, 0.5
"""Where a sample of colour lies: on the left column of its two, between its rows."""


class UprightRgb:
    """Makes the RGB pictures of one source from its decoded ones.

    Args: video_format: of the pictures. lazy: as `LazyImage`, where that can be done.
    """

    def __init__(self, video_format: VideoFormat, lazy: bool) -> None:
        self.colour = video_format.colour
        self._format = video_format
        self._lazy = lazy and video_format.turn == Turn() and self.colour.transfer != PQ
        self._lock = threading.Lock()
        """Pictures are read by the thread of the stages and that of the output."""
        self._whole, self._tiles = VideoReformatter(), VideoReformatter()
        self._sources: dict[str, tuple[av.VideoFrame, list[Samples]]] = {}
        """By pixel format: a picture of one tile, and its planes."""
        self._layouts: dict[str, Layout | None] = {}

    def __call__(self, decoded: av.VideoFrame) -> Image:
        """RGB uint8 (H, W, 3), upright, as an ordinary screen shows it; perhaps a `LazyImage`,
        which may be read until an output has the picture."""
        name = decoded.format.name
        if name not in self._layouts:
            self._layouts[name] = Layout.of(name)
        layout, size = self._layouts[name], (decoded.width, decoded.height)
        usual = size == self._format.size and min(size) >= TILE_PX and not any(n % 2 for n in size)
        if self._lazy and usual and layout is not None:
            return cast(Image, PlanarImage(self, decoded, layout))
        shown = ordinary(self.whole(decoded), self.colour.transfer)
        return np.asarray(self._format.turn.apply(shown), np.uint8)

    def whole(self, decoded: av.VideoFrame) -> Image:
        """All of a picture as it is coded: RGB uint8 (H, W, 3), a new array."""
        with self._lock:
            return to_rgb(self._whole, decoded, self.colour, self._format.size)

    def tile(
        self, planes: list[Samples], name: str, layout: Layout, corner: tuple[int, int]
    ) -> Image:
        """A tile of a picture: RGB uint8 (TILE_PX, TILE_PX, 3).

        Args: planes: of the picture. name: of its pixel format, which is of this layout.
              corner: top left of the tile, px, even.
        """
        with self._lock:
            if name not in self._sources:
                made = av.VideoFrame(TILE_PX, TILE_PX, name)
                self._sources[name] = made, planes_of(made, layout)
            source, targets = self._sources[name]
            x, y = corner
            for samples, target in zip(planes, targets, strict=True):
                high, wide = target.shape
                target[...] = samples[y : y + high, x : x + wide]
                x, y = corner[0] >> layout.sub_x, corner[1] >> layout.sub_y
            # Threads would wait for each other longer than they convert.
            return to_rgb(self._tiles, source, self.colour, (TILE_PX, TILE_PX), threads=1)


class PlanarImage(LazyImage):
    """One picture.

    Args: makes: of its source. decoded: planar YUV or grey. layout: of it.
    """

    def __init__(self, makes: UprightRgb, decoded: av.VideoFrame, layout: Layout) -> None:
        self._makes, self._decoded, self._layout = makes, decoded, layout
        self._planes = planes_of(decoded, layout)
        self.shape = (decoded.height, decoded.width, 3)
        self._rgb: Image | None = None
        self._made: NDArray[np.bool_] | None = None
        """(rows, columns) of tiles."""

    def __getitem__(self, key: tuple[Any, ...]) -> Image:
        """See `LazyImage`."""
        rows, columns = key[0], key[1]
        (y0, y1, down), (x0, x1, across) = (
            one.indices(length) for one, length in zip((rows, columns), self.shape[:2], strict=True)
        )
        if down != 1 or across != 1:
            return self._picked(rows, columns, key[2] if len(key) > 2 else slice(None))
        if y0 < y1 and x0 < x1:
            self._make((x0, y0, x1, y1))
        if self._rgb is None:
            self._rgb = np.empty(self.shape, np.uint8)
        return np.asarray(self._rgb[key])

    def sampled(self, region: Region, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image:
        """Args: as of `LazyImage.sampled`."""
        x0, y0, x1, y1 = region
        layout, found = self._layout, []
        black = (self._offset, self._middle, self._middle)
        for index, samples in enumerate(self._planes):
            where, part = matrix, samples[y0:y1, x0:x1]
            if index:
                half_x, half_y = layout.sub_x, layout.sub_y
                part = samples[y0 >> half_y : -(-y1 >> half_y), x0 >> half_x : -(-x1 >> half_x)]
                where = np.array(
                    [
                        _coarser(matrix[0], half_x, x0, LEFT),
                        _coarser(matrix[1], half_y, y0, MIDDLE),
                    ]
                )
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            found.append(cv2.warpAffine(part, where, size, flags=flags, borderValue=black[index]))
        return self._coloured(found)

    def _picked(self, rows: slice, columns: slice, channel: int | slice) -> Image:
        """Single pixels, with the nearest samples of colour: RGB uint8 (h, w, 3), or a channel."""
        luma, *chroma = self._planes
        high, wide = self.shape[:2]
        down = _halves(rows, high, self._layout.sub_y)
        across = _halves(columns, wide, self._layout.sub_x)
        found = [luma[rows, columns], *(samples[down][:, across] for samples in chroma)]
        return self._coloured(found, channel)

    def _make(self, box: Region) -> None:
        """Convert what is still missing of a part, xyxy px."""
        high, wide = self.shape[:2]
        if self._made is None:
            self._made = np.zeros((-(-high // STEP_PX), -(-wide // STEP_PX)), np.bool_)
        x0, y0, x1, y1 = box
        across = slice(x0 // STEP_PX, -(-x1 // STEP_PX))
        down = slice(y0 // STEP_PX, -(-y1 // STEP_PX))
        missing = np.argwhere(~self._made[down, across]) + np.array((down.start, across.start))
        if len(missing) > MOST_TILES * self._made.size:
            self._rgb = self._makes.whole(self._decoded)
            self._made[...] = True
            return
        if self._rgb is None:
            # Memory that nobody writes to costs nothing.
            self._rgb = np.empty(self.shape, np.uint8)
        name = self._decoded.format.name
        for row, column in missing.tolist():
            top, left = row * STEP_PX, column * STEP_PX
            corner = (_corner(left, wide), _corner(top, high))
            tile = self._makes.tile(self._planes, name, self._layout, corner)
            place = self._rgb[top : top + STEP_PX, left : left + STEP_PX]
            y, x = top - corner[1], left - corner[0]
            place[...] = tile[y : y + place.shape[0], x : x + place.shape[1]]
            self._made[row, column] = True

    @property
    def _offset(self) -> int:
        """Luma of black."""
        return 0 if self._makes.colour.full_range else 16 << (self._layout.depth - 8)

    @property
    def _middle(self) -> int:
        """Chroma of grey."""
        return 1 << (self._layout.depth - 1)

    def _coloured(self, planes: list[Any], channel: int | slice = slice(None)) -> Image:
        """Samples of the same pixels as RGB: uint8 (h, w, 3), or (h, w) of one channel."""
        matrix = to_levels(self._makes.colour, self._layout)
        if len(planes) == 1:
            # As if both others were grey.
            grey = self._middle * matrix[:, 1:3].sum(axis=1) + matrix[:, 3]
            matrix = np.stack([matrix[:, 0], grey], axis=1)
        if not isinstance(channel, slice):
            matrix = matrix[channel : channel + 1]
        samples = np.asarray(cv2.merge([np.ascontiguousarray(plane) for plane in planes]))
        if samples.dtype != np.uint8:
            levels = cv2.transform(samples.astype(np.float32), matrix)
            return np.asarray(np.clip(np.rint(levels), 0.0, 255.0), np.uint8)
        return np.asarray(cv2.transform(samples, matrix), np.uint8)


@lru_cache(maxsize=16)
def to_levels(colour: Colour, layout: Layout) -> Floats:
    """The matrix that makes 8-bit levels of RGB of samples (Y, Cb, Cr, 1): float32 (3, 4); not to
    be written to.

    Args: colour: what they mean. layout: their depth.
    """
    red, green, blue = colour.luma_weights
    deeper = float(1 << (layout.depth - 8))
    light, tint, black = 255 / 219 / deeper, 255 / 224 / deeper, 16.0 * deeper
    if colour.full_range:
        light = tint = 255.0 / layout.most
        black = 0.0
    to_blue, to_red = 2.0 * (1.0 - blue) * tint, 2.0 * (1.0 - red) * tint
    matrix = np.array(
        [
            [light, 0.0, to_red],
            [light, -to_blue * blue / green, -to_red * red / green],
            [light, to_blue, 0.0],
        ]
    )
    middle = float(1 << (layout.depth - 1))
    shift = -matrix @ np.array([black, middle, middle])
    levels = np.asarray(np.column_stack([matrix, shift]), np.float32)
    levels.setflags(write=False)
    return levels


def _corner(start: int, length: int) -> int:
    """Where the tile around a step begins: with a margin, inside the picture."""
    return min(max(0, start - MARGIN_PX), length - TILE_PX)


def _halves(picked: slice, length: int, half: int) -> slice | NDArray[np.int_]:
    """Of every pixel that a slice picks, its sample of colour.

    Args: length: of the picture, px. half: 1: there are half as many samples, else 0.
    """
    start, stop, step = picked.indices(length)
    if not half:
        return picked
    if start % 2 == 0 and step % 2 == 0:
        return slice(start // 2, -(-stop // 2), step // 2)
    return np.arange(start, stop, step) // 2


def _coarser(row: NDArray[np.float64], half: int, start: int, aside: float) -> NDArray[np.float64]:
    """A row of a matrix that leads to px of a part, so that it leads to its samples of colour.

    Args: half: 1: there are half as many, else 0. start: of the part, px. aside: how far, in luma
          samples, the first lies from the first of luma.
    """
    if not half:
        return row
    moved = row.copy()
    moved[2] += start - aside
    moved /= 2.0
    moved[2] -= start >> 1
    return moved
