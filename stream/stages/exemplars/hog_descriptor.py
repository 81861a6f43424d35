"""HOG descriptor: what a face looks like, in numbers that stay when its owner leaves the room.

Only the inside of the face counts: people who sit on the same chair have the same background and
the same light. And only gradients, each against its neighbourhood: so exposure and contrast do
not matter. Of their histograms what tells people apart is kept, and what differs between two
looks at one person is not: a linear projection that `calibration.descriptor_projection` has learnt
from openly licensed photos. Where dlib is installed, `stream.stages.exemplars.dlib_descriptor`
knows more.

These are biometric figures of people: in memory only, overwritten with zeros when let go.
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from engines.errors import WeightsError
from engines.weights.manifest import descriptor_file
from stream.frame import Face, Floats, Image
from stream.image.headshot import cut_headshot
from stream.stages.exemplars import quality

LEAST_WIDTH_PX = 24.0
"""Of the face box. Smaller faces were not measured."""
LEAST_SCORE = 0.6
MAX_YAW, MAX_PITCH = 0.3, 0.3
"""A head turned further shows another face; as of `stream.stages.exemplars.quality`."""
# The face upright in a picture of 72x88: eyes and mouth where they are in most faces.
SIZE = (72, 88)
EYES_PX = 34.5
"""Between the eyes."""
PLACES = np.array([[18.75, 33.5], [53.25, 33.5], [36.0, 69.725]])
"""Right eye, left eye, mouth, (x, y) px."""
CELL_PX, DIRECTIONS = 8, 9
NEIGHBOURHOOD_PX = 12.0
"""Sigma of the local mean and contrast."""
LEAST_VARIANCE = 20.0
"""What is flatter than this is not amplified; squared grey levels, above a camera's noise."""
LENGTH = (SIZE[0] // CELL_PX) * (SIZE[1] // CELL_PX) * DIRECTIONS
MOST = 0.5
"""Of one direction in a cell: a single strong edge, such as glasses, must not be all."""


def usable(face: Face) -> bool:
    """Whether a face shows enough of itself to be compared."""
    if face.score < LEAST_SCORE or face.width_px < LEAST_WIDTH_PX:
        return False
    head = quality.pose(face.keypoints)
    return abs(head.yaw) <= MAX_YAW and abs(head.pitch) <= MAX_PITCH


class Projection(NamedTuple):
    """A linear map of histograms."""

    mean: Floats
    """(891,), is subtracted before."""
    directions: Floats
    """(891, d)"""

    @classmethod
    def read(cls, data: bytes) -> Projection:
        """From a file's content, two arrays of NumPy's in a zip.

        Raises: WeightsError: it is damaged, or of another shape.
        """
        try:
            with np.load(io.BytesIO(data)) as arrays:
                found = cls(*(arrays[name].astype(np.float32) for name in cls._fields))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise WeightsError(
                f"the projection of face descriptors is damaged ({error})"
            ) from error
        if found.mean.shape != (LENGTH,) or found.directions.shape[:1] != (LENGTH,):
            raise WeightsError("the projection of face descriptors is of other histograms")
        return found


class HogDescriptor:
    """Describes faces by histograms of gradients, projected to where people differ.

    Args:   projection: another one than the shipped one.
    Raises: WeightsError: the shipped one is missing or damaged.
    """

    name = "gradients"
    same = 0.641
    """Two faces whose descriptors are this much alike are of one person: `calibration.thresholds`
    expects one pair of strangers in a million beyond; figures in its thresholds.toml. By hand, of
    3.2 million pairs of people in portraits of other kinds all but two were alike up to 0.556."""

    def __init__(self, projection: Projection | None = None) -> None:
        self._mean, self._projection = projection or _shipped()

    def describe(self, image: Image, face: Face) -> Floats:
        """float32 (256,), unit length; the product of two of them is their likeness, -1..1.

        Args:   image: RGB uint8 (H, W, 3). face: in its pixels, `usable`.
        Source: linear discriminant analysis (Fisher, "The Use of Multiple Measurements in
                Taxonomic Problems", 1936) of `histograms`; cosines as in Nguyen and Bai, "Cosine
                Similarity Metric Learning for Face Verification", ACCV 2010.
        """
        found = histograms(image, face)
        if not found.any():  # without a pattern all faces would be alike
            return np.zeros(self._projection.shape[1], np.float32)
        described = (found - self._mean) @ self._projection
        return np.asarray(described / max(float(np.linalg.norm(described)), 1e-6), np.float32)


@cache
def _shipped() -> Projection:
    """Raises: WeightsError."""
    return Projection.read(descriptor_file().read_bytes())


def histograms(image: Image, face: Face) -> Floats:
    """Histograms of gradients, float32 (891,), unit length.

    Args:   image: RGB uint8 (H, W, 3). face: in its pixels, `usable`.
    Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005,
            after a local normalisation and with square roots in place of the counts.
    """
    grey = cv2.GaussianBlur(_level(_upright(image, face)), (0, 0), 1.0)
    dx, dy = (np.asarray(cv2.Sobel(grey, cv2.CV_32F, *how)) for how in ((1, 0), (0, 1)))
    strength = np.hypot(dx, dy)
    turn = (np.arctan2(dy, dx) % (2.0 * np.pi)) * (DIRECTIONS / (2.0 * np.pi))
    first = np.floor(turn).astype(np.int64)
    part = turn - first
    across, down = SIZE[0] // CELL_PX, SIZE[1] // CELL_PX
    rows, columns = np.indices(grey.shape) // CELL_PX
    cell = (rows * across + columns) * DIRECTIONS
    counts = sum(
        np.bincount(
            (cell + (first + step) % DIRECTIONS).ravel(),
            (strength * share).ravel(),
            across * down * DIRECTIONS,
        )
        for step, share in ((0, 1.0 - part), (1, part))
    )
    cells = np.asarray(counts, np.float32).reshape(down, across, DIRECTIONS) / CELL_PX**2
    # its running sum may end below zero where there is no gradient
    around = np.maximum(cv2.blur(np.sum(cells**2, axis=2), (3, 3)), 0.0)
    cells = np.minimum(cells / (np.sqrt(around) + 1e-3)[..., None], MOST)
    described = np.sqrt(cells).ravel()
    return np.asarray(described / max(float(np.linalg.norm(described)), 1e-6), np.float32)


def _upright(image: Image, face: Face) -> Floats:
    """The inside of the face: grey levels, float32 (88, 72)."""
    side = max(2, round(face.headshot_side_px))
    grey = cv2.cvtColor(cut_headshot(image, face.center, side), cv2.COLOR_RGB2GRAY)
    corner = np.floor(np.array(face.center) - side / 2.0 + 0.5)
    points = face.keypoints[[0, 1, 3]].astype(np.float64) - corner
    factor = EYES_PX / max(float(np.hypot(*(points[1] - points[0]))), 1.0)
    # To its size first: a warp alone would alias. At most twice the headshot's own rule.
    small = min(max(2, round(side * factor)), 4 * SIZE[1])
    how = cv2.INTER_AREA if small < side else cv2.INTER_CUBIC
    grey = cv2.resize(grey, (small, small), interpolation=how)
    # Pixel centres lie at halves.
    points = (points + 0.5) * (small / side) - 0.5
    moved = cv2.warpAffine(
        grey, _onto(points), SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)


def _onto(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> cv2.typing.MatLike:
    """The turn, scale and shift that bring eyes and mouth nearest to their places: (2, 3)."""
    have, want = points - points.mean(axis=0), PLACES - PLACES.mean(axis=0)
    extent = max(float(np.sum(have**2)), 1e-6)
    a = float(np.sum(have * want)) / extent
    b = float(np.sum(have[:, 0] * want[:, 1] - have[:, 1] * want[:, 0])) / extent
    turn = np.array([[a, -b], [b, a]])
    shift = PLACES.mean(axis=0) - turn @ points.mean(axis=0)
    return np.column_stack([turn, shift])


def _level(grey: Floats) -> Floats:
    """Without the light: local mean 0, local contrast 1."""
    flat = grey - cv2.GaussianBlur(grey, (0, 0), NEIGHBOURHOOD_PX)
    variance = cv2.GaussianBlur(flat**2, (0, 0), NEIGHBOURHOOD_PX)
    return np.asarray(flat / np.sqrt(variance + LEAST_VARIANCE), np.float32)
