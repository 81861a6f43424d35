"""Shared planes: a decoded picture, in whatever format it has, as bytes in shared memory and back.

Rows are copied without the padding that both sides may choose for themselves.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Layout = tuple[tuple[int, int], ...]
"""(rows, bytes a row) of each plane."""
Bytes = NDArray[np.uint8]

_palettes = VideoReformatter()


@lru_cache(maxsize=8)
def layout(width: int, height: int, format_name: str) -> Layout:
    """How FFmpeg lays out a picture of its own making.

    Args:   width, height: px. format_name: FFmpeg's name of the pixel format.
    Raises: ValueError: no picture can be like that.
    """
    frame = av.VideoFrame(width, height, format_name)
    return tuple((plane.height, plane.line_size) for plane in frame.planes)


def without_palette(frame: av.VideoFrame) -> av.VideoFrame:
    """The picture itself, or as RGB where its bytes are places in a palette."""
    if not frame.format.has_palette:
        return frame
    return _palettes.reformat(frame, format="rgb24")


def needed_bytes(frame: av.VideoFrame) -> int:
    """Of a slot that holds the picture."""
    planes = layout(frame.width, frame.height, frame.format.name)
    return sum(rows * row_bytes for rows, row_bytes in planes)


def write_planes(frame: av.VideoFrame, slot: Bytes) -> Layout:
    """Copy a picture into a slot, plane behind plane.

    Args:    slot: uint8 (n,), n at least `needed_bytes(frame)`.
    Returns: what was written.
    """
    written, start = [], 0
    ours = layout(frame.width, frame.height, frame.format.name)
    for plane, (rows, most_bytes) in zip(frame.planes, ours, strict=True):
        lines = _lines(plane, rows)
        row_bytes = min(most_bytes, plane.line_size)
        end = start + rows * row_bytes
        slot[start:end].reshape(rows, row_bytes)[:] = lines[:, :row_bytes]
        written.append((rows, row_bytes))
        start = end
    return tuple(written)


def _lines(plane: Any, rows: int) -> Bytes:
    """The plane's own memory, uint8 (rows, line size)."""
    return np.frombuffer(plane, np.uint8)[: rows * plane.line_size].reshape(rows, -1)


def read_planes(
    slot: Bytes, width: int, height: int, format_name: str, planes: Layout
) -> av.VideoFrame:
    """A picture of our own with the bytes of a slot; the child's claims are checked.

    Args:   slot: uint8 (n,). width, height: px. format_name: FFmpeg's name of the pixel format.
            planes: rows and bytes a row of each, as the child wrote them.
    Raises: ValueError: picture and planes do not go together, or do not fit into the slot.
    """
    expected = layout(width, height, format_name)
    sizes = list(zip(planes, expected, strict=True))
    if any(rows != ours[0] or not 0 < row <= ours[1] for (rows, row), ours in sizes):
        raise ValueError(f"planes {planes} for a picture that has {expected}")
    if sum(rows * row for rows, row in planes) > slot.size:
        raise ValueError(f"planes {planes} for a slot of {slot.size} bytes")
    frame, start = av.VideoFrame(width, height, format_name), 0
    for plane, (rows, row_bytes) in zip(frame.planes, planes, strict=True):
        lines = _lines(plane, rows)
        end = start + rows * row_bytes
        lines[:, :row_bytes] = slot[start:end].reshape(rows, row_bytes)
        start = end
    return frame
