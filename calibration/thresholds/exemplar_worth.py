"""Exemplar worth: which ones still help the network, by pose, light and the detector's score.

A far face is made from one photo of somebody; another photo of the same person is the only exemplar
that the network is given. Whether the result is nearer to the truth than without it is the label:
nobody's taste. Poses are those of the photos; light and what hides a face are made up, by known
amounts drawn from a generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.thresholds.gains import SCALE, SEED, lit, psnr, resized
from engines.aligned_enhancement import enhanced
from engines.hime import degrade
from engines.hime.people import Person
from engines.runtime import Image, Runtime
from stream.image.detection import Detection
from stream.image.headshot import EXEMPLAR_SIDE_PX
from stream.stages.exemplars import quality
from stream.stages.tracking.face_detector import FaceDetector

SIDE_PX = 32
"""Of the far headshots."""
FAR, PLAIN, LIT, DIM, HIDDEN = 2, 6, 3, 3, 3
"""For each person: far faces, and exemplars as they are, in another light, in one light with the
far face, and with something before the face."""
LIGHT = (0.12, 4.0)
"""Factors between which the light is drawn, evenly in its logarithm."""
HIDES = (0.1, 0.7)
"""Sides of what hides a part of the face, in sides of the headshot."""


@dataclass(frozen=True)
class Tried:
    """One exemplar, and what it was worth."""

    kind: str
    """ "plain", "lit", "dim" or "hidden"."""
    gain_db: float
    """Over none."""
    pose: quality.Pose
    apart: float
    """Its pose from that of the far face, in distances between the eyes."""
    light: quality.Exposure
    score: float
    """The detector's; 0 where it finds no face."""


def tried(network: Runtime, people: Sequence[Person]) -> list[Tried]:
    """Try exemplars of everybody with two photos that are large enough.

    Raises: ValueError: nobody has. ModelError: the detection models cannot be had.
    """
    side = SCALE * SIDE_PX
    found = []
    with FaceDetector() as detector:
        for number, person in enumerate(people):
            if len(person.photos) > 1 and person.photos[0].shape[0] >= side:
                found += _of_one(network, detector, person, np.random.default_rng([SEED, number]))
    if not found:
        raise ValueError(f"nobody has two photos of {side} px or more")
    return found


def _of_one(
    network: Runtime, detector: FaceDetector, person: Person, rng: np.random.Generator
) -> list[Tried]:
    photos = [resized(one, EXEMPLAR_SIDE_PX) for one in person.photos]
    seen = [_face(detector, one) for one in photos]
    known = [(photo, face) for photo, face in zip(photos, seen, strict=True) if face]
    if len(known) < 2:
        return []
    # The most turned first, so that everybody's turned heads are among those tried.
    turned = sorted(range(len(known)), key=lambda i: -abs(quality.pose(known[i][1].keypoints).yaw))
    far = [_Far(network, known[int(i)], rng) for i in rng.permutation(len(known))[:FAR]]
    result: list[Tried] = []

    def attempt(kind: str, place: int) -> None:
        photo, face = known[place]
        against = next(one for one in far if one.photo is not photo)
        factor = float(np.exp(rng.uniform(*np.log(LIGHT))))
        score = face.score
        if kind == "dim":
            against = against.in_light(factor, rng)
        if kind in ("lit", "dim"):
            photo = lit(factor)(photo)
        if kind == "hidden":
            photo = hidden(photo, rng)
            again = _face(detector, photo)
            score = again.score if again else 0.0
        pose, other = quality.pose(face.keypoints), against.pose
        apart = float(np.hypot(pose.yaw - other.yaw, pose.pitch - other.pitch))
        # It came through the same call.
        photo = degrade.close_up(photo, rng)
        light = quality.exposure(photo)
        result.append(Tried(kind, against.gain(photo), pose, apart, light, score))

    for place in turned[:: max(1, len(turned) // PLAIN)][:PLAIN]:
        attempt("plain", place)
    for kind, count in (("lit", LIT), ("dim", DIM), ("hidden", HIDDEN)):
        for _ in range(count):
            attempt(kind, int(rng.integers(len(known))))
    return result


class _Far:
    """A far face with its truth, and what the network makes of it alone."""

    def __init__(
        self, network: Runtime, seen: tuple[Image, Detection], rng: np.random.Generator
    ) -> None:
        self._network, self._seen = network, seen
        self.photo, face = seen
        self.pose = quality.pose(face.keypoints)
        self._truth = resized(self.photo, SCALE * SIDE_PX)
        self._crop = degrade.call([self._truth], SCALE, rng)[0]
        self._alone = psnr(network.enhance(self._crop, None), self._truth)

    def in_light(self, factor: float, rng: np.random.Generator) -> _Far:
        """The same in so much more or less light."""
        return _Far(self._network, (lit(factor)(self.photo), self._seen[1]), rng)

    def gain(self, exemplar: Image) -> float:
        """dB over none."""
        given = [resized(exemplar, SCALE * SIDE_PX)]
        return psnr(enhanced(self._network, self._crop, given), self._truth) - self._alone


def hidden(photo: Image, rng: np.random.Generator) -> Image:
    """With something of one colour and soft edges before the face."""
    side = photo.shape[0]
    mask = np.zeros((side, side), np.float32)
    width, height = (round(side * rng.uniform(*HIDES)) for _ in range(2))
    x, y = (round(side * rng.uniform(0.3, 0.7)) for _ in range(2))
    cv2.rectangle(
        mask, (x - width // 2, y - height // 2), (x + width // 2, y + height // 2), 1.0, -1
    )
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5))
    colour = rng.uniform(0.0, 255.0, 3)
    mixed = photo * (1.0 - mask[..., None]) + colour * mask[..., None]
    return np.asarray(np.rint(mixed), np.uint8)


def _face(detector: FaceDetector, photo: Image) -> Detection | None:
    """The face in the middle of a headshot."""
    middle = photo.shape[1] / 2.0
    near = [
        one
        for one in detector.detect(photo)
        if abs(float(one.box[0] + one.box[2]) / 2.0 - middle) < 0.15 * photo.shape[1]
    ]
    return max(near, key=lambda one: one.score, default=None)
