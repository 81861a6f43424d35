"""Layers: cut-out pictures that are drawn over each other at any place and size."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Image
from stream.image.resample import Rect, Size, resample

Placed = tuple[Image, int, int]
"""A layer's RGBA pixels, and the column and row of the result where they begin."""


def sample_layer(layer: Image, rect: Rect, size: Size) -> Placed | None:
    """Sample only that part of the result which the layer reaches.

    Args:    layer: RGBA uint8 (H, W, 4), colours multiplied by alpha. rect: what the result shows,
             xyxy px of the layer. size: (width, height) of the result.
    Returns: None where the result shows nothing of the layer.
    """
    height, width = layer.shape[:2]
    step_x, step_y = (rect[2] - rect[0]) / size[0], (rect[3] - rect[1]) / size[1]
    x0 = max(0, math.floor(-rect[0] / step_x) - 2)
    y0 = max(0, math.floor(-rect[1] / step_y) - 2)
    x1 = min(size[0], math.ceil((width - rect[0]) / step_x) + 2)
    y1 = min(size[1], math.ceil((height - rect[1]) / step_y) + 2)
    if x1 <= x0 or y1 <= y0:
        return None
    part = (
        rect[0] + x0 * step_x,
        rect[1] + y0 * step_y,
        rect[0] + x1 * step_x,
        rect[1] + y1 * step_y,
    )
    return resample(layer, part, (x1 - x0, y1 - y0), border=cv2.BORDER_CONSTANT), x0, y0


def cover(picture: NDArray[np.float32], placed: Placed | None) -> None:
    """Draw a layer over the picture, float32 (H, W, 3), in place."""
    if placed is None:
        return
    layer, x0, y0 = placed
    area = picture[y0 : y0 + layer.shape[0], x0 : x0 + layer.shape[1]]
    pixels = layer.astype(np.float32)
    area *= 1.0 - pixels[..., 3:] / 255.0
    area += pixels[..., :3]
