"""Likeness: whether an enlarged face is still the same, to a recogniser and by its landmarks."""

from __future__ import annotations

import cv2
import numpy as np

from engines.hime.identity import Recogniser, missing
from stream.frame import Floats, Image
from stream.stages.tracking.face_detector import FaceDetector

SIDE = 256


class Likeness:
    """Compares headshots with the truth. The recogniser is the extra `identity`.

    Args: detector: finds the landmarks; not closed here.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._recogniser = None if missing() else Recogniser()

    @property
    def lacks(self) -> str | None:
        """What would have to be installed; None when nothing."""
        return missing()

    def cosine(self, picture: Image, truth: Image) -> float | None:
        """Of the recogniser's descriptions, -1..1; None without a recogniser.

        Args: RGB uint8 (side, side, 3), headshots.
        """
        return None if self._recogniser is None else self._recogniser.cosine(picture, truth)

    def apart(self, picture: Image, truth: Image) -> float | None:
        """Mean distance of eyes, nose and mouth from those of the truth, in distances between the
        eyes; None where no face is found in the truth, 1 where none is found in the picture."""
        wanted = self._landmarks(truth)
        if wanted is None:
            return None
        found = self._landmarks(picture)
        if found is None:
            return 1.0
        unit = max(float(np.hypot(*(wanted[0] - wanted[1]))), 1.0)
        return min(1.0, float(np.hypot(*(found - wanted).T).mean()) / unit)

    def _landmarks(self, picture: Image) -> Floats | None:
        large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        faces = self._detector.detect(np.asarray(large, np.uint8))
        middle = np.array([SIDE / 2.0, SIDE / 2.0])
        near = [f for f in faces if np.hypot(*(f.box.reshape(2, 2).mean(0) - middle)) < SIDE / 4.0]
        return near[0].keypoints[:4] if near else None
