"""The geometry of a headshot: which square of the picture belongs to a face.

A headshot is a square centred on the detector's face box, its side twice the box width, upright,
mirrored where it reaches beyond the picture. Cuts lie at whole pixels and are never resampled:
resampling along a jittering box is where flicker comes from.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.frame import Image
from stream.image.resample import cut_square

SIDE_PER_WIDTH = 2.0
"""Side of a headshot over the width of the face box; the training data is cut by the same rule."""
EXEMPLAR_SIDE_PX = 256


def headshot_rect(center: tuple[float, float], side_px: int) -> tuple[int, int, int, int]:
    """The square around a centre, at whole pixels.

    Convention: pixels, origin top left, (x, y) order.
    Args:    center: (x, y) px.
             side_px: side of the square, 1 or more.
    Returns: integer xyxy px, exactly `side_px` wide and high; may reach beyond the picture.
    Raises:  ValueError: the side is smaller than a pixel.
    """
    if side_px < 1:
        raise ValueError(f"a headshot of {side_px} px has no picture")
    left = int(np.floor(center[0] - side_px / 2.0 + 0.5))
    top = int(np.floor(center[1] - side_px / 2.0 + 0.5))
    return left, top, left + side_px, top + side_px


def cut_headshot(image: Image, center: tuple[float, float], side_px: int) -> Image:
    """Cut the square around a centre, mirrored at the picture's edge.

    Convention: pixels, origin top left, (x, y) order.
    Args:    image: RGB uint8 (H, W, 3).
             center: (x, y) px of `image`; inside it or near it.
             side_px: side of the square, 1 or more.
    Returns: RGB uint8 (side_px, side_px, 3), a copy.
    Raises:  ValueError: the side is smaller than a pixel, or the square misses the picture.
    Source:  design rule "geometry of a headshot".
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = headshot_rect(center, side_px)
    if x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        raise ValueError(f"a headshot at {center} misses a picture of {width}x{height} px")
    return cut_square(image, (x0, y0, x1, y1))


def is_inside(image: Image, center: tuple[float, float], side_px: int) -> bool:
    """Whether the whole headshot lies in the picture, so that nothing of it is mirrored.

    Args: center: (x, y), px in the image. side_px: of the headshot.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = headshot_rect(center, side_px)
    return x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height


def to_exemplar(headshot: Image) -> Image:
    """A headshot at the size in which exemplars are kept.

    Args:    headshot: RGB uint8 (side, side, 3).
    Returns: RGB uint8 (256, 256, 3): shrunk by area, or enlarged (Lanczos) where the camera gave
             less.
    """
    size = (EXEMPLAR_SIDE_PX, EXEMPLAR_SIDE_PX)
    smaller = headshot.shape[0] < EXEMPLAR_SIDE_PX
    how = cv2.INTER_LANCZOS4 if smaller else cv2.INTER_AREA
    return np.asarray(cv2.resize(headshot, size, interpolation=how), np.uint8)
