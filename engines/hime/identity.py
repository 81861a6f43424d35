"""Whether an enlarged face is still the same person, to a face recogniser (extra `identity`).

dlib's ResNet describes a face by 128 numbers. The scale is narrow: on 128 px headshots of 20 people
the cosine between two days of one person is 0.95 on average, between two people 0.83.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.install import install_command

if TYPE_CHECKING:
    from torch import Tensor

PREDICTOR = "shape_predictor_5_face_landmarks.dat"
NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
SIDE = 256
"""Headshots are enlarged to this for the recogniser, px: its detector needs faces of 80 px."""
MIDDLE = (SIDE // 4, SIDE // 4, 3 * SIDE // 4, 3 * SIDE // 4)


def missing() -> str | None:
    """What must be installed first, in one line; None when nothing."""
    absent = [n for n in ("dlib", "face_recognition_models") if find_spec(n) is None]
    if not absent:
        return None
    return f"{' and '.join(absent)} not installed; run: {install_command('identity')}"


class Recogniser:
    """Describes the face in a headshot.

    Raises: ImportError: see `missing`.
    """

    def __init__(self) -> None:
        import dlib

        package = find_spec("face_recognition_models")
        if package is None or package.origin is None:
            raise ImportError(missing())
        # the package itself is not imported: it needs a module that Python no longer has
        models = Path(package.origin).parent / "models"
        self._dlib: Any = dlib
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(models / PREDICTOR))
        self._network = dlib.face_recognition_model_v1(str(models / NETWORK))

    def alike(self, pictures: Tensor, truths: Tensor) -> float:
        """Mean cosine similarity of the faces to those of the truth.

        The face is looked for in the truth; where it is not found, it is where the rule of
        headshots puts it, in the middle half.

        Args:    (B, 3, H, W), 0..1, square headshots.
        Returns: -1..1.
        """
        pairs = zip(pictures, truths, strict=True)
        cosines = [self.cosine(_rounded(one), _rounded(truth)) for one, truth in pairs]
        return float(np.mean(cosines))

    def cosine(self, picture: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
        """Cosine similarity of a face to that of the truth.

        Args:    RGB uint8 (H, W, 3), square headshots; see `alike`.
        Returns: -1..1.
        """
        known = _enlarged(truth)
        found = self._detector(known)
        box = found[0] if found else self._dlib.rectangle(*MIDDLE)
        a, b = (self._describe(image, box) for image in (known, _enlarged(picture)))
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    def _describe(self, image: NDArray[np.uint8], box: Any) -> NDArray[np.float64]:
        landmarks = self._predictor(image, box)
        return np.array(self._network.compute_face_descriptor(image, landmarks))


def _rounded(picture: Tensor) -> NDArray[np.uint8]:
    return np.asarray((picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    large = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large, np.uint8)
