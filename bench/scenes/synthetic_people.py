"""Synthetic people: who sits before the synthetic camera, as pictures with a known face box."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from stream.errors import InputError
from stream.frame import Floats, Image
from stream.media.demo.demo_scene import CANVAS_LEFT, NECK, PHOTO_BOX, DemoScene, Pose
from stream.media.sources.file_source import FileSource
from stream.stages.tracking.face_detector import FaceDetector

RATE = 25
"""Pictures a second, of every call of the bench."""
FACE_PX = 200.0
"""Faces of clips are kept at most this wide."""
AROUND = 3.2
"""So much of a clip is kept around the face, in face widths, where it has so much."""
LEAST_FACE_PX = 100.0
"""A clip with a smaller face has no exemplars to give and no truth at twice the size."""
MOST_S = 8.0
"""So much of a clip is read where no more is needed."""
FEATHER = 0.03
"""A clip fades into the room over this part of its side."""
SMOOTH_FRAMES = 2.5
SEARCH_WIDTHS = 2.5
"""Side of the crop around the face in which it is found again, in face widths."""


class SyntheticPerson(Protocol):
    """Somebody, at any moment of a call."""

    name: str
    face_px: float
    """Typical width of the face box in the layer, px."""
    anchor: tuple[float, float]
    """Typical centre of the face box in the layer, px."""

    def layer(self, time_s: float) -> Image:
        """RGBA uint8 (H, W, 4), colours multiplied by alpha; the same size at all times."""
        ...

    def face_box(self, time_s: float) -> Floats:
        """float32 (4,), xyxy px of the layer."""
        ...


class Photo:
    """The demo's portrait, moved and turned by a program.

    Args: other: somebody else: mirrored, in other colours, and moving otherwise.
    """

    def __init__(self, scene: DemoScene, other: bool = False) -> None:
        self.name = "demo 2" if other else "demo"
        self._scene = scene
        self._other = other
        self.face_px = PHOTO_BOX[2] - PHOTO_BOX[0]
        self.layer = lru_cache(maxsize=2)(self._layer)
        x, y = (PHOTO_BOX[0] + PHOTO_BOX[2]) / 2.0, (PHOTO_BOX[1] + PHOTO_BOX[3]) / 2.0
        width = float(scene.person.shape[1])
        x += CANVAS_LEFT
        self.anchor = (width - x if other else x, y)

    def face_box(self, time_s: float) -> Floats:
        """See `SyntheticPerson`."""
        pose = self._pose(time_s)
        x0, y0, x1, y1 = PHOTO_BOX
        right = 0.5 * pose.turn + math.sin(pose.roll) * (NECK[1] - (y0 + y1) / 2.0)
        down = 0.5 * pose.nod
        left, end = x0 + right + CANVAS_LEFT, x1 + right + CANVAS_LEFT
        if self._other:
            width = self._scene.person.shape[1]
            left, end = width - end, width - left
        return np.array([left, y0 + down, end, y1 + down], np.float32)

    def _layer(self, time_s: float) -> Image:
        person = self._scene.warp(self._pose(time_s))
        if not self._other:
            return person
        return np.ascontiguousarray(person[:, ::-1, [2, 0, 1, 3]])

    def _pose(self, time_s: float) -> Pose:
        t = 1.13 * time_s + 40.0 if self._other else time_s
        speech = max(0.0, math.sin(0.7 * t + 0.3)) * (0.5 - 0.5 * math.cos(17.0 * t))
        return Pose(
            scale=1.0,
            left=0.0,
            top=0.0,
            roll=math.radians(1.8 * math.sin(1.1 * t)),
            turn=7.0 * math.sin(1.45 * t + 0.2),
            nod=3.5 * math.sin(1.9 * t + 2.0),
            mouth=3.0 * speech,
            light=(1.0, 1.0, 1.0),
        )


class Clip:
    """A recording of somebody who sits close; played to and fro, a picture for each of the call.

    Args:   most_s: of it are read.
    Raises: InputError: it cannot be read, or shows no face that is large enough, for long enough.
    """

    def __init__(self, path: Path, detector: FaceDetector, most_s: float = MOST_S) -> None:
        self.name = path.stem
        self._pictures: list[Image] = []
        boxes: list[Floats] = []
        box: Floats | None = None
        cut = (0, 0, 0, 0)
        shrink = 1.0
        with FileSource(path) as source:
            for frame in source:
                new = _find(detector, frame.image, box)
                if new is None:
                    break
                if box is None:
                    shrink = min(1.0, FACE_PX / float(new[2] - new[0]))
                    cut = _around(new, frame.image)
                elif np.abs(new - box).max() > 0.5 * (box[2] - box[0]):
                    break  # another scene
                box = new
                self._pictures.append(_kept(frame.image, cut, shrink))
                boxes.append((new - np.array([cut[0], cut[1]] * 2, np.float32)) * shrink)
                if len(boxes) >= most_s * RATE:
                    break
        if len(boxes) < RATE:
            raise InputError(f"{path.name} shows no face for a second; leave it out with --skip")
        self.duration_s = len(boxes) / RATE
        """Until it turns round."""
        self._boxes = cv2.GaussianBlur(
            np.array(boxes, np.float32), (1, 0), sigmaX=0.1, sigmaY=SMOOTH_FRAMES
        )
        middle = np.median(self._boxes, axis=0)
        self.face_px = float(middle[2] - middle[0])
        self.anchor = (float(middle[0] + middle[2]) / 2.0, float(middle[1] + middle[3]) / 2.0)
        if self.face_px < LEAST_FACE_PX:
            raise InputError(
                f"the face of {path.name} is {self.face_px:.0f} px wide, too small for a truth; "
                "leave it out with --skip"
            )
        self._alpha = _feathered(self._pictures[0].shape[:2])
        self.layer = lru_cache(maxsize=2)(self._layer)

    def face_box(self, time_s: float) -> Floats:
        """See `SyntheticPerson`."""
        return np.asarray(self._boxes[self._index(time_s)], np.float32)

    def _layer(self, time_s: float) -> Image:
        colours = self._pictures[self._index(time_s)] * self._alpha
        layer = np.dstack([colours, 255.0 * self._alpha])
        return np.asarray(np.rint(layer), np.uint8)

    def _index(self, time_s: float) -> int:
        last = len(self._pictures) - 1
        place = round(time_s * RATE) % (2 * last)
        return place if place <= last else 2 * last - place


def _find(detector: FaceDetector, image: Image, box: Floats | None) -> Floats | None:
    """The face near `box`, or the largest one, as the tracker sees it: the surest in a crop around
    it. What else is found there, such as folds of cloth, may be larger.

    The short-range model alone, in a whole picture, gives boxes that are half as large again.
    """
    if box is None:
        faces = detector.detect(image, model="full") or detector.detect(image)
        if not faces:
            return None
        box = max(faces, key=lambda face: face.width_px).box
    x, y = float(box[0] + box[2]) / 2.0, float(box[1] + box[3]) / 2.0
    half = SEARCH_WIDTHS / 2.0 * float(box[2] - box[0])
    region = (round(x - half), round(y - half), round(x + half), round(y + half))
    faces = detector.detect(image, region)
    return faces[0].box if faces else None


def _around(box: Floats, image: Image) -> tuple[int, int, int, int]:
    """The part of a picture that is kept."""
    height, width = image.shape[:2]
    x, y = float(box[0] + box[2]) / 2.0, float(box[1] + box[3]) / 2.0
    half = AROUND / 2.0 * float(box[2] - box[0])
    return (
        max(0, round(x - half)),
        max(0, round(y - half)),
        min(width, round(x + half)),
        min(height, round(y + half)),
    )


def _kept(image: Image, cut: tuple[int, int, int, int], shrink: float) -> Image:
    part = image[cut[1] : cut[3], cut[0] : cut[2]]
    if shrink >= 1.0:
        return part.copy()
    size = (round(part.shape[1] * shrink), round(part.shape[0] * shrink))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def _feathered(shape: tuple[int, int]) -> Floats:
    """1 inside, falling to 0 at the border: float32 (H, W, 1)."""
    high, wide = shape
    reach = max(2.0, FEATHER * max(shape))
    down = np.minimum(np.arange(high), np.arange(high)[::-1])[:, None]
    across = np.minimum(np.arange(wide), np.arange(wide)[::-1])[None, :]
    inside = np.clip(np.minimum(down, across) / reach, 0.0, 1.0)
    return np.asarray(inside[..., None], np.float32)
