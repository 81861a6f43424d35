"""Noise: the noise of a channel against its brightness.

Two looks at the same thing: from frame to frame where nothing moves, and from pixel to pixel where
there is no detail. Each can only miss noise: the first what neighbouring frames share, because a
camera or a codec carried it over, the second what neighbouring pixels share. The larger counts.
What moves, and what has detail, raises either; it is kept out by leaving such cells out, and by a
low quantile of the many cells of one brightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

CELL_PX = 16
MAX_PAIRS = 200
"""So many pairs of frames say all there is to say."""
LEAST_PAIRS = 3
BIN_LEVELS = 16
LEAST_CELLS = 24
"""Of one brightness; fewer say nothing about it."""
QUIET = 0.25
"""The quantile of the cells' variances."""
FROZEN = 0.98
"""A cell of which this share did not change at all was not sent again by the codec."""
COARSE_PX, MOVES = 5, 0.4
"""Where a change is still there in the mean of 5x5 pixels, more than this share of it, something
moved: of white noise 1/25 would be left, of noise that a camera has smoothed with 1 px, 0.3."""
CLIPPED = (8.0, 247.0)
"""Means outside are cut off at black or white, and their noise with them."""
# Response of Immerkær's kernel to noise of unit deviation is 6; a median makes 0.6745 of it.
_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0
_MEDIAN = 0.6745


@dataclass(frozen=True)
class Noise:
    """Noise of one camera, as it arrives."""

    dark: float
    """Standard deviation where a channel is 0, 8-bit levels (read noise)."""
    bright: float
    """The same where it is 255; the variance grows evenly between (shot noise)."""
    points: list[tuple[float, float, float]]
    """(level, deviation over time, deviation from pixel to pixel) as measured; 0 for unknown."""
    frozen: float
    """Share of the cells that the codec did not send again."""


class NoiseMeter:
    """Takes pairs of neighbouring frames; remembers variances alone, no pictures."""

    def __init__(self) -> None:
        self._levels: list[Floats] = []
        self._time: list[Floats] = []
        self._space: list[Floats] = []
        self._frozen: list[float] = []
        self._shape: tuple[int, ...] | None = None

    def add(self, before: Image, now: Image) -> None:
        """Two neighbouring frames, RGB uint8 (H, W, 3); ones of another size are left out."""
        if len(self._levels) >= MAX_PAIRS or before.shape != now.shape:
            return
        if self._shape not in (None, now.shape) or min(now.shape[:2]) < CELL_PX:
            return
        self._shape = now.shape
        newer = now.astype(np.float32)
        change = newer - before
        over_time = _cells(change**2).mean(axis=1) - _cells(change).mean(axis=1) ** 2
        frozen = (_cells(change) == 0.0).mean(axis=1) > FROZEN
        coarse = np.asarray(cv2.blur(change, (COARSE_PX, COARSE_PX)), np.float32)
        moves = (_cells(coarse) ** 2).mean(axis=1) > MOVES * over_time
        response = np.asarray(
            np.abs(cv2.filter2D(newer, cv2.CV_32F, _KERNEL, borderType=cv2.BORDER_REFLECT)),
            np.float32,
        )
        in_space = (np.median(_cells(response), axis=1) / _MEDIAN) ** 2
        self._levels.append(_cells(newer).mean(axis=1))
        self._time.append(np.where(frozen | moves, np.nan, over_time / 2.0).astype(np.float32))
        self._space.append(in_space.astype(np.float32))
        self._frozen.append(float(frozen.mean()))

    def measure(self) -> Noise | None:
        """The noise so far; None where too little was seen."""
        if len(self._levels) < LEAST_PAIRS:
            return None
        levels = np.median(np.stack(self._levels), axis=0)
        times = np.stack(self._time)
        sent = np.isfinite(times)
        enough = sent.sum(axis=0) >= LEAST_PAIRS
        over_time = np.full(levels.shape, np.nan)
        if enough.any():
            over_time[enough] = np.nanmedian(times[:, enough], axis=0)
        in_space = np.median(np.stack(self._space), axis=0)
        points, weights = [], []
        for low in range(0, 256, BIN_LEVELS):
            here = (levels >= low) & (levels < low + BIN_LEVELS)
            here &= (levels > CLIPPED[0]) & (levels < CLIPPED[1])
            if np.count_nonzero(here) < LEAST_CELLS:
                continue
            moving = over_time[here & np.isfinite(over_time)]
            time = float(np.quantile(moving, QUIET)) if len(moving) >= LEAST_CELLS else 0.0
            space = float(np.quantile(in_space[here], QUIET))
            points.append((float(levels[here].mean()), max(time, 0.0) ** 0.5, space**0.5))
            weights.append(float(np.count_nonzero(here)))
        if not points:
            return None
        dark, bright = _fit(np.array(points), np.array(weights))
        return Noise(dark, bright, points, float(np.mean(self._frozen)))


def _fit(points: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Deviations at 0 and at 255 of the straight line through the variances.

    A few thousand cells of one brightness outweigh a few dozen no more than some: what errs is not
    chance. A brightness at which everything moves is an outlier, and counts for little.
    """
    level = points[:, 0] / 255.0
    variance = np.maximum(points[:, 1:].max(axis=1) ** 2, 1e-3)
    if len(points) < 2 or np.ptp(level) < 0.1:
        same = float(np.sqrt(np.average(variance, weights=weights)))
        return same, same
    weight = np.minimum(weights, 10.0 * LEAST_CELLS)
    base = np.stack([1.0 - level, level], axis=1)
    trust = np.ones_like(variance)
    ends = np.zeros(2)
    for _ in range(8):
        scale = np.sqrt(weight * trust) / variance
        ends, *_ = np.linalg.lstsq(base * scale[:, None], variance * scale, rcond=None)
        off = np.abs(base @ ends - variance) / variance
        spread = max(float(np.median(off)), 0.02)
        trust = np.minimum(1.0, 2.0 * spread / np.maximum(off, 1e-9))
    dark, bright = np.sqrt(np.maximum(ends, 0.0))
    return float(dark), float(bright)


def _cells(values: NDArray[np.floating]) -> Floats:
    """(H, W, 3) → (cells and channels, CELL_PX²); what is left over at the border is left out."""
    rows, columns = values.shape[0] // CELL_PX, values.shape[1] // CELL_PX
    cut = values[: rows * CELL_PX, : columns * CELL_PX]
    split = cut.reshape(rows, CELL_PX, columns, CELL_PX, 3).transpose(0, 2, 4, 1, 3)
    return np.ascontiguousarray(split).reshape(rows * columns * 3, CELL_PX * CELL_PX)
