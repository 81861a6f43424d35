"""Image measures: how near one comes to the truth, how it changes from frame to frame, its seams,
its grain and how steep its edges are."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)
MOST_DB = 100.0
SEAM_SIGMA = 1.0
"""Finer than this, in px of the output, a step is grain and no seam."""
FLAT_SLOPE, FLAT_DETAIL = 4.0, 1.0
"""Where the truth's gradient and its fine detail are below this, in levels a pixel of the camera
and in levels, what is seen there is grain."""
EDGE_SLOPE = 6.0
"""Where the truth's gradient is above this, in levels a pixel of the output, is an edge."""
LEAST = 20
"""Fewer flat pixels, or pixels of an edge, say nothing."""
# A second difference in both directions, which leaves white noise as strong as it is.
_FINE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0


def psnr(one: Image, other: Image) -> float:
    """dB over RGB; `MOST_DB` for equal pictures."""
    error = float(np.mean(np.square(one.astype(np.float32) - other)))
    return min(MOST_DB, 10.0 * math.log10(255.0**2 / max(error, 1e-9)))


def luma(image: Image) -> Floats:
    """float32 (H, W), 0..255."""
    return np.asarray(cv2.transform(image.astype(np.float32), LUMA), np.float32)


class Motion:
    """Where every pixel of a picture was in the picture before.

    Args: before, now: RGB uint8 (H, W, 3) of two neighbouring frames, the truth's without noise.
    """

    _finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __init__(self, before: Image, now: Image) -> None:
        first, second = (np.rint(luma(image)).astype(np.uint8) for image in (now, before))
        flow: Any = None
        flow = self._finder.calc(first, second, flow)
        rows, columns = np.indices(first.shape, np.float32)
        self._x = np.asarray(columns + flow[..., 0], np.float32)
        self._y = np.asarray(rows + flow[..., 1], np.float32)
        self._inside = (self._x >= 0) & (self._x <= first.shape[1] - 1)
        self._inside &= (self._y >= 0) & (self._y <= first.shape[0] - 1)

    def apart(self, other: Motion) -> float:
        """End-point error between two flows, px of the picture (tOF: Chu et al. 2020, TecoGAN)."""
        inside = self._inside & other._inside
        error = np.hypot(self._x - other._x, self._y - other._y)[inside]
        return float(error.mean()) if error.size else 0.0

    def change(self, before: Floats, now: Floats) -> float:
        """What changes in a picture beyond its motion: root mean square, 0..255.

        Args: float32 (H, W) or (H, W, C), pictures or what is wrong with them.
        """
        moved = cv2.remap(
            before, self._x, self._y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return float(np.sqrt(np.mean(np.square((now - moved)[self._inside]))))


def temporal_variance(pictures: list[Image]) -> float:
    """Mean over the pixels of how much each varies with time, squared levels.

    Raises: ValueError: fewer than two pictures.
    """
    if len(pictures) < 2:
        raise ValueError("variance with time needs two pictures")
    total = np.zeros(pictures[0].shape, np.float64)
    squares = np.zeros(pictures[0].shape, np.float64)
    for picture in pictures:
        total += picture
        squares += np.square(picture.astype(np.float64))
    count = len(pictures)
    return float(np.mean((squares - total * total / count) / (count - 1)))


def seam(picture: Image, truth: Image, ring: NDArray[np.bool_]) -> float:
    """Edges within a ring that the truth does not have: root mean square gradient, levels a pixel.

    Args: RGB uint8 (H, W, 3); ring: bool (H, W).
    """
    wrong = np.asarray(cv2.GaussianBlur(luma(picture) - luma(truth), (0, 0), SEAM_SIGMA))
    down, across = np.gradient(wrong)
    steepness = np.asarray(down * down + across * across, np.float64)
    return float(np.sqrt(np.mean(steepness[ring])))


def flat(truth: Image) -> NDArray[np.bool_]:
    """Where a picture without noise has neither edges nor texture: bool (H, W)."""
    light = luma(truth)
    down, across = np.gradient(np.asarray(cv2.GaussianBlur(light, (0, 0), 1.0)))
    detail = cv2.GaussianBlur(np.square(_fine(light)), (0, 0), 1.0)
    calm = np.hypot(down, across) < FLAT_SLOPE
    return np.asarray(calm & (detail < FLAT_DETAIL**2))


def grain(picture: Image, where: NDArray[np.bool_]) -> float | None:
    """Fine noise of the luma, root mean square, levels; None where there is too little to see.

    Args: picture: RGB uint8 (H, W, 3) at the camera's size, so that an enlarged one has as much as
          the camera. where: bool (H, W), what counts, with nothing but noise in it.
    """
    if np.count_nonzero(where) < LEAST:
        return None
    return float(np.sqrt(np.mean(np.square(_fine(luma(picture))[where]))))


def steepness(picture: Image, truth: Image, where: NDArray[np.bool_]) -> float | None:
    """How steep the truth's edges are shown, as a part of what they are; None where there are none.

    Args: RGB uint8 (H, W, 3); where: bool (H, W), what counts.
    """
    slopes = [np.hypot(*np.gradient(luma(one))) for one in (picture, truth)]
    edges = where & (slopes[1] > EDGE_SLOPE)
    if np.count_nonzero(edges) < LEAST:
        return None
    return float(slopes[0][edges].mean() / slopes[1][edges].mean())


def _fine(light: Floats) -> Floats:
    return np.asarray(cv2.filter2D(light, cv2.CV_32F, _FINE), np.float32)
