"""Photos: how well what looks at headshots tells good from bad, where the truth is known.

Sharp from blurred by a known amount; one person from another.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calibration.thresholds.gains import blurred, resized
from engines.hime.people import Person
from engines.runtime import Image
from stream.frame import Floats
from stream.image.headshot import EXEMPLAR_SIDE_PX
from stream.stages.exemplars import quality
from stream.stages.exemplars.face_similarity import resemblance
from stream.stages.tracking.signature import face_signature, similarity

LEAST_PHOTOS = 4
PAIRS = 4
"""Pairs of photos compared for each two people."""
SEED = 20
EXEMPLARS = 3
FAR_PX, NOISE = 32, 8.0
"""Of far faces: side of the headshot, and deviation of the noise in 8-bit levels."""


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
    """Similarity of the faces of different people at the very same place."""
    rng = np.random.default_rng(SEED)
    looks = [[_signature(photo) for photo in person.photos] for person in people]
    return [
        similarity(one[int(rng.integers(len(one)))], other[int(rng.integers(len(other)))])
        for index, one in enumerate(looks)
        for other in looks[:index]
        for _ in range(PAIRS)
    ]


def resemblances(people: Sequence[Person]) -> tuple[list[float], list[float]]:
    """Of far faces before another background to three exemplars: their own, and a stranger's.

    Raises: ValueError: fewer than two people have enough photos.
    """
    usable = [person.photos for person in people if len(person.photos) >= LEAST_PHOTOS]
    if len(usable) < 2:
        raise ValueError(f"two people with {LEAST_PHOTOS} photos are needed")
    rng = np.random.default_rng(SEED)
    own, other = [], []
    for number, photos in enumerate(usable):
        for k, photo in enumerate(photos):
            small = resized(elsewhere(photo, rng), FAR_PX)
            noisy = np.rint(small + rng.normal(0.0, NOISE, small.shape))
            far = np.clip(noisy, 0, 255).astype(np.uint8)
            rest = [one for i, one in enumerate(photos) if i != k]
            chosen = [rest[int(i)] for i in rng.permutation(len(rest))[:EXEMPLARS]]
            own.append(resemblance(far, chosen))
            step = 1 + int(rng.integers(len(usable) - 1))
            stranger = usable[(number + step) % len(usable)]
            other.append(resemblance(far, list(stranger[:EXEMPLARS])))
    return own, other


def elsewhere(photo: Image, rng: np.random.Generator) -> Image:
    """The head, an oval of the headshot, before something smooth: people walk."""
    side = photo.shape[0]
    coarse = rng.integers(20, 235, (3, 3, 3)).astype(np.uint8)
    behind = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    grid = (np.arange(side) + 0.5) / side * 2.0 - 1.0
    radius = np.hypot(grid[None, :] / 0.72, grid[:, None] / 0.95)
    alpha = np.clip((1.0 - radius) / 0.08, 0.0, 1.0)[..., None]
    return np.asarray(photo * alpha + behind * (1.0 - alpha), np.uint8)


def _exemplar(photo: Image) -> Image:
    return photo if photo.shape[0] == EXEMPLAR_SIDE_PX else resized(photo, EXEMPLAR_SIDE_PX)


def _signature(photo: Image) -> Floats:
    # A headshot is twice as wide as the face in its middle.
    middle = photo.shape[0] / 2.0
    return face_signature(photo, (middle, middle), middle)
