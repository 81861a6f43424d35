"""How good weights are for one person, in the face, and when personal ones are used."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_GAIN_DB = 0.05
"""Personal weights are used from this gain on, and where the detail is no less true."""
COHERENCE_NOISE = 0.01
"""So much does the coherence of a few held-out close-ups vary by their damage alone."""


@dataclass(frozen=True)
class Scores:
    """Of the middle of a headshot, which shows the face."""

    psnr: float
    """dB"""
    sharpness: float
    coherence: float
    """Both as `engines.hime.detail` defines them."""

    def over(self, other: Scores) -> Gain:
        """What these have gained over others."""
        return Gain(self.psnr - other.psnr, self.coherence - other.coherence)


@dataclass(frozen=True)
class Gain:
    """Personal over shipped weights, on close-ups that were not learnt from."""

    psnr: float
    """dB"""
    coherence: float

    @property
    def pays(self) -> bool:
        """Whether the personal weights are to be used."""
        return self.psnr >= LEAST_GAIN_DB and self.coherence >= -COHERENCE_NOISE
