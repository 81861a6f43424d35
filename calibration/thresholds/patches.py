"""Patches: which ones are worth showing, by what check and gate measure of them.

Both see no truth in a call; here it is known. The consistency check's patches lie in their place or
beside it, or show another moment, somebody else or nonsense; the exemplar gate's come from
exemplars that fit, are out of focus, blank or somebody else's. The label is whether the picture
comes nearer to the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from calibration.thresholds.gains import EXEMPLARS, SCALE, SEED, blurred, psnr, resized
from engines.aligned_enhancement import enhanced
from engines.hime import degrade
from engines.hime.people import Person
from engines.runtime import Image, Runtime
from stream.stages.compositing.compositor import back_project
from stream.stages.enhancement.consistency_check import difference
from stream.stages.enhancement.exemplar_gate import detail

SIDE_PX = 32
"""Of the far headshots."""
ASIDE_PX, MOVES = 4.0, 8
"""So far, px of the camera, patches are shown beside their place, and so many of each face."""
BLURS_PX, SOFT = (0.5, 8.0), 3
"""Exemplars out of focus, px of 256, evenly in the logarithm, and so many sets of each face."""
NEXT_PX = 1
"""Of the truth: so far a face moves until the next frame, which else is damaged alike."""


@dataclass
class Patches:
    """What was measured, one entry for each patch."""

    differs: list[float] = field(default_factory=list)
    """As the consistency check measures it ..."""
    shown_db: list[float] = field(default_factory=list)
    """... and what showing the patch gains over enlarging the camera's picture, dB."""
    detail: list[float] = field(default_factory=list)
    """As the exemplar gate measures it: with exemplars over without ..."""
    given_db: list[float] = field(default_factory=list)
    """... and what these exemplars gain over none, dB."""
    differs_again: list[float] = field(default_factory=list)
    detail_again: list[float] = field(default_factory=list)
    """How much the two measures of one face differ in the next frame."""


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
        self._alone = network.enhance(self._crop, None)

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

        self._give(found, own)
        sets = [self._own[:1], self._others, [np.full_like(self._truth, 128)]]
        low, high = np.log(BLURS_PX)
        for sigma in np.exp(self._rng.uniform(low, high, SOFT)):
            sets.append([blurred(float(sigma))(one) for one in self._own])
        for given in sets:
            self._give(found, self._with(self._crop, given))

        again = self._damaged(np.roll(self._truth, NEXT_PX, 1))
        patch, alone = self._with(again, self._own), self._network.enhance(again, None)
        found.differs_again.append(difference(patch, again) - difference(own, self._crop))
        found.detail_again.append(
            detail(patch, SCALE) / detail(alone, SCALE)
            - detail(own, SCALE) / detail(self._alone, SCALE)
        )

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

    def _give(self, found: Patches, patch: Image) -> None:
        found.detail.append(detail(patch, SCALE) / max(detail(self._alone, SCALE), 1e-3))
        found.given_db.append(psnr(patch, self._truth) - psnr(self._alone, self._truth))
