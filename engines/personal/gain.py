"""How good weights are for one person, in the face, and when personal ones are used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from engines.hime.detail import Detail

LEAST_GAIN_DB = 0.05
"""Personal weights are used from this mean gain on."""
MOST_LOSS_DB = 0.05
"""Nobody may lose so much: the lower bound of the gain is above it."""
MOST_LOSS_CHANGED_DB = 0.1
"""The same where the face is unlike all close-ups, in the mean of some changes; see
`engines.personal.method.PART`."""
MOST_DOUBT = 0.03
"""The coherence of the detail may be lower by what chance explains, and never by more than this."""
ERRORS = 1.5
"""The bounds are so many standard errors away: of a t distribution with five degrees of freedom,
90 % on one side."""
PRIOR_DB, PRIOR_COHERENCE = 0.3, 0.04
"""By how much gains differ between close-ups of one person, each damaged five times (standard
deviation; measured on five people: 0.2 to 0.5 dB, 0.02 to 0.08)."""
PRIOR_WEIGHT = 4.0
"""So many close-ups is that worth: the spread of two or three says next to nothing."""


@dataclass(frozen=True)
class Scores:
    """Of the middle of a headshot, which shows the face."""

    psnr: float
    """dB"""
    sharpness: float
    coherence: float
    """Both as `engines.hime.detail` defines them."""


@dataclass(frozen=True)
class Picture:
    """One picture that was made of a damaged held-out close-up, in the face."""

    close_up: int
    """Which of them; every one is damaged several times."""
    psnr: float
    """dB"""
    detail: Detail


@dataclass(frozen=True)
class Gain:
    """Personal over shipped weights, on close-ups that were not learnt from."""

    psnr: float
    """dB"""
    coherence: float
    psnr_error: float = 0.0
    coherence_error: float = 0.0
    """Standard errors of both."""
    changed: float = 0.0
    """dB, in parts of the face that are unlike all close-ups."""

    @property
    def pays(self) -> bool:
        """Whether the personal weights are to be used."""
        least_db = self.psnr - ERRORS * self.psnr_error
        chance = min(ERRORS * self.coherence_error, MOST_DOUBT)
        return (
            self.psnr >= LEAST_GAIN_DB
            and least_db > -MOST_LOSS_DB
            and self.coherence >= -chance
            and self.changed >= -MOST_LOSS_CHANGED_DB
        )


def gain_of(shipped: Sequence[Picture], personal: Sequence[Picture]) -> Gain:
    """What personal weights gain, from the same damaged close-ups.

    Pictures of one close-up are no independent evidence: differences are taken picture by picture,
    their mean close-up by close-up, and its error from how these differ from each other. Of few
    close-ups that spread is drawn towards the usual one (a moderated t statistic).

    Args:   shipped, personal: of the same pictures, in the same order.
    Raises: ValueError: none, or not the same.
    Source: Smyth, "Linear models and empirical Bayes methods", 2004, section 4.
    """
    places = [one.close_up for one in shipped]
    if not places or places != [one.close_up for one in personal]:
        raise ValueError("the same damaged close-ups are compared, and there must be some")
    psnrs, coherences = [], []
    for place in sorted(set(places)):
        pairs = [(a, b) for a, b in zip(shipped, personal, strict=True) if a.close_up == place]
        psnrs.append(fmean(b.psnr - a.psnr for a, b in pairs))
        before, after = (_sum([pair[k] for pair in pairs]) for k in (0, 1))
        coherences.append(after.coherence - before.coherence)
    return Gain(
        fmean(psnrs),
        _sum(personal).coherence - _sum(shipped).coherence,
        _error(psnrs, PRIOR_DB),
        _error(coherences, PRIOR_COHERENCE),
    )


def _sum(pictures: Sequence[Picture]) -> Detail:
    return sum((one.detail for one in pictures), Detail(0.0, 0.0, 0.0))


def _error(values: Sequence[float], prior: float) -> float:
    """Standard error of the mean of a few values, whose spread is usually `prior`."""
    count, mean = len(values), fmean(values)
    squares = sum((value - mean) ** 2 for value in values)
    variance = (PRIOR_WEIGHT * prior**2 + squares) / (PRIOR_WEIGHT + count - 1)
    return math.sqrt(variance / count)
