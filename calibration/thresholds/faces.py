"""Faces: where they are in single pictures. A tracker keeps people apart; here a face is enough."""

from __future__ import annotations

import math

from stream.frame import Image
from stream.image.detection import Detection, Region
from stream.stages.tracking.association import same_face
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.tiles import tiles
from stream.stages.tracking.track import CONFIRMING_SCORE
from stream.stages.tracking.tracker import SEARCH_WIDTHS


def faces_in(detector: FaceDetector, image: Image, turn: int) -> list[Detection]:
    """Clear faces of the whole picture and of one of its parts, each once.

    Args: turn: counts the pictures: far faces are found in the parts, one after another.
    """
    whole, *parts = tiles(image.shape[1], image.shape[0])
    found: list[Detection] = []
    for region in (whole, parts[turn % len(parts)]):
        for face in detector.detect(image, region, "full"):
            known = any(same_face(face.box, other.box) for other in found)
            if face.score >= CONFIRMING_SCORE and not known:
                found.append(face)
    return [refined(detector, image, face) or face for face in found]


def refined(detector: FaceDetector, image: Image, near: Detection) -> Detection | None:
    """The face once more, in a crop around it, as the tracker looks for it.

    Args: near: where it was found before.
    """
    x, y = center(near)
    half = SEARCH_WIDTHS * near.width_px / 2.0
    region: Region = (
        *(math.floor(x - half), math.floor(y - half)),
        *(math.ceil(x + half), math.ceil(y + half)),
    )
    found = [
        face for face in detector.detect(image, region, "short") if same_face(face.box, near.box)
    ]
    return max(found, key=lambda face: face.score, default=None)


def center(face: Detection) -> tuple[float, float]:
    """Of its box, (x, y) px."""
    return float(face.box[0] + face.box[2]) / 2.0, float(face.box[1] + face.box[3]) / 2.0
