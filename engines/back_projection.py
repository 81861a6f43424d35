"""Back-projection: a patch is made to agree with what the camera saw.

Irani and Peleg, "Improving resolution by image registration", 1991, with the camera's noise and
the codec's damage left out of what is added back.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.contract import Image

Floats = NDArray[np.float32]
NOISE_LEAST, NOISE_MOST = 0.5, 4.0
"""Bounds of the camera's noise, standard deviation in 8-bit levels. What fine texture adds to the
estimate must not excuse a patch that contradicts the camera."""
TOLERANCE = 2.0
"""Differences within this many standard deviations are noise, and stay out."""
DAMAGE = 0.5
"""So are differences within this part of the local contrast: a codec errs most where the picture is
busy, and adding its damage back would undo the network's work. Measured in the bench's `walk` on
four recordings: patches of 29.41 dB become 29.47 dB with it, 29.36 with a quarter and 29.48 with
all; the same patches two pixels of the camera aside, which the consistency check would not let
pass, are pulled from 15.9 to 23.5 dB, with a quarter to 25.3 and with all to 20.6."""
GRAIN = 0.7
"""Of the camera's own grain, which the network takes out, so much is put back: a smooth face before
a background that is not looks pasted in. It is that of the very frame, so it changes as the
background does. Chosen on two people in the bench's `frozen`. The demo's face has 0.94 times the
grain around it in the camera's enlarged picture; without this it had 0.67, with it 0.91."""
GRAIN_PX = 1.0
"""What changes over more than this, in px of the camera, is not grain: a codec's damage mostly."""
CONTRAST_PX = 1.5
LIGHT_PART = 1.0 / 12.0
"""Brightness: what changes over more than this part of the crop; always matched."""
LIGHT_LEAST_PX = 3.0
COLOUR_PX = 8.0
"""Colour, likewise, in px of the camera. What is finer a codec has hardly sent: given back over as
little as brightness, it took a quarter of a decibel of what exemplars know of colour."""
MAD_TO_DEVIATION = 1.4826
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)
# A second difference in both directions: zero on linear gradients; its response to white noise has
# 6 times the deviation (Immerkaer, Fast noise variance estimation, 1996).
_HIGH_PASS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0


def back_project(
    patch: Image,
    crop: Image,
    noise_at: Callable[[Floats], Floats] | None = None,
    grain: float = GRAIN,
) -> Image:
    """Make a patch agree with what the camera saw.

    The patch is shrunk back and compared with the crop. Of the difference, colour and brightness
    (low frequencies) are added back in full, the rest as far as it exceeds what the camera's noise
    and the codec explain; of what is as fine and as faint as noise, a part.

    Args:    patch: RGB uint8 (s*b, s*b, 3). crop: RGB uint8 (b, b, 3), the camera's pixels.
             noise_at: of levels float32 (b, b, 3), 0..255: standard deviation of the camera's
             noise, where it was measured; it counts where it is more than a guess from the crop.
             grain: that part, 0..1.
    Returns: RGB uint8 (s*b, s*b, 3), a new array.
    """
    side = crop.shape[0]
    seen = crop.astype(np.float32)
    shrunk = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
    difference = seen - shrunk.astype(np.float32)
    grey = np.repeat(_luma(difference), 3, axis=2)
    colour = difference - grey
    light = cv2.GaussianBlur(grey, (0, 0), max(LIGHT_LEAST_PX, LIGHT_PART * side))
    hue = cv2.GaussianBlur(colour, (0, 0), COLOUR_PX)
    low = light + hue
    mean, contrast = _local(seen)
    noise = noise_level(seen)
    if noise_at is not None:
        # Each may miss some: the guess what neighbouring pixels share, the profile what a codec
        # has done since.
        noise = np.maximum(noise_at(mean), noise)
    excess = _beyond(grey - light, TOLERANCE * noise + DAMAGE * _luma(contrast))
    excess += _beyond(colour - hue, TOLERANCE * noise + DAMAGE * contrast)
    fine = difference - low
    speckle = np.clip(fine, -TOLERANCE * noise, TOLERANCE * noise)
    speckle -= cv2.GaussianBlur(speckle, (0, 0), GRAIN_PX)
    correction = low + excess + grain * speckle
    enlarged = cv2.resize(
        correction, (patch.shape[1], patch.shape[0]), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(np.rint(patch + enlarged), 0.0, 255.0), np.uint8)


def noise_level(crop: Floats) -> Floats:
    """The camera's noise in a crop: float32 (3,), standard deviation of each channel, bounded.

    A median, so that edges, which are few, do not count as noise.
    """
    response = np.abs(cv2.filter2D(crop, cv2.CV_32F, _HIGH_PASS, borderType=cv2.BORDER_REFLECT))
    deviation = MAD_TO_DEVIATION * np.median(response.reshape(-1, 3), axis=0)
    return np.asarray(np.clip(deviation, NOISE_LEAST, NOISE_MOST), np.float32)


def _beyond(difference: Floats, tolerance: Floats) -> Floats:
    """What a difference is more than what is tolerated of it."""
    return np.asarray(difference - np.clip(difference, -tolerance, tolerance), np.float32)


def _luma(picture: Floats) -> Floats:
    """Rec. 601: float32 (h, w, 1)."""
    return np.asarray(cv2.transform(picture, _LUMA), np.float32)[..., None]


def _local(crop: Floats) -> tuple[Floats, Floats]:
    """Local mean and standard deviation of each channel: float32 (b, b, 3) both."""
    mean = np.asarray(cv2.GaussianBlur(crop, (0, 0), CONTRAST_PX), np.float32)
    power = np.asarray(cv2.GaussianBlur(crop * crop, (0, 0), CONTRAST_PX), np.float32)
    return mean, np.sqrt(np.maximum(power - mean * mean, 0.0))
