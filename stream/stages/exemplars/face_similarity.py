"""Face similarity: whether a far face can be the person of an exemplar, by what both show.

It cannot tell who somebody is, but it can tell that a face is not the one in a picture of the same
call: many people differ in the light and dark of hair, brows, glasses and beard. It catches some of
what slips through the tracker: a dissolve from one face to another, in one place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

Grey = NDArray[np.uint8]

# Measured on 169 photos of 12 people whom no network here has seen: far headshots of 32 px with
# noise, before another background. 7 in 100 are less like their own exemplars (1 in 80 where all
# are of one session), 76 in 100 less like a stranger's. The edges were chosen on the same photos;
# the limit is measured by `python -m calibration.thresholds`, figures in
# calibration/thresholds/thresholds.toml.
UNLIKE = 0.8
SIDE = 32
"""Headshots are compared at this size, px, and no finer than a third of it."""
EDGE_X, EDGE_Y = 8, 6
"""Of it, at left and right, above and below, nothing is compared: there is the background, which
changes when somebody walks. With it (4, 4) more than half of them were unlike themselves."""
REACH = 2
"""The face may lie so far elsewhere in the exemplar, px of `SIDE`."""
ZOOMS = (0.9, 1.0, 1.1)
SOFT_PX = 1.2
LEAST_TILT = 0.05
"""Heads that are tilted by less against each other, radians, are compared as they are."""


def resemblance(face: Image, exemplars: list[Image], tilts: Sequence[float] = ()) -> float:
    """Correlation of the luma of a face with that exemplar which it resembles most, -1..1.

    Args: face: RGB uint8 (side, side, 3), a headshot of any size. exemplars: likewise; not empty.
          tilts: of the head in each exemplar against the face, radians, positive clockwise; left
          out: none.
    """
    inner = _soft(_grey(face), SIDE)[EDGE_Y : SIDE - EDGE_Y, EDGE_X : SIDE - EDGE_X]
    wanted = np.ascontiguousarray(inner)
    if float(wanted.std()) < 1.0:
        return 0.0  # blank: nobody
    best = -1.0
    for image, tilt in zip(exemplars, tilts or [0.0] * len(exemplars), strict=True):
        exemplar = _turned(_grey(image), -tilt)
        for zoom in ZOOMS:
            side = round(zoom * SIDE)
            y, x = (edge + (side - SIDE) // 2 for edge in (EDGE_Y, EDGE_X))
            part = _soft(exemplar, side)[
                max(0, y - REACH) : y + wanted.shape[0] + REACH,
                max(0, x - REACH) : x + wanted.shape[1] + REACH,
            ]
            near = cv2.matchTemplate(np.ascontiguousarray(part), wanted, cv2.TM_CCOEFF_NORMED)
            best = max(best, float(near.max()))
    return best


def _grey(image: Image) -> Grey:
    """uint8 (64, 64)."""
    small = cv2.resize(image, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _turned(grey: Grey, angle: float) -> Grey:
    """Turned around its middle, radians, clockwise."""
    if abs(angle) < LEAST_TILT:
        return grey
    middle = (grey.shape[0] - 1) / 2.0
    turn = cv2.getRotationMatrix2D((middle, middle), -math.degrees(angle), 1.0)
    edge = cv2.BORDER_REFLECT_101
    return np.asarray(cv2.warpAffine(grey, turn, grey.shape, borderMode=edge), np.uint8)


def _soft(grey: Grey, side: int) -> Floats:
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), SOFT_PX), np.float32)
