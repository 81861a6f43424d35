"""Somebody else: one portrait as people who are no more alike than strangers are."""

from __future__ import annotations

import cv2
import numpy as np

from stream.frame import Image

SHAPES = ((0.0, 0.0, 0.06, 1.0), (0.15, -0.15, 0.06, 5.0))
"""Of each: how much narrower and lower the middle of the face becomes, how far features move, in
widths of the face, and which."""
MIDDLE = (0.46, 0.56)
"""How far the change reaches to the side and up, in widths of the face."""
RIPPLES = (0.087, 0.066)
"""Lengths by which features move to either side, in widths of the face."""


def somebody_else(picture: Image, center: tuple[float, float], width_px: float, who: int) -> Image:
    """The portrait with features of other shapes at other places, and mirrored.

    Mirrored alone it is as much like itself (0.71 to 0.81 by `HogDescriptor`) as no two of 97,000
    pairs of strangers are; so it is 0.45 and 0.42, and the two are 0.23.

    Args:    picture: uint8 (H, W, C). center: of the face box, px. width_px: of the face box.
             who: 0 or 1: which person.
    Returns: uint8 (H, W, C).
    """
    narrower, lower, far, phase = SHAPES[who]
    high, wide = picture.shape[:2]
    grid = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
    x, y = ((one - middle) / width_px for one, middle in zip(grid, center, strict=True))
    near = np.exp(-((x / MIDDLE[0]) ** 2) - (y / MIDDLE[1]) ** 2)
    right = near * (narrower * x + far * np.sin(y / RIPPLES[0] + phase))
    down = near * (lower * y - far * np.sin(x / RIPPLES[1] + phase))
    moved = cv2.remap(
        picture,
        (grid[0] + width_px * right).astype(np.float32),
        (grid[1] + width_px * down).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    return np.ascontiguousarray(moved[:, ::-1], np.uint8)
