"""SSIM: structural similarity of two pictures (Wang et al., "Image quality assessment: from error
visibility to structural similarity", 2004)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
WINDOW, DEVIATION = (11, 11), 1.5
STEADY = ((0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2)
"""The paper's constants for 8 bits."""


def ssim(one: Image, other: Image) -> float:
    """Mean over all pixels and channels, Gaussian window of 11 px; 1 for equal pictures.

    Args: one, other: RGB uint8 (H, W, 3).
    """
    a, b = one.astype(np.float32), other.astype(np.float32)
    mean_a, mean_b = _smooth(a), _smooth(b)
    power_a = _smooth(a * a) - mean_a * mean_a
    power_b = _smooth(b * b) - mean_b * mean_b
    shared = _smooth(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + STEADY[0]) / (mean_a**2 + mean_b**2 + STEADY[0])
    structure = (2 * shared + STEADY[1]) / (power_a + power_b + STEADY[1])
    return float(np.mean(light * structure))


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, WINDOW, DEVIATION), np.float32)
