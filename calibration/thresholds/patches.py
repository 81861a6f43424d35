"""Patches: which ones are worth showing, by what the consistency check measures of them.

It sees no truth in a call; here it is known. Patches lie in their place or beside it, or show
another moment, somebody else or nonsense. The label is whether the picture comes nearer to the
truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from calibration.thresholds.gains import EXEMPLARS, SCALE, SEED, psnr, resized
from engines.aligned_enhancement import enhanced
from engines.back_projection import back_project
from engines.hime import degrade
from engines.hime.people import Person
from engines.runtime import Image, Runtime
from stream.stages.enhancement.consistency_check import difference

SIDE_PX = 32
"""Of the far headshots."""
ASIDE_PX, MOVES = 4.0, 8
"""So far, px of the camera, patches are shown beside their place, and so many of each face."""
NEXT_PX = 1
"""Of the truth: so far a face moves until the next frame, which else is damaged alike."""


@dataclass
class Patches:
    """What was measured, one entry for each patch."""

    differs: list[float] = field(default_factory=list)
    """As the consistency check measures it ..."""
    shown_db: list[float] = field(default_factory=list)
    """... and what showing the patch gains over enlarging the camera's picture, dB."""
    differs_again: list[float] = field(default_factory=list)
    """How much the measure of one face differs in the next frame."""


def patches(network: Runtime, people: Sequence[Person]) -> Patches:
    """A far face of everybody who has enough photos that are large enough.

    Raises: ValueError: fewer than two have.
    """
    side = SCALE * SIDE_PX
    usable = [p for p in people if len(p.photos) > EXEMPLARS and p.photos[0].shape[0] >= side]
    if len(usable) < 2:
        raise ValueError(f"two people with {EXEMPLARS + 1} photos of {side} px or more are needed")
    found = Patches()
    for number, person in enumerate(usable):
        stranger = usable[(number + 1) % len(usable)]
        _Face(network, person, stranger, number).measure(found)
    return found


class _Face:
    """One far face, its truth, and what may be shown in its place."""

    def __init__(self, network: Runtime, person: Person, stranger: Person, number: int) -> None:
        self._network = network
        self._rng = np.random.default_rng([SEED, number])
        first, second, *rest = self._rng.permutation(len(person.photos))
        photos = [resized(photo, SCALE * SIDE_PX) for photo in person.photos]
        self._truth, self._later = photos[first], photos[second]
        self._own = [photos[i] for i in [*rest, second][:EXEMPLARS]]
        self._others = [resized(one, SCALE * SIDE_PX) for one in stranger.photos[:EXEMPLARS]]
        self._damage = [SEED, number, 1]
        self._crop = self._damaged(self._truth)

    def measure(self, found: Patches) -> None:
        """Take everything in."""
        own = self._with(self._crop, self._own)
        base = np.asarray(
            cv2.resize(self._crop, self._truth.shape[:2], interpolation=cv2.INTER_CUBIC), np.uint8
        )
        self._show(found, own, base)
        for _ in range(MOVES):
            far, way = self._rng.uniform(0.0, ASIDE_PX * SCALE), self._rng.uniform(0.0, 2 * np.pi)
            shift = (round(far * np.sin(way)), round(far * np.cos(way)))
            self._show(found, np.roll(own, shift, (0, 1)), base)
        elsewhere = self._with(self._damaged(self._later), self._own)
        self._show(found, elsewhere, base)
        somebody = self._with(self._damaged(self._others[0]), self._others)
        self._show(found, somebody, base)
        # As of a runtime that computes nonsense.
        noise = self._rng.integers(0, 256, self._truth.shape, np.uint8)
        for nonsense in (255 - own, np.zeros_like(own), noise):
            self._show(found, nonsense, base)

        again = self._damaged(np.roll(self._truth, NEXT_PX, 1))
        patch = self._with(again, self._own)
        found.differs_again.append(difference(patch, again) - difference(own, self._crop))

    def _damaged(self, truth: Image) -> Image:
        # The same numbers are drawn each time: the same camera in the same light.
        return degrade.call([truth], SCALE, np.random.default_rng(self._damage))[0]

    def _with(self, crop: Image, given: Sequence[Image]) -> Image:
        return enhanced(self._network, crop, given)

    def _show(self, found: Patches, patch: Image, base: Image) -> None:
        # Without the grain that is given back for its looks.
        shown = back_project(patch, self._crop, grain=0.0)
        found.differs.append(difference(patch, self._crop))
        found.shown_db.append(psnr(shown, self._truth) - psnr(base, self._truth))
