"""KnownPerson: what is kept of one person for all calls, and its form as bytes.

Close-ups and personal weights are biometric data: in memory they are overwritten with zeros when
nobody needs them any more, and only `stream.known_people.people_store` writes them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engines.personal.close_ups import CloseUp
from engines.personal.gain import Gain
from engines.personal.personal_weights import PersonalWeights, shipped_digests
from stream.errors import InputError
from stream.frame import Exemplar, Face, Floats, Image, tilt_of_eyes
from stream.image.headshot import EXEMPLAR_SIDE_PX

MOST_CLOSE_UPS = 36
"""Kept of a person, of all days together: 7 MB in memory."""
BEFORE_S = -3600.0
"""When kept close-ups count as seen, in the time of a call: what a person has now wins."""
_FACTS = "facts"


@dataclass(frozen=True, eq=False)
class KeptCloseUp:
    """A close, sharp headshot of some day."""

    image: Image
    """RGB uint8 (256, 256, 3)."""
    keypoints: Floats
    """float32 (6, 2), px of `image`, as of `stream.frame.Face`."""
    day: str
    """YYYY-MM-DD."""
    side_px: int
    pose: tuple[float, float]
    sharpness: float
    """These three as of `stream.frame.Exemplar`."""

    @property
    def face(self) -> Face:
        """Where the face is in it: the box is its middle half."""
        quarter = EXEMPLAR_SIDE_PX // 4
        box = np.array([quarter, quarter, 3 * quarter, 3 * quarter], np.float32)
        return Face(0, box, self.keypoints, 1.0)

    @property
    def roll(self) -> float:
        """As of `stream.frame.Exemplar`."""
        return tilt_of_eyes(self.keypoints)

    def exemplar(self) -> Exemplar:
        """A copy for the bank, which wipes its own."""
        image = self.image.copy()
        image.setflags(write=False)
        return Exemplar(image, self.side_px, self.pose, self.sharpness, BEFORE_S, self.roll)

    def wipe(self) -> None:
        """Overwrite it with zeros."""
        for numbers in (self.image, self.keypoints):
            numbers.setflags(write=True)
            numbers.fill(0)


@dataclass
class KnownPerson:
    """Somebody who is kept."""

    name: str
    close_ups: list[KeptCloseUp] = field(default_factory=list, repr=False)
    """In the order of days, and of time within a day; at most `MOST_CLOSE_UPS`."""
    weights: dict[int, PersonalWeights] = field(default_factory=dict, repr=False)
    """By scale; one that is missing is better with the shipped weights."""
    gains: dict[int, Gain] = field(default_factory=dict)
    """By scale: what learning brought; also where that was too little for `weights`."""
    learnt_from: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """By scale: SHA-256 of the shipped weights that were the start."""

    @property
    def days(self) -> list[str]:
        """On which close-ups were taken in, in order."""
        return sorted({one.day for one in self.close_ups})

    @property
    def outdated(self) -> bool:
        """Whether it is to be learnt again: other weights are shipped than it was learnt from.

        Raises: WeightsError: the shipped ones are damaged.
        """
        return any(of != shipped_digests(scale) for scale, of in self.learnt_from.items())

    def usable_weights(self) -> list[PersonalWeights]:
        """Those that fit the shipped ones. Raises: WeightsError: as `outdated`."""
        return [one for one in self.weights.values() if one.of == shipped_digests(one.scale)]

    def add(self, close_ups: Iterable[KeptCloseUp]) -> None:
        """Take in close-ups of one more day, and let go of what is surplus: of the day with the
        most, the blunter of the two that are most alike in pose."""
        self.close_ups = sorted([*self.close_ups, *close_ups], key=lambda one: one.day)
        while len(self.close_ups) > MOST_CLOSE_UPS:
            counts = [
                sum(other.day == one.day for other in self.close_ups) for one in self.close_ups
            ]
            largest = self.close_ups[counts.index(max(counts))].day
            loser = _surplus([one for one in self.close_ups if one.day == largest])
            self.close_ups = [one for one in self.close_ups if one is not loser]
            loser.wipe()

    def learn(self, scale: int, weights: PersonalWeights | None, gain: Gain) -> None:
        """Take over what was learnt from the shipped weights, and let go of what was learnt from
        other ones before, at any scale.

        Args: weights: None: the shipped ones are as good.
        """
        outdated = [one for one, of in self.learnt_from.items() if of != shipped_digests(one)]
        for one in {scale, *outdated}:
            if (before := self.weights.pop(one, None)) is not None:
                before.wipe()
            self.gains.pop(one, None)
            self.learnt_from.pop(one, None)
        if weights is not None:
            self.weights[scale] = weights
        self.gains[scale] = gain
        self.learnt_from[scale] = shipped_digests(scale)

    def to_learn(self) -> tuple[CloseUp, ...]:
        """All of them in their order, as training takes them."""
        return tuple(CloseUp(one.image, float(k)) for k, one in enumerate(self.close_ups))

    def wipe(self) -> None:
        """Overwrite everything with zeros and let go of it. May be called again."""
        for close_up in self.close_ups:
            close_up.wipe()
        for weights in self.weights.values():
            weights.wipe()
        self.close_ups, self.weights = [], {}

    def to_bytes(self) -> bytes:
        """For the store."""
        facts = {
            "days": [one.day for one in self.close_ups],
            "sides_px": [one.side_px for one in self.close_ups],
            "poses": [one.pose for one in self.close_ups],
            "sharpness": [one.sharpness for one in self.close_ups],
            "gains": {scale: [gain.psnr, gain.coherence] for scale, gain in self.gains.items()},
            "learnt_from": self.learnt_from,
        }
        side = EXEMPLAR_SIDE_PX
        arrays: dict[str, Any] = {
            "images": np.stack([one.image for one in self.close_ups])
            if self.close_ups
            else np.zeros((0, side, side, 3), np.uint8),
            "keypoints": np.array([one.keypoints for one in self.close_ups], np.float32),
            _FACTS: np.array(json.dumps(facts)),
        }
        for scale, weights in self.weights.items():
            arrays[f"weights {scale}"] = np.frombuffer(weights.to_bytes(), np.uint8)
        memory = io.BytesIO()
        np.savez_compressed(memory, allow_pickle=False, **arrays)
        return memory.getvalue()

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> KnownPerson:
        """What `to_bytes` gave. Raises: InputError: it is something else, or damaged."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                return cls._of(name, {key: kept[key] for key in kept.files})
        except Exception as error:  # zipfile, zlib, json and numpy have classes of their own
            raise InputError(
                f"what is kept of {name} is damaged; remove it: closeup forget {name}"
            ) from error

    @classmethod
    def _of(
        cls, name: str, kept: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]
    ) -> KnownPerson:
        facts = json.loads(str(kept[_FACTS]))
        images = np.asarray(kept["images"], np.uint8)
        if not len(images) or images.shape[1:] != (EXEMPLAR_SIDE_PX, EXEMPLAR_SIDE_PX, 3):
            raise ValueError(f"close-ups of {images.shape}")
        keypoints = np.asarray(kept["keypoints"], np.float32).reshape(-1, 6, 2)
        columns = (facts["days"], facts["sides_px"], facts["poses"], facts["sharpness"])
        close_ups = [
            KeptCloseUp(
                image, points, str(day), int(side), (float(yaw), float(pitch)), float(sharp)
            )
            for image, points, day, side, (yaw, pitch), sharp in zip(
                images, keypoints, *columns, strict=True
            )
        ]
        weights = {}
        for key in kept:
            if key.startswith("weights "):
                one = PersonalWeights.from_bytes(kept[key].tobytes())
                weights[one.scale] = one
        gains = {int(scale): Gain(*map(float, gain)) for scale, gain in facts["gains"].items()}
        of = {int(scale): tuple(map(str, one)) for scale, one in facts["learnt_from"].items()}
        return cls(name, close_ups, weights, gains, of)


def _surplus(close_ups: list[KeptCloseUp]) -> KeptCloseUp:
    poses = np.array([one.pose for one in close_ups])
    apart = np.hypot(*(poses[:, None] - poses[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    pair = np.unravel_index(int(np.argmin(apart)), apart.shape)
    return min((close_ups[int(k)] for k in pair), key=lambda one: one.sharpness)
