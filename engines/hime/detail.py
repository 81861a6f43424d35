"""How much fine detail of a picture is there, and how much of it is true.

Fine is what the camera could not see: frequencies above its Nyquist frequency, max(|u|, |v|) above
1 / (2 z) cycles a pixel in a picture shown at z pixels for each of the camera's. With X that band
of a picture and T that of the truth, after a Hann window:

    sharpness = |X|^2 / |T|^2            1: as sharp as the truth
    right     = Re<X, T> / |T|^2         the part of the truth's detail that is there
    coherence = Re<X, T> / (|X| |T|)     how much of what is there is true; 0: invented

The best picture by PSNR has sharpness = coherence^2: it is smooth exactly where it is unsure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FACE = 0.5
"""Side of the middle of a headshot, which shows the face."""


@dataclass(frozen=True)
class Detail:
    """Energies of a band, summed over pictures; adding two sums them."""

    made: float
    """|X|^2"""
    truth: float
    """|T|^2"""
    common: float
    """Re<X, T>"""

    def __add__(self, other: Detail) -> Detail:
        return Detail(self.made + other.made, self.truth + other.truth, self.common + other.common)

    @property
    def sharpness(self) -> float:
        """|X|^2 / |T|^2."""
        return self.made / max(self.truth, 1e-12)

    @property
    def right(self) -> float:
        """Re<X, T> / |T|^2."""
        return self.common / max(self.truth, 1e-12)

    @property
    def coherence(self) -> float:
        """Re<X, T> / (|X| |T|)."""
        return self.common / max(math.sqrt(self.made * self.truth), 1e-12)


def band(picture: NDArray[np.generic], zoom: float) -> NDArray[np.complex128]:
    """The frequencies above the camera's Nyquist frequency; of all others 0.

    Args:    picture: RGB (H, W, 3), any type and range. zoom: z, px for each of the camera's.
    Returns: complex (H, W), unshifted.
    Raises:  ValueError: the zoom is below one: the camera saw more than is shown.
    """
    if zoom < 1.0:
        raise ValueError(f"the zoom must be at least 1, not {zoom:g}")
    luma = picture.astype(np.float64) @ np.array(LUMA)
    rows, columns = (np.hanning(n + 2)[1:-1] for n in luma.shape)
    spectrum = np.fft.fft2((luma - luma.mean()) * rows[:, None] * columns)
    v, u = (np.abs(np.fft.fftfreq(n)) for n in luma.shape)
    spectrum[np.maximum(v[:, None], u) <= 1.0 / (2.0 * zoom)] = 0.0
    return np.asarray(spectrum)


def detail(
    picture: NDArray[np.generic], truth: NDArray[np.generic], zoom: float, part: float = 1.0
) -> Detail:
    """Compare the fine detail of a picture with the truth's.

    Args:   picture, truth: RGB (H, W, 3) of one size. zoom: see `band`.
            part: side of the middle that is looked at, as a share; `FACE` for the face alone.
    Raises: ValueError: the sizes differ, or the zoom is below one.
    """
    if picture.shape != truth.shape:
        raise ValueError(f"the pictures differ in size: {picture.shape}, {truth.shape}")
    if part < 1.0:
        edges = [round(n * (1.0 - part) / 2.0) for n in picture.shape[:2]]
        middle = tuple(slice(e, n - e) for e, n in zip(edges, picture.shape, strict=False))
        picture, truth = picture[middle], truth[middle]
    x, t = band(picture, zoom), band(truth, zoom)
    made, true = (float(np.square(np.abs(y)).sum()) for y in (x, t))
    return Detail(made, true, float((x * t.conj()).real.sum()))
