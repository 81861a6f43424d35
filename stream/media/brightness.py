"""Brightness: pictures with PQ look flat and grey to a network that knows ordinary ones.

A curve shows them the ordinary way, and back: only the network's change comes back along it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

PQ = 16
"""ITU-T H.273 transfer. HLG, 18, looks ordinary as it is; that is what it was made for."""
WHITE_NITS = 203.0
"""Of paper in HDR (ITU-R BT.2408)."""
MOST_NITS = 10_000.0
GAMMA = 2.2


def ordinary(image: Image, transfer: int) -> Image:
    """A picture as an ordinary screen would show it.

    Args:    image: RGB uint8 (H, W, 3), coded with `transfer` (ITU-T H.273).
    Returns: RGB uint8 (H, W, 3); `image` itself unless it is PQ.
    """
    return np.asarray(_shown_levels()[image], np.uint8) if transfer == PQ else image


def coded(image: Image, transfer: int) -> Floats:
    """The way back from `ordinary`: float32 (H, W, 3), in 8-bit levels of the transfer."""
    return _coded_levels()[image] if transfer == PQ else image.astype(np.float32)


def _shown(code: NDArray[np.floating]) -> Floats:
    """PQ code 0..1 -> shown 0..1 (SMPTE ST 2084; then Reinhard, whose white is the brightest)."""
    power = np.power(np.maximum(code, 0.0), 1 / 78.84375)
    linear = np.maximum(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)
    light = np.power(linear, 1 / 0.1593017578125) * MOST_NITS / WHITE_NITS
    most = MOST_NITS / WHITE_NITS
    return np.asarray(np.power(light * (1 + light / most**2) / (1 + light), 1 / GAMMA), np.float32)


@cache
def _shown_levels() -> Image:
    codes = np.arange(256, dtype=np.float32) / 255
    return np.asarray(np.rint(255 * _shown(codes)), np.uint8)


@cache
def _coded_levels() -> Floats:
    fine = np.linspace(0.0, 1.0, 4096, dtype=np.float32)
    levels = np.arange(256, dtype=np.float32) / 255
    return np.asarray(255 * np.interp(levels, _shown(fine), fine), np.float32)
