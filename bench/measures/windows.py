"""Windows around true faces in the output, and where they lie in the camera's picture."""

from __future__ import annotations

import numpy as np

from bench.scenes.call import TrueFace
from stream.frame import Face, Floats, Image, View
from stream.image.resample import Rect, Size

Window = tuple[int, int, int, int]
"""x0, y0, x1, y1, whole px of the output."""


def square_around(true: TrueFace, widths: float, view: View) -> Window | None:
    """A square around a true face, whole px of the output; None where it is not all in view.

    Args: widths: side, in widths of the face. view: of the output.
    """
    side = round(widths * true.width_px * view.zoom)
    left = round((true.center[0] - view.rect[0]) * view.zoom - side / 2.0)
    top = round((true.center[1] - view.rect[1]) * view.zoom - side / 2.0)
    if left < 0 or top < 0 or left + side > view.size[0] or top + side > view.size[1]:
        return None
    return left, top, left + side, top + side


def cut_out(picture: Image, window: Window) -> Image:
    return np.ascontiguousarray(picture[window[1] : window[3], window[0] : window[2]])


def size_of(window: Window) -> Size:
    return window[2] - window[0], window[3] - window[1]


def in_frame(window: Window, view: View) -> Rect:
    left, top = view.rect[:2]
    zoom = view.zoom
    return (
        left + window[0] / zoom,
        top + window[1] / zoom,
        left + window[2] / zoom,
        top + window[3] / zoom,
    )


def radius_around(face: Face, area: tuple[int, int, int, int], view: View, size: Size) -> Floats:
    """How far pixels of a part of the output lie from a face: float32 (h, w), 1 where its patch
    ends.

    Args: area: left, top, right, bottom, px of the output. view: of the output. size: (width,
          height) at which the part is looked at.
    """
    left, top, right, bottom = in_frame(area, view)
    width, height = size
    across = np.linspace(left, right, width, dtype=np.float32) - face.center[0]
    down = np.linspace(top, bottom, height, dtype=np.float32) - face.center[1]
    half = face.headshot_side_px / 2.0
    return np.asarray((((across / half) ** 4)[None, :] + ((down / half) ** 4)[:, None]) ** 0.25)
