"""Gains: what exemplars are worth to the network, and what blur, distance and light take of that.

A photo of somebody is made small and damaged as in a call; the network enlarges it, with three
other photos of the same person as exemplars, and without. The difference in PSNR is what they are
worth. Then they are spoilt by a known amount, and the network is asked again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.aligned_enhancement import enhanced
from engines.hime import degrade
from engines.hime.people import Person
from engines.runtime import Image, Runtime

SCALE = 4
EXEMPLARS = 3
SEED = 20
BLURS_PX = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Standard deviations, px of an exemplar of 256."""
SIDES_PX = (256.0, 192.0, 128.0, 96.0, 64.0, 48.0, 40.0, 32.0)
LIGHTS = (0.35, 0.6, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0)
"""Factors."""

Spoil = Callable[[Image], Image]


@dataclass(frozen=True)
class Case:
    """A far face, its truth, and exemplars of the same person."""

    crop: Image
    truth: Image
    exemplars: list[Image]
    """As large as the photos are."""


def cases(people: Sequence[Person], limit: int, side_px: int) -> list[Case]:
    """About `limit` far faces, evenly over all people with enough photos.

    Args:    side_px: of the far headshots; larger ones show more of what spoils an exemplar.
    Raises: ValueError: nobody has enough.
    """
    side = SCALE * side_px
    usable = [p for p in people if len(p.photos) > EXEMPLARS and p.photos[0].shape[0] >= side]
    index = [(p, k) for p in usable for k in range(len(p.photos))]
    if not index:
        raise ValueError(f"nobody has {EXEMPLARS + 1} photos of {side} px or more")
    rng = np.random.default_rng(SEED)
    made = []
    for number in np.unique(np.linspace(0, len(index) - 1, min(limit, len(index))).astype(int)):
        person, k = index[int(number)]
        others = [one for i, one in enumerate(person.photos) if i != k]
        chosen = [others[int(i)] for i in rng.permutation(len(others))[:EXEMPLARS]]
        truth = resized(person.photos[k], side)
        made.append(Case(degrade.call([truth], SCALE, rng)[0], truth, chosen))
    return made


def blurred(sigma: float) -> Spoil:
    """Out of focus by `sigma` px of 256."""
    return lambda image: np.asarray(
        cv2.GaussianBlur(image, (0, 0), sigma * image.shape[0] / 256.0), np.uint8
    )


def far(side_px: float) -> Spoil:
    """Seen by a camera that had only `side_px` for the headshot."""
    return lambda image: resized(resized(image, round(side_px)), image.shape[0])


def lit(factor: float) -> Spoil:
    """In so much more or less light."""
    return lambda image: np.clip(np.rint(image * factor), 0, 255).astype(np.uint8)


class GainMeter:
    """Says what exemplars are worth on some far faces.

    Raises: ValueError: nothing, so that nothing can be said of what spoils them.
    """

    def __init__(self, runtime: Runtime, given: Sequence[Case]) -> None:
        self._runtime, self._given = runtime, given
        self._alone = [psnr(runtime.enhance(one.crop, None), one.truth) for one in given]
        self.full = self.worth(lambda image: image)
        """What unspoilt exemplars are worth: dB over none, averaged."""
        if self.full <= 0.0:
            raise ValueError(f"exemplars gain {self.full:+.2f} dB here: give photos of one session")

    def worth(self, spoil: Spoil) -> float:
        """What spoilt exemplars are worth: dB over none, averaged."""
        gains = []
        for case, alone in zip(self._given, self._alone, strict=True):
            side = case.truth.shape[0]
            given = [resized(spoil(one), side) for one in case.exemplars]
            gains.append(psnr(enhanced(self._runtime, case.crop, given), case.truth) - alone)
        return float(np.mean(gains))

    def shares(
        self, spoils: Callable[[float], Spoil], amounts: Sequence[float]
    ) -> list[tuple[float, float]]:
        """(amount, share of the worth that is left) for each amount."""
        return [(amount, self.worth(spoils(amount)) / self.full) for amount in amounts]


def crossing(line: Sequence[tuple[float, float]], share: float) -> float | None:
    """Where a line of (amount, share) first falls to `share`; None where it does not."""
    for (a, high), (b, low) in itertools.pairwise(line):
        if high >= share > low:
            return a + (b - a) * (high - share) / (high - low)
    return None


def resized(image: Image, side: int) -> Image:
    """A square picture at another side: by area where it shrinks, else Lanczos."""
    how = cv2.INTER_AREA if side < image.shape[0] else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(image, (side, side), interpolation=how), np.uint8)


def psnr(image: Image, truth: Image) -> float:
    """In dB, over all channels; 100 for equal pictures."""
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return min(100.0, 10.0 * np.log10(255.0**2 / error)) if error else 100.0
