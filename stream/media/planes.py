"""Planes: the samples of a picture in YUV, seen through numpy, whatever their depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.format import VideoFormat as PixelFormat
from numpy.typing import NDArray

from stream.frame import Floats
from stream.image.resample import Rect, Size, resample
from stream.image.touched import Box
from stream.media.chroma import PLACES, UNSPECIFIED
from stream.media.colour import Colour

Samples = NDArray[Any]
"""uint8 or uint16 (H, W)."""
QUARTER = 0.25
"""Of a chroma sample: half a luma sample."""


@dataclass(frozen=True)
class Layout:
    """How a pixel format lays its samples out: a plane each for Y, Cb and Cr, or for Y alone."""

    depth: int
    """Bits of a sample."""
    sub_x: int
    sub_y: int
    """1: chroma has half as many columns, or rows; 0: as many."""
    planes: int
    """3; 1 for grey."""

    @classmethod
    def of(cls, name: str) -> Layout | None:
        """Of planar YUV and grey of 8 to 16 bits in the usual byte order; None of other formats."""
        pixel_format = PixelFormat(name)
        parts = pixel_format.components
        known = name.startswith(("yuv", "gray")) and not name.startswith("grayf")
        if not known or pixel_format.is_big_endian or "msb" in name or len(parts) not in (1, 3):
            return None
        layout = cls.like(pixel_format)
        apart = [part.plane for part in parts] == list(range(len(parts)))
        return layout if apart and max(layout.sub_x, layout.sub_y) <= 1 else None

    @classmethod
    def like(cls, pixel_format: PixelFormat) -> Layout:
        """Depth and chroma of any format; 8 bits at least."""
        sub_x = (16 // max(1, pixel_format.chroma_width(16))).bit_length() - 1
        sub_y = (16 // max(1, pixel_format.chroma_height(16))).bit_length() - 1
        depth = max(part.bits for part in pixel_format.components)
        return cls(max(8, depth), sub_x, sub_y, 1 if len(pixel_format.components) < 3 else 3)

    @property
    def most(self) -> int:
        """The largest sample."""
        return int((1 << self.depth) - 1)


def planes_of(frame: av.VideoFrame, layout: Layout) -> list[Samples]:
    """Views of a picture's planes; writing into them changes a writable picture."""
    kind = np.uint8 if layout.depth == 8 else np.uint16
    views = []
    for plane in frame.planes[: layout.planes]:
        samples = np.asarray(memoryview(plane)).view(kind)
        rows = samples.reshape(-1, plane.line_size // samples.itemsize)
        views.append(rows[: plane.height, : plane.width])
    return views


def show(
    frame: av.VideoFrame, layout: Layout, rect: Rect, size: Size, place: str = PLACES[0]
) -> av.VideoFrame:
    """Show a rectangle of a picture at any size, plane by plane, without a way through RGB.

    Chroma stays where it lies among the luma samples: taken for the middle, colours would move at
    every change of size.

    Args:    frame: of this layout. rect: xyxy px of the picture. size: (width, height), px.
             place: of its chroma, see `stream.media.chroma`; else as if on the left.
    Returns: a new picture, without times; colour tags are the caller's.
    """
    shown = av.VideoFrame(*size, format=frame.format.name)
    pairs = zip(planes_of(frame, layout), planes_of(shown, layout), strict=True)
    aside = (
        QUARTER * layout.sub_x * ("left" in place or place == UNSPECIFIED),
        QUARTER * layout.sub_y * (("top" in place) - ("bottom" in place)),
    )
    for index, (samples, target) in enumerate(pairs):
        halves = (layout.sub_x, layout.sub_y) if index else (0, 0)
        moved = aside if index else (0.0, 0.0)
        made = _shown(samples, rect, size, target, halves, moved)
        # Deeper samples have more bits than they may use.
        if made is not target or layout.depth % 8:
            np.minimum(made, layout.most, out=target)
    return shown


def _shown(
    samples: Samples,
    rect: Rect,
    size: Size,
    target: Samples,
    halves: tuple[int, int],
    aside: tuple[float, float],
) -> Samples:
    """One plane, for `target`, where it may be written to at once. `aside`: how far left of the
    middle of its place, and above it, a sample lies, before and after."""
    high, wide = target.shape
    zoom_x, zoom_y = size[0] / (rect[2] - rect[0]), size[1] / (rect[3] - rect[1])
    x0, y0 = rect[0] / (1 + halves[0]), rect[1] / (1 + halves[1])
    if zoom_x == zoom_y == 1.0 and x0 == int(x0) and y0 == int(y0):
        return samples[int(y0) : int(y0) + high, int(x0) : int(x0) + wide]
    y0 += aside[1] - aside[1] / zoom_y
    y1 = y0 + high / zoom_y
    if not aside[0]:
        return resample(samples, (x0, y0, x0 + wide / zoom_x, y1), (wide, high), into=target)
    x0 += aside[0] - aside[0] / zoom_x
    finer = (x0 - 0.25 / zoom_x, y0, x0 + (wide - 0.25) / zoom_x, y1)
    if abs(finer[0] * 2 * zoom_x - round(finer[0] * 2 * zoom_x)) < 1e-3:
        # Every second one of twice as many columns: on their grid this is ten times faster.
        return resample(samples, finer, (2 * wide, high))[:, 1::2]
    return resample(samples, (x0, y0, x0 + wide / zoom_x, y1), (wide, high))


def add(frame: av.VideoFrame, layout: Layout, colour: Colour, box: Box, difference: Floats) -> None:
    """Add a difference of colours to a region, in place; where it is zero no sample changes.

    Args: frame: of this layout, writable.
          box: begins at whole chroma samples and ends there or at the picture's edge.
          difference: float32 (h, w, 3), RGB in 8-bit levels of the picture's own transfer.
    """
    x0, y0, x1, y1 = box
    planes = planes_of(frame, layout)
    red, green, blue = colour.luma_weights
    luma = difference @ np.array((red, green, blue), np.float32)
    # ITU-T H.273: full range spreads over all levels, limited over 219 and 224 of 255.
    deeper = float(1 << (layout.depth - 8))
    light, tint = 219 / 255 * deeper, 224 / 255 * deeper
    if colour.full_range:
        light = tint = layout.most / 255
    _add(planes[0][y0:y1, x0:x1], light * luma, layout.most)
    if layout.planes == 1:
        return
    across, down = slice(x0 >> layout.sub_x, None), slice(y0 >> layout.sub_y, None)
    for plane, channel, weight in ((planes[1], 2, blue), (planes[2], 0, red)):
        chroma = (difference[..., channel] - luma) * np.float32(tint / 2 / (1 - weight))
        chroma = _fewer(chroma, layout)
        high, wide = chroma.shape
        _add(plane[down, across][:high, :wide], chroma, layout.most)


def _fewer(chroma: Floats, layout: Layout) -> Floats:
    """Chroma for each pixel -> for each of its samples: on the left column, between two rows."""
    if layout.sub_x:
        wide = np.pad(chroma, ((0, 0), (1, 1)), mode="edge")
        chroma = 0.25 * wide[:, :-2:2] + 0.5 * wide[:, 1:-1:2] + 0.25 * wide[:, 2::2]
    if layout.sub_y:
        even = np.pad(chroma, ((0, chroma.shape[0] % 2), (0, 0)), mode="edge")
        chroma = 0.5 * even[::2] + 0.5 * even[1::2]
    return np.asarray(chroma, np.float32)


def _add(samples: Samples, difference: Floats, most: int) -> None:
    changed = np.clip(np.rint(samples + difference), 0, most)
    # What is beyond legal levels already stays, unless something changes it.
    samples[...] = np.where(np.abs(difference) > 0, changed, samples)
