"""Signature: a coarse picture of a place, to tell whether the next frame shows the same thing.

Neighbouring frames of one scene resemble each other closely at this size, whatever noise and codec
did to them; another scene, or another person at the same place, does not. It tells that something
*changed*; it cannot tell who somebody is.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.frame import Floats, Image
from stream.image.detection import Region
from stream.image.headshot import cut_headshot, headshot_rect, is_inside

FACE_SIDE = 16
SCENE_SIZE = (32, 18)
# Contrast below which a picture counts as blank (a covered lens, a fade through black): its
# normalised signature would be nothing but amplified noise.
BLANK_LEVELS = 2.0


def scene_signature(image: Image) -> Floats:
    """The signature of a whole picture: float32 (576,), zero mean, unit length; zeros if blank."""
    return _signature(_green(image, SCENE_SIZE), SCENE_SIZE)


def face_signature(image: Image, center: tuple[float, float], width_px: float) -> Floats:
    """The signature of a headshot: float32 (256,), zero mean, unit length; zeros if blank.

    Args:    image: RGB uint8 (H, W, 3).
             center: of the face box, (x, y) px, inside the picture or near it.
             width_px: of the face box.
    """
    # 1.5 widths: the face with hair and chin, little of the background that it moves across.
    side_px, size = max(2, round(1.5 * width_px)), (FACE_SIDE, FACE_SIDE)
    if not is_inside(image, center, side_px):
        return _signature(_green(cut_headshot(image, center, side_px), size), size)
    return _signature(_green(image, size, headshot_rect(center, side_px)), size)


def similarity(one: Floats, other: Floats) -> float:
    """Correlation of two signatures, -1..1; two blank ones are alike (1), a blank one and another
    0."""
    if not one.any() and not other.any():
        return 1.0
    return float(one @ other)


def _green(image: Image, size: tuple[int, int], box: Region | None = None) -> Image:
    """What a signature is made of: green stands for luma, and every n-th pixel is enough.

    Args: image: RGB uint8 (H, W, 3). size: (width, height) of the signature, cells; four samples of
          each and side remain. box: what of the picture, xyxy px; None: all.
    """
    x0, y0, x1, y1 = box or (0, 0, image.shape[1], image.shape[0])
    step = max(1, min((x1 - x0) // (4 * size[0]), (y1 - y0) // (4 * size[1])))
    return np.ascontiguousarray(image[y0:y1:step, x0:x1:step, 1])


def _signature(green: Image, size: tuple[int, int]) -> Floats:
    how = cv2.INTER_AREA if green.shape[1] > size[0] else cv2.INTER_LINEAR
    cells = cv2.resize(green, size, interpolation=how).astype(np.float32).ravel()
    cells -= cells.mean()
    spread = float(np.sqrt(np.mean(cells**2)))
    if spread < BLANK_LEVELS:
        return np.zeros_like(cells)
    length = float(np.linalg.norm(cells))
    return np.asarray(cells / length, np.float32)
