"""Kept people: made up, for tests of what keeps and uses them."""

from __future__ import annotations

import numpy as np

from engines.personal.gain import Gain
from engines.personal.personal_weights import PersonalWeights, shipped_digests
from stream.known_people.encryption import Encryption, NoKeyError
from stream.known_people.known_person import KeptCloseUp, KnownPerson

BIAS = "reconstruction.last.bias"
# Eyes, nose, mouth and ears of a frontal face in a close-up, px.
KEYPOINTS = np.array([[102, 102], [154, 102], [128, 128], [128, 154], [77, 128], [179, 128]])


class Plain(Encryption):
    """There is no keyring."""

    def _fernet(self, *, make: bool) -> None:
        raise NoKeyError("no keyring")


def close_up(
    level: int = 100, day: str = "2026-01-02", yaw: float = 0.0, sharpness: float = 0.1
) -> KeptCloseUp:
    """Of one grey."""
    image = np.full((256, 256, 3), level, np.uint8)
    return KeptCloseUp(image, KEYPOINTS.astype(np.float32), day, 240, (yaw, 0.0), sharpness)


def known_person(name: str, count: int = 8) -> KnownPerson:
    """Learnt for x4, and for x8 without a gain."""
    weights = PersonalWeights(4, {BIAS: np.full(12, 0.1, np.float32)}, shipped_digests(4))
    return KnownPerson(
        name,
        [close_up(100 + k, yaw=0.05 * k) for k in range(count)],
        {4: weights},
        {4: Gain(0.5, 0.02), 8: Gain(0.01, 0.0)},
        {scale: shipped_digests(scale) for scale in (4, 8)},
    )
