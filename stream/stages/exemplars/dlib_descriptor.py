"""DlibDescriptor: dlib's network, which knows faces again also in another light (extra
`identity`)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from stream.frame import Face, Floats, Image
from stream.image.headshot import cut_headshot
from stream.stages.exemplars.hog_descriptor import HogDescriptor

PREDICTOR = "shape_predictor_5_face_landmarks.dat"
NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
SIDE = 300
"""Headshots are given to it at this size, px: the face is half as wide, as it is used to."""


class Describer(Protocol):
    """Turns faces into figures that can be compared."""

    @property
    def name(self) -> str:
        """One word."""
        ...

    @property
    def same(self) -> float:
        """Likeness from which two descriptors are of one person."""
        ...

    def describe(self, image: Image, face: Face) -> Floats:
        """A vector of unit length; the product of two of them is their likeness."""
        ...


class DlibDescriptor:
    """Describes a face by 128 numbers.

    Raises: ImportError: dlib or its models are not installed.
    """

    name = "dlib"
    same = 0.97
    """As that of `HogDescriptor`: strangers are alike up to 0.949 (38,000 pairs), people who come
    back from 0.972 on."""

    def __init__(self) -> None:
        import dlib

        package = find_spec("face_recognition_models")
        if package is None or package.origin is None:
            raise ImportError("face_recognition_models is not installed")
        # The package itself is not imported: it needs a module that Python no longer has.
        models = Path(package.origin).parent / "models"
        self._rectangle: Any = dlib.rectangle
        self._predictor: Any = dlib.shape_predictor(str(models / PREDICTOR))
        self._network: Any = dlib.face_recognition_model_v1(str(models / NETWORK))

    def describe(self, image: Image, face: Face) -> Floats:
        """float32 (128,), unit length; likeness of two people is about 0.8.

        Args: image: RGB uint8 (H, W, 3). face: in its pixels.
        """
        side = max(2, round(face.headshot_side_px))
        headshot = cut_headshot(image, face.center, side)
        how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
        large = np.ascontiguousarray(cv2.resize(headshot, (SIDE, SIDE), interpolation=how))
        # The face box is in the middle of its headshot, half as wide, and as high as it is wide.
        box = self._rectangle(SIDE // 4, SIDE // 4, 3 * SIDE // 4, 3 * SIDE // 4)
        numbers = self._network.compute_face_descriptor(large, self._predictor(large, box))
        described = np.array(numbers, np.float32)
        return np.asarray(described / np.linalg.norm(described), np.float32)


def best_describer() -> Describer:
    """The recogniser where its extra is installed, else our own."""
    try:
        return DlibDescriptor()
    except ImportError:
        return HogDescriptor()
