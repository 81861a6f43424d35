"""Signature: a coarse picture of a place, to tell whether the next frame shows the same thing.

Neighbouring frames of one scene resemble each other closely at this size, whatever noise and codec
did to them; another scene, or another person at the same place, does not. It tells that something
*changed*; it cannot tell who somebody is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from stream.frame import Floats, Image

FACE_SIDE = 16
SAMPLES = 4
"""Of each cell and side."""
SCENE_SIZE = (32, 18)
# Contrast below which a picture counts as blank (a covered lens, a fade through black): its
# normalised signature would be nothing but amplified noise.
BLANK_LEVELS = 2.0


def scene_signature(image: Image) -> Floats:
    """The signature of a whole picture: float32 (576,), zero mean, unit length; zeros if blank."""
    return _signature(_green(image, SCENE_SIZE), SCENE_SIZE)


def face_signature(image: Image, center: tuple[float, float], width_px: float) -> Floats:
    """The signature of a headshot: float32 (256,), zero mean, unit length; zeros if blank.

    Sampled between the pixels: of a face of 16 px a cell is 1.5 px, and places rounded to whole
    pixels make the next frame's signature another one.

    Args:    image: RGB uint8 (H, W, 3).
             center: of the face box, (x, y) px, inside the picture or near it.
             width_px: of the face box.
    """
    # 1.5 widths: the face with hair and chin, little of the background that it moves across.
    side_px = max(2.0, 1.5 * width_px)
    samples = SAMPLES * FACE_SIDE
    step = max(1, int(side_px / samples))
    (x0, x1, across), (y0, y1, down) = (
        _samples(middle, side_px, most, step)
        for middle, most in zip(center, image.shape[1::-1], strict=True)
    )
    green = np.ascontiguousarray(image[y0:y1:step, x0:x1:step, 1])
    spacing = side_px / samples / step
    where = np.array([[spacing, 0.0, across], [0.0, spacing, down]])
    sampled = cv2.warpAffine(
        green,
        where,
        (samples, samples),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return _signature(np.asarray(sampled, np.uint8), (FACE_SIDE, FACE_SIDE))


def _samples(middle: float, side_px: float, most: int, step: int) -> tuple[int, int, float]:
    """Along one axis: first and last pixel that are needed, and where the first sample lies among
    every `step`-th of them.

    Args: middle: of the face, px. side_px: of what is sampled. most: px of the picture.
          step: px.
    """
    start = middle - side_px / 2.0
    first = min(max(math.floor(start) - step, 0), most - 1)
    last = max(min(math.ceil(start + side_px) + step, most), first + 1)
    # the middle of pixel k is at k + 0.5
    place = start + side_px / (2.0 * SAMPLES * FACE_SIDE) - 0.5
    return first, last, (place - first) / step


def similarity(one: Floats, other: Floats) -> float:
    """Correlation of two signatures, -1..1; two blank ones are alike (1), a blank one and another
    0."""
    if not one.any() and not other.any():
        return 1.0
    return float(one @ other)


def _green(image: Image, size: tuple[int, int]) -> Image:
    """What a scene's signature is made of: green stands for luma, and every n-th pixel is enough.

    Args: image: RGB uint8 (H, W, 3). size: (width, height) of the signature, cells.
    """
    height, width = image.shape[:2]
    step = max(1, min(width // (SAMPLES * size[0]), height // (SAMPLES * size[1])))
    return np.ascontiguousarray(image[::step, ::step, 1])


def _signature(green: Image, size: tuple[int, int]) -> Floats:
    how = cv2.INTER_AREA if green.shape[1] > size[0] else cv2.INTER_LINEAR
    cells = cv2.resize(green, size, interpolation=how).astype(np.float32).ravel()
    cells -= cells.mean()
    spread = float(np.sqrt(np.mean(cells**2)))
    if spread < BLANK_LEVELS:
        return np.zeros_like(cells)
    length = float(np.linalg.norm(cells))
    return np.asarray(cells / length, np.float32)
