"""HaarPSI: how alike two pictures are to the eye, more than PSNR can tell."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

HAAR_C = 30.0
HAAR_ALPHA = 4.2
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]


def similarity(one: Image, other: Image) -> float:
    """Haar wavelet perceptual similarity of two colour pictures.

    Args:    RGB uint8 (H, W, 3), sides of 16 px or more.
    Returns: 0..1, 1 for equal pictures.
    Source:  Reisenhofer et al. 2018, "A Haar Wavelet-Based Perceptual Similarity Index for Image
             Quality Assessment"; C = 30 and alpha = 4.2 as there, agrees with piq 0.8.
    """
    planes = [_planes(one), _planes(other)]
    similar, weights = [], []
    for turn in (False, True):
        sizes: list[list[Plane]] = []
        for scale in (1, 2, 3):
            haar = np.full((2**scale, 2**scale), 2.0**-scale, np.float32)
            haar[: 2 ** (scale - 1)] *= -1
            kernel = np.ascontiguousarray(haar.T) if turn else haar
            sizes.append([np.abs(_filtered(p[..., 0], kernel)) for p in planes])
        similar.append((_similar(*sizes[0]) + _similar(*sizes[1])) / 2)
        weights.append(np.maximum(*sizes[2]))
    box = np.full((2, 2), 0.25, np.float32)
    colour = [_similar(*(np.abs(_filtered(p[..., c], box)) for p in planes)) for c in (1, 2)]
    similar.append((colour[0] + colour[1]) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    local, weight = np.stack(similar).astype(np.float64), np.stack(weights).astype(np.float64)
    total = float((_sigmoid(HAAR_ALPHA * local) * weight).sum())
    share = (total + 1e-8) / (float(weight.sum()) + 1e-8)
    # two flat pictures have no weight at all: equal by what can be seen
    share = min(max(share, 0.5), 1.0 / (1.0 + float(np.exp(-HAAR_ALPHA))))
    return float((np.log(share / (1.0 - share)) / HAAR_ALPHA) ** 2)


def _planes(image: Image) -> Plane:
    """YIQ at half the size, as seen from a usual distance: float32 (H / 2, W / 2, 3)."""
    high, wide = (side // 2 * 2 for side in image.shape[:2])
    yiq = image[:high, :wide].astype(np.float32) @ YIQ.T
    mean = yiq.reshape(high // 2, 2, wide // 2, 2, 3).mean(axis=(1, 3))
    return np.asarray(mean, np.float32)


def _filtered(plane: Plane, kernel: Plane) -> Plane:
    """Correlation with a kernel of an even side, zeros outside; sides stay."""
    before = (len(kernel) - 1) // 2
    filtered = cv2.filter2D(
        plane, cv2.CV_32F, kernel, anchor=(before, before), borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(filtered, np.float32)


def _similar(a: Plane, b: Plane) -> Plane:
    return np.asarray((2 * a * b + HAAR_C) / (a * a + b * b + HAAR_C), np.float32)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), np.float64)
