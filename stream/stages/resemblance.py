"""Resemblance: whether a far face can be the person of a close-up, at the little that both show.

It cannot tell who somebody is, but it can tell that a face is not the one in a picture of the same
call: most people differ in the light and dark of hair, brows, glasses, beard and background. It
catches what slips through the tracker: a dissolve from one face to another, in one place.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

Grey = NDArray[np.uint8]

# Measured on the 160 photos of eleven people whom no network here has seen, as far headshots of
# 32 px with noise: the best of three close-ups of the same session 0.98 (median), and 0.82 or more
# in 99 of 100; of a stranger 0.53, and 0.74 at most in 95 of 100.
UNLIKE = 0.75
SIDE = 32
"""Headshots are compared at this size, px, and no finer than a third of it."""
EDGE = 4
"""Of it, at every side, only the close-up shows: the face may lie so far elsewhere."""
ZOOMS = (0.9, 1.0, 1.1)
SOFT_PX = 1.2


def resemblance(face: Image, close_ups: list[Image]) -> float:
    """Correlation of the luma of a face with that close-up which it resembles most, -1..1.

    Args: face: RGB uint8 (side, side, 3), a headshot of any size. close_ups: likewise; not empty.
    """
    middle = slice(EDGE, SIDE - EDGE)
    wanted = np.ascontiguousarray(_soft(_grey(face), SIDE)[middle, middle])
    if float(wanted.std()) < 1.0:
        return 0.0  # blank: nobody
    best = -1.0
    for close_up in map(_grey, close_ups):
        for zoom in ZOOMS:
            side = round(zoom * SIDE)
            found = cv2.matchTemplate(_soft(close_up, side), wanted, cv2.TM_CCOEFF_NORMED)
            reach = (found.shape[0] - 1) // 2
            least = max(0, reach - 2)
            near = found[least : reach + 3, least : reach + 3]
            best = max(best, float(near.max()))
    return best


def _grey(image: Image) -> Grey:
    """uint8 (64, 64)."""
    small = cv2.resize(image, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _soft(grey: Grey, side: int) -> Floats:
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SOFT_PX), np.float32)
