"""Quality: how good a headshot is as an exemplar. Pure functions of pictures and keypoints.

Headshots are measured at the size at which they are kept (`stream.image.headshot.to_exemplar`), so
that figures of faces at different distances can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image, tilt_of_eyes

# Rec. 601 luma, as the camera's own codec sees it.
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)
# Immerkær's kernel: zero on planes and straight edges, so its response is mostly noise.
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# Noise of unit variance has this standard deviation after that kernel, and this variance in the
# band of fine detail (difference of the two Gaussians below); both follow from the kernels.
_NOISE_KERNEL_GAIN = 6.0
_FINE_SIGMA, _COARSE_SIGMA = 0.7, 1.6
# A face of lower contrast than this (grey levels) is as good as blank.
_LEAST_CONTRAST = 8.0
_CLIPPED_LOW, _CLIPPED_HIGH = 5, 250


@dataclass(frozen=True)
class Exposure:
    """How a face is lit."""

    mean: float
    """Mean luma of the inner face, 0..255."""
    clipped: float
    """Share of the inner face that is black or burnt out, 0..1."""


@dataclass(frozen=True)
class Pose:
    """Where a head points. (0, 0, 0) looks into the camera, upright."""

    yaw: float
    """How far the nose is off the middle of the eyes, in distances between the eyes; positive to
    the right of the picture. 0.35 is about 25 degrees."""
    pitch: float
    """How far the nose is below where it is in a face seen from the front, in the same unit;
    positive when looking down."""
    roll: float
    """Tilt of the line of the eyes, radians; positive clockwise."""


def sharpness(headshot: Image) -> float:
    """Share of fine detail in the contrast of the inner face, without what noise adds to it.

    Args:    headshot: RGB uint8 (256, 256, 3).
    Returns: 0 (blurred) to about 0.3. Good recordings measure 0.08 to 0.2, which depends on the
             face (dark hair raises the contrast): compare pictures of one person. Blur of 1 px
             takes 30 % off, of 2 px 60 %; noise of 8 grey levels or dimmer light, 2 % at most.
    Source:  band energy (difference of Gaussians); noise after Immerkær, "Fast Noise Variance
             Estimation", CVIU 1996, with the median in place of the mean, which edges would raise.
    """
    luma = _inner_luma(headshot)
    noise = cv2.filter2D(luma, cv2.CV_32F, _NOISE_KERNEL)
    noise_sigma = float(np.median(np.abs(noise))) / 0.6745 / _NOISE_KERNEL_GAIN
    fine = np.asarray(cv2.GaussianBlur(luma, (0, 0), _FINE_SIGMA), np.float32)
    fine = fine - np.asarray(cv2.GaussianBlur(luma, (0, 0), _COARSE_SIGMA), np.float32)
    energy = float(np.mean(fine[4:-4, 4:-4] ** 2)) - _noise_share() * noise_sigma**2
    contrast = max(float(luma.std()), _LEAST_CONTRAST)
    return math.sqrt(max(energy, 0.0)) / contrast


def exposure(headshot: Image) -> Exposure:
    """How the inner face is lit.

    Args:    headshot: RGB uint8 (side, side, 3).
    """
    luma = _inner_luma(headshot)
    clipped = np.mean((luma <= _CLIPPED_LOW) | (luma >= _CLIPPED_HIGH))
    return Exposure(mean=float(luma.mean()), clipped=float(clipped))


def pose(keypoints: Floats) -> Pose:
    """Where a head points, from six keypoints.

    Args:    keypoints: float32 (6, 2) px: right eye, left eye, nose tip, mouth, right ear, left
             ear (the person's own right and left).
    Returns: zeros where the keypoints fall together.
    """
    points: NDArray[np.float64] = keypoints.astype(np.float64)
    right, left, nose, mouth = points[:4]
    line = left - right
    roll = tilt_of_eyes(points)
    upright = np.array([[math.cos(roll), math.sin(roll)], [-math.sin(roll), math.cos(roll)]])
    middle = (right + left) / 2.0
    nose_x, nose_y = upright @ (nose - middle)
    mouth_y = float((upright @ (mouth - middle))[1])
    # Eyes come together as a head turns; their distance to the mouth does not, and is about 1.1 of
    # it from the front. The larger of the two is the unit.
    unit = max(float(np.hypot(*line)), 0.9 * mouth_y)
    if unit < 1e-3:
        return Pose(0.0, 0.0, 0.0)
    # From the front the nose tip is at half of the way from the eyes to the mouth
    # (the median of fourteen recordings of people who talk to a camera).
    return Pose(yaw=float(nose_x) / unit, pitch=(float(nose_y) - 0.5 * mouth_y) / unit, roll=roll)


def _inner_luma(headshot: Image) -> Floats:
    """Luma of the middle half, which is the face box: float32 (side / 2, side / 2)."""
    height, width = headshot.shape[:2]
    inner = headshot[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return np.asarray(cv2.transform(inner.astype(np.float32), _LUMA), np.float32)


def _noise_share() -> float:
    """Variance that white noise of unit variance leaves in the band of fine detail."""
    a, b = _FINE_SIGMA**2, _COARSE_SIGMA**2
    # Integral over the plane of the squared difference of two Gaussians.
    return (1.0 / (4.0 * a) + 1.0 / (4.0 * b) - 1.0 / (a + b)) / math.pi
