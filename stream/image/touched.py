"""Touched: which parts of an output the enhancement has changed, and what they would be without."""

from __future__ import annotations

import math

from stream.frame import Frame, Image
from stream.image.resample import Rect, Size, resample

Box = tuple[int, int, int, int]
"""Integer xyxy px."""


def touched(frame: Frame, rect: Rect, size: Size) -> list[Box]:
    """The parts of an output into which patches were drawn, grown to whole chroma samples.

    Args: rect: what the output shows, xyxy px of the frame. size: (width, height) of the output.
    """
    zoom_x, zoom_y = size[0] / (rect[2] - rect[0]), size[1] / (rect[3] - rect[1])
    boxes: list[Box] = []
    for face in frame.faces:
        if face.patch is None or face.patch.weight <= 0.0:
            continue
        left, top, right, bottom = face.patch.box
        # Two more on each side: chroma is an average of neighbours.
        box = (
            max(0, _down((left - rect[0]) * zoom_x) - 2),
            max(0, _down((top - rect[1]) * zoom_y) - 2),
            min(size[0], _up((right - rect[0]) * zoom_x) + 2),
            min(size[1], _up((bottom - rect[1]) * zoom_y) + 2),
        )
        if box[0] < box[2] and box[1] < box[3]:
            boxes = _joined(boxes, box)
    for mark in frame.marks:
        boxes = _joined(boxes, mark)
    return boxes


def plain_part(frame: Frame, rect: Rect, size: Size, box: Box) -> Image:
    """A part of what the output would be without patches: RGB uint8, perhaps a view of the frame's
    picture.

    Args: rect: what the output shows, xyxy px of the frame. size: (width, height) of the output.
          box: the part, px of the output.
    """
    zoom_x, zoom_y = size[0] / (rect[2] - rect[0]), size[1] / (rect[3] - rect[1])
    left, top, right, bottom = box
    place = (
        rect[0] + left / zoom_x,
        rect[1] + top / zoom_y,
        rect[0] + right / zoom_x,
        rect[1] + bottom / zoom_y,
    )
    x0, y0, x1, y1 = (round(edge) for edge in place)
    off_grid = abs(place[0] - x0) + abs(place[1] - y0)
    part = (right - left, bottom - top)
    if off_grid == 0.0 and part == (x1 - x0, y1 - y0):
        return frame.image[y0:y1, x0:x1]
    return resample(frame.image, place, part)


def _joined(boxes: list[Box], box: Box) -> list[Box]:
    """With one more; those that overlap become one."""
    apart: list[Box] = []
    for other in boxes:
        if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]:
            box = (
                min(box[0], other[0]),
                min(box[1], other[1]),
                max(box[2], other[2]),
                max(box[3], other[3]),
            )
            # Grown, it may reach one that it missed before.
            return _joined([one for one in boxes if one is not other], box)
        apart.append(other)
    return [*apart, box]


def _down(length: float) -> int:
    return 2 * math.floor(length / 2)


def _up(length: float) -> int:
    return 2 * math.ceil(length / 2)
