"""Blur: how wide the sharpest edges of a picture are, in pixels.

A step edge that a camera shows is as wide as the camera's blur. Blurring it once more by a known
amount lowers its slope, and by how much tells how wide it was (Zhuo and Sim, "Defocus map
estimation from a single image", Pattern Recognition 2011). Only edges that are strong, straight and
alone count: of those the strongest tenth, which are the narrowest of what the scene has.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from stream.frame import Floats, Image

PIXEL_BLUR_PX = 0.5
"""Width that the sharpest picture on a pixel grid has, as measured here."""
# A little blur first, against noise and steps of whole pixels; then the known one.
_FIRST, _SECOND = 0.7, 1.5
# The derivative that is taken widens an edge, too: variance of its kernel across the edge.
_KERNEL_VARIANCE = 1.0 / 3.0
_NEIGHBOURS = 2.0
_STRAIGHT, _ONE_SIGN, _SAME_WAY = 0.9, 0.9, 0.98
_LEAST_SLOPE = 3.0
_STRONGEST = 0.1
_BORDER = 8
LEAST_EDGES = 20
"""Fewer edge pixels than this say nothing."""
_WIDE_PX, _LEAST_SIDE_PX = 1.5, 48


def blur_px(picture: Image) -> float | None:
    """Standard deviation of the blur across the sharpest edges.

    Args:    picture: RGB uint8 (H, W, 3), or a part of one at its own pixels.
    Returns: px, from about 0.5 (`PIXEL_BLUR_PX`); None where there are too few clear edges.
    """
    return _blur(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32))


def added_px(total_px: float) -> float:
    """What a camera adds to the width that any picture has."""
    return float(np.sqrt(max(total_px**2 - PIXEL_BLUR_PX**2, 0.0)))


def _blur(luma: Floats) -> float | None:
    widths = _widths(luma)
    if len(widths) < LEAST_EDGES * _STRONGEST:
        return None
    found = float(np.median(widths))
    if found > _WIDE_PX and min(luma.shape) >= 2 * _LEAST_SIDE_PX:
        # Wide edges are measured best where they are few pixels wide.
        half = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        coarse = _blur(np.asarray(half, np.float32))
        if coarse is not None:
            return math.hypot(2.0 * added_px(coarse), PIXEL_BLUR_PX)
    return found


def _widths(luma: Floats) -> Floats:
    """Widths of the strongest clear edges, px: float32 (n,)."""
    if min(luma.shape) <= 2 * _BORDER:
        return np.zeros(0, np.float32)
    once = np.asarray(cv2.GaussianBlur(luma, (0, 0), _FIRST), np.float32)
    twice = np.asarray(cv2.GaussianBlur(luma, (0, 0), np.hypot(_FIRST, _SECOND)), np.float32)
    x, y = _slopes(once)
    again_x, again_y = _slopes(twice)
    slope, again = np.hypot(x, y), np.maximum(np.hypot(again_x, again_y), 1e-3)
    beside_x = np.maximum(np.roll(slope, 1, 1), np.roll(slope, -1, 1))
    beside_y = np.maximum(np.roll(slope, 1, 0), np.roll(slope, -1, 0))
    crest = np.where(np.abs(x) >= np.abs(y), slope >= beside_x, slope >= beside_y)
    clear = crest & (slope > _LEAST_SLOPE)
    clear &= x * again_x + y * again_y > _SAME_WAY * slope * again
    # Straight: all slopes around lie on one line; alone: on one side of it.
    xx, yy, xy = (_around(one) for one in (x * x, y * y, x * y))
    clear &= np.hypot(xx - yy, 2.0 * xy) > _STRAIGHT * (xx + yy)
    clear &= np.hypot(_around(x), _around(y)) > _ONE_SIGN * _around(slope)
    inside = np.zeros_like(clear)
    inside[_BORDER:-_BORDER, _BORDER:-_BORDER] = True
    clear &= inside
    if np.count_nonzero(clear) < LEAST_EDGES:
        return np.zeros(0, np.float32)
    clear &= slope >= np.quantile(slope[clear], 1.0 - _STRONGEST)
    ratio = np.maximum(slope[clear] / again[clear], 1.001)
    variance = _SECOND**2 / (ratio**2 - 1.0) - _FIRST**2 - _KERNEL_VARIANCE
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)), np.float32)


def _slopes(luma: Floats) -> tuple[Floats, Floats]:
    across = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _around(values: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _NEIGHBOURS), np.float32)
