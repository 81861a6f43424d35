"""Spectrum: blur that is wider than edges can tell, from how fast fine detail of faces fades.

The edges of a face lie a few pixels apart; blur as wide as that mixes them. But what a Gaussian
takes of detail is known at every frequency, and the same face seen at two sizes has the same detail
at other frequencies: what is left of it at each size tells the blur, whatever the face has. Where a
face was seen at one size alone, its detail is taken to be that of most faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Image

Numbers = NDArray[np.float64]

EDGES = np.geomspace(3.0, 120.0, 27)
"""Bands of detail, in waves across the headshot."""
MIDDLES = np.sqrt(EDGES[1:] * EDGES[:-1])
FALL = 2.35
"""The power of a face's detail falls with this power of the frequency: chosen on photos of 24
people, blurred by 2 to 6 px of 256."""
UNLIKE, ERROR = 0.5, 0.12
"""How far (natural logarithm) the detail of one face is from that, and what a measurement errs."""
LEAST_CELLS = 4
"""Fewer numbers of a spectrum than this make no band."""
FINEST, FINEST_FITTED = 0.42, 0.3
"""Waves a pixel: beyond the first there are corners alone; beyond the second, little but noise."""
ABOVE_NOISE = 30.0
"""Bands count as far as they have this many times the power of noise and codec."""
SIZES_PER_OCTAVE = 4
LEAST_BANDS = 6
TRIED_PX = np.geomspace(0.2, 8.0, 60)


@dataclass(frozen=True)
class Spectrum:
    """The detail of one headshot."""

    side_px: float
    power: Numbers
    """float64 (26,): mean power in each band; NaN where there is none."""


def spectrum(headshot: Image) -> Spectrum:
    """Args: headshot: RGB uint8 (side, side, 3), at the pixels of the camera."""
    luma = np.asarray(cv2.cvtColor(headshot, cv2.COLOR_RGB2GRAY), np.float64)
    side = luma.shape[0]
    window = np.hanning(side + 2)[1:-1]
    window = window[:, None] * window[None]
    level = (luma - float((luma * window).sum() / window.sum())) * window
    power = np.abs(np.fft.fft2(level)) ** 2 / np.sum(window**2)
    waves = side * np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    inside = (waves >= EDGES[0]) & (waves < min(EDGES[-1], FINEST * side))
    band = np.searchsorted(EDGES, waves[inside], "right") - 1
    count = np.bincount(band, minlength=len(MIDDLES))
    total = np.bincount(band, power[inside], len(MIDDLES))
    mean = np.where(count >= LEAST_CELLS, total / np.maximum(count, 1), np.nan)
    return Spectrum(float(side), np.asarray(mean, np.float64))


def blur_of(spectra: Sequence[Spectrum]) -> float | None:
    """Standard deviation of the blur that all these headshots of one camera have.

    Returns: px of the camera, from about 1 on; None where too little stands out of the noise.
    """
    groups: dict[int, list[Spectrum]] = {}
    for one in spectra:
        size = round(SIZES_PER_OCTAVE * float(np.log2(one.side_px)))
        groups.setdefault(size, []).append(one)
    rows, values = [], []
    unknowns = len(MIDDLES) + len(groups) + 1
    for number, group in enumerate(groups.values()):
        side = float(np.mean([one.side_px for one in group]))
        bands, detail, error = _above_noise(side, np.mean([one.power for one in group], axis=0))
        row = np.zeros((len(bands), unknowns))
        row[np.arange(len(bands)), bands] = 1.0
        # How strong the face's contrast is at this size is unknown, too.
        row[:, len(MIDDLES) + number] = 1.0
        row[:, -1] = -_fading(MIDDLES[bands] / side)
        rows.append(row / error[:, None])
        values.append((np.log(detail) + FALL * np.log(MIDDLES[bands])) / error)
    if not rows or max(len(row) for row in rows) < LEAST_BANDS:
        return None
    usual = np.zeros((len(MIDDLES), unknowns))
    usual[:, : len(MIDDLES)] = np.eye(len(MIDDLES)) / UNLIKE
    everything = np.concatenate([*rows, usual])
    found, *_ = np.linalg.lstsq(everything, np.concatenate([*values, np.zeros(len(usual))]))
    return float(np.sqrt(max(found[-1], 0.0)))


def _above_noise(side: float, power: Numbers) -> tuple[NDArray[np.int64], Numbers, Numbers]:
    """Bands, from the coarsest to the last that stands out; their power without noise; error."""
    known = np.flatnonzero(np.isfinite(power) & (FINEST_FITTED * side > MIDDLES))
    if len(known) < LEAST_BANDS:
        return known[:0], power[:0], power[:0]
    noise = _noise(MIDDLES[known] / side, power[known])
    buried = np.flatnonzero(power[known] <= ABOVE_NOISE * noise)
    bands = known[: buried[0]] if len(buried) else known
    error = np.hypot(ERROR, noise / power[bands])
    return bands, power[bands] - noise, error


def _noise(frequency: Numbers, power: Numbers) -> float:
    """Power that every band has more than a blurred face of the usual detail would."""
    least, noise = np.inf, 0.0
    for blur_px in TRIED_PX:
        face = frequency**-FALL * np.exp(-_fading(frequency) * blur_px**2)
        shares = np.stack([face / power, 1.0 / power], axis=1)
        (strength, level), *_ = np.linalg.lstsq(shares, np.ones(len(power)))
        if level < 0.0:
            strength, level = float(shares[:, 0].sum() / np.sum(shares[:, 0] ** 2)), 0.0
        if strength > 0.0:
            off = float(np.sum(np.log((strength * face + level) / power) ** 2))
            if off < least:
                least, noise = off, float(level)
    return noise


def _fading(frequency: Numbers) -> Numbers:
    """What blur of 1 px takes of the logarithm of the power; frequency: waves a pixel."""
    return np.asarray(4.0 * np.pi**2 * frequency**2, np.float64)
