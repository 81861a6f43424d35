"""Sightings: what recordings of one person each say of faces, scenes and what is neither.

The labels come for free: neighbouring frames of a recording show the same scene and the same face;
frames of two recordings show neither the same scene nor, at the same place, the same person. What a
detector finds where the face was painted over is no face.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from calibration.thresholds.faces import center, refined
from engines.hime.degrade import video_codec
from stream.errors import InputError
from stream.frame import Floats, Image
from stream.image.detection import Detection
from stream.media.sources.file_source import FileSource
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.signature import face_signature, scene_signature, similarity
from stream.stages.tracking.tiles import tiles

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
EVERY = 24
"""Frames from one look to the next."""
LOOKS = 8
"""In each recording."""
APART = (1, 2, 3, 12)
"""Frames between two that a tracker compares: neighbours, also where only ten a second come, and a
face that was not seen for a while."""
WIDTHS_PX = (20.0, 32.0, 48.0, 80.0)
"""Of far faces, which are made by shrinking a whole frame."""
QUANTISER = 30
"""Of the H.264 that far faces go through."""


@dataclass
class Sightings:
    """What was seen in one recording."""

    name: str
    faces: list[Floats] = field(default_factory=list)
    """Signatures of the face (`stream.stages.tracking.signature`)."""
    scenes: list[Floats] = field(default_factory=list)
    same_face: list[float] = field(default_factory=list)
    """Similarity of the face in two frames that are close to each other."""
    same_scene: list[float] = field(default_factory=list)
    face_scores: list[float] = field(default_factory=list)
    """The detector's scores of the face, made small and sent through a codec."""
    other_scores: list[float] = field(default_factory=list)
    """Its scores of what is no face."""

    @property
    def person(self) -> str:
        """Those whose names begin alike, up to the first "_", may show one person."""
        return self.name.split("_")[0]


def sightings(folder: Path) -> list[Sightings]:
    """Look through every recording of a folder.

    Raises: InputError: there are fewer than four people with a face. ModelError.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    with FaceDetector() as detector:
        seen = [_signature(path, detector) for path in paths]
    seen = [one for one in seen if one.faces]
    if len({one.person for one in seen}) < 4:
        raise InputError(f"{folder} needs recordings of four people with a face")
    return seen


def strangers(seen: list[Sightings], kind: str) -> list[float]:
    """Similarity of "faces" or "scenes" of different recordings.

    Those that may show one person are not compared.
    """
    alike = []
    for one, other in itertools.combinations(seen, 2):
        if one.person != other.person:
            pairs = zip(getattr(one, kind), getattr(other, kind), strict=False)
            alike += [similarity(a, b) for a, b in pairs]
    return alike


def _signature(path: Path, detector: FaceDetector) -> Sightings:
    seen = Sightings(path.stem)
    for group in _groups(path):
        first = group[0]
        found = detector.detect(first, None, "full")
        if len(found) != 1:
            continue
        face = refined(detector, first, found[0])
        if face is None:
            continue
        signature, scene = _signature_of(first, face), scene_signature(first)
        seen.faces.append(signature)
        seen.scenes.append(scene)
        for step in APART:
            if step < len(group):
                later = refined(detector, group[step], face)
                if later is not None:
                    seen.same_face.append(similarity(signature, _signature_of(group[step], later)))
                seen.same_scene.append(similarity(scene, scene_signature(group[step])))
        for width in WIDTHS_PX:
            seen.face_scores += _score_when_far(detector, first, face, width)
        seen.other_scores += _scores_without(detector, first, face)
    return seen


def _groups(path: Path) -> Iterator[list[Image]]:
    """Now and then some neighbouring frames."""
    with FileSource(path) as source:
        frames = (frame.image for frame in source)
        for _ in range(LOOKS):
            group = list(islice(frames, max(APART) + 1))
            if not group:
                return
            yield group
            for _ in islice(frames, EVERY - len(group)):
                pass


def _score_when_far(
    detector: FaceDetector, image: Image, face: Detection, width_px: float
) -> list[float]:
    factor = width_px / face.width_px
    size = [max(2, round(side * factor) // 2 * 2) for side in image.shape[1::-1]]
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Codecs want a little room.
    pad = max(0, 64 - min(size))
    room = np.asarray(cv2.copyMakeBorder(small, 0, pad, 0, pad, cv2.BORDER_REPLICATE), np.uint8)
    sent = video_codec([room], "libx264", QUANTISER)
    near = Detection(face.box * factor, face.keypoints * factor, face.score)
    found = refined(detector, sent, near)
    # What is not found scores nothing.
    return [found.score if found else 0.0]


def _scores_without(detector: FaceDetector, image: Image, face: Detection) -> list[float]:
    """Everything that is found once the face is painted over with its surroundings."""
    x, y = center(face)
    reach = 0.8 * face.width_px
    hidden = image.copy()
    top, left = max(0, round(y - reach)), max(0, round(x - reach))
    area = hidden[top : round(y + reach), left : round(x + reach)]
    area[...] = np.median(image.reshape(-1, 3), axis=0).astype(np.uint8)
    scores = []
    for tile in tiles(image.shape[1], image.shape[0]):
        for model in ("short", "full"):
            for found in detector.detect(hidden, tile, model):
                again = refined(detector, hidden, found)
                scores.append(again.score if again else found.score)
    return scores


def _signature_of(image: Image, face: Detection) -> Floats:
    return face_signature(image, center(face), face.width_px)
