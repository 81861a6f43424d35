"""Photos: how well the bank's measure of sharpness tells a blurred close-up from a sharp one.

The photos are people's own; the blur is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.gains import blurred, resized
from engines.hime.people import Person
from engines.runtime import Image
from stream.frame import Floats
from stream.headshot import EXEMPLAR_SIDE_PX
from stream.stages import quality
from stream.stages.look import likeness, look_of_face

LEAST_PHOTOS = 4
PAIRS = 4
"""Pairs of photos compared for each two people."""
SEED = 20


def sharpnesses(people: Sequence[Person], sigma: float) -> list[list[float]]:
    """Sharpness of every photo of everybody who has enough, blurred by `sigma` px of 256."""
    spoil = blurred(sigma) if sigma else lambda image: image
    return [
        [quality.sharpness(spoil(_exemplar(photo))) for photo in person.photos]
        for person in people
        if len(person.photos) >= LEAST_PHOTOS
    ]


def of_best(people: Sequence[Person], sigma: float) -> list[float]:
    """The same, as a share of the sharpest photo of that person."""
    sharp = sharpnesses(people, 0.0)
    spoilt = sharp if not sigma else sharpnesses(people, sigma)
    return [
        value / max(best)
        for best, values in zip(sharp, spoilt, strict=True)
        for value in values
        if max(best) > 0.0
    ]


def strangers(people: Sequence[Person]) -> list[float]:
    """Likeness of the faces of different people at the very same place."""
    rng = np.random.default_rng(SEED)
    looks = [[_look(photo) for photo in person.photos] for person in people]
    return [
        likeness(one[int(rng.integers(len(one)))], other[int(rng.integers(len(other)))])
        for index, one in enumerate(looks)
        for other in looks[:index]
        for _ in range(PAIRS)
    ]


def _exemplar(photo: Image) -> Image:
    return photo if photo.shape[0] == EXEMPLAR_SIDE_PX else resized(photo, EXEMPLAR_SIDE_PX)


def _look(photo: Image) -> Floats:
    # A headshot is twice as wide as the face in its middle.
    middle = photo.shape[0] / 2.0
    return look_of_face(photo, (middle, middle), middle)
