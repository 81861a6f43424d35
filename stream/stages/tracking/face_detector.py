"""FaceDetector: where the faces are in a picture or in a part of it (CPU).

MediaPipe's two networks, run by OpenVINO; by MediaPipe where OpenVINO does not run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np

from engines.runtime import UnavailableError
from engines.small_network import SmallNetwork
from stream.errors import ModelError
from stream.frame import Floats, Image
from stream.image.detection import Detection, Model, Region
from stream.image.lazy_image import LazyPart, part_of
from stream.stages.tracking import blaze_face, detector_weights
from stream.stages.tracking.mediapipe_networks import MIN_CROP_SIDE_PX, MediaPipeNetworks

MIN_SCORE = 0.5


class Networks(Protocol):
    """Both networks, whatever runs them."""

    def find(self, picture: Image | LazyPart, model: Model) -> list[Detection]:
        """Faces in a picture, RGB uint8 (h, w, 3), in its pixels; in any order."""
        ...

    def close(self) -> None:
        """Free them; may be called twice."""
        ...


class FaceDetector:
    """Two face detection networks behind one verb.

    Not for use by several threads at once. Close it, or use it with `with`.
    """

    def __init__(self, min_score: float = MIN_SCORE, *, later: bool = False) -> None:
        """Load both networks and run each once, so that the first frame is not slower.

        Args:    min_score: detections below it are not returned, 0..1.
                 later: `load` does that.
        Raises:  ModelError: the models cannot be fetched, or nothing here can run them.
        """
        self._min_score = min_score
        self._networks: Networks | None = None
        # Fetched here in any case: that may take minutes, and must be interruptible.
        self._buffers = detector_weights.load(
            detector_weights.SHORT_RANGE, detector_weights.FULL_RANGE
        )
        if not later:
            self.load()

    def load(self) -> None:
        """Load the networks, where that was left for later. Raises: ModelError."""
        short, full = self._buffers
        try:
            self._networks = OpenVinoNetworks(short, full, self._min_score)
        except UnavailableError as unavailable:
            try:
                self._networks = MediaPipeNetworks(short, full, self._min_score)
            except ModelError as error:
                raise ModelError(f"{error}; {unavailable}") from error

    def detect(
        self, image: Image, region: Region | None = None, model: Model = "short"
    ) -> list[Detection]:
        """Find faces.

        Convention: pixels of `image`, origin top left, (x, y) order.
        Args:    image: RGB uint8 (H, W, 3).
                 region: look only here; the part outside the picture is ignored.
                 model: `short` where a face fills a good part of the region, `full` elsewhere.
        Returns: faces in pixels of `image` (not of the region), best score first.
        Raises:  ValueError: the region and the picture do not overlap.
        """
        height, width = image.shape[:2]
        x0, y0, x1, y1 = region or (0, 0, width, height)
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        if x0 >= x1 or y0 >= y1:
            raise ValueError(f"region {region} is outside a picture of {width}x{height} px")
        assert self._networks is not None, "not loaded"
        offset = np.array([x0, y0], np.float32)
        part = part_of(image, (x0, y0, x1, y1))
        found = [_moved(one, offset) for one in self._networks.find(part, model)]
        return sorted(found, key=lambda detection: -detection.score)

    def close(self) -> None:
        """Free the networks; may be called twice."""
        if self._networks is not None:
            self._networks.close()

    def __enter__(self) -> FaceDetector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class OpenVinoNetworks:
    """Both networks on one thread; see `Networks`.

    Args:   short, full: the model files. min_score: as of `FaceDetector`.
    Raises: UnavailableError: OpenVINO does not run them here.
    """

    def __init__(self, short: bytes, full: bytes, min_score: float) -> None:
        self._min_score = min_score
        with ThreadPoolExecutor(1, "closeup detector") as pool:  # a call waits for both
            loading = pool.submit(SmallNetwork, full)
            near = SmallNetwork(short)
            far = loading.result()
        self._networks: dict[Model, tuple[SmallNetwork, blaze_face.Geometry, Floats]] = {
            "short": (near, blaze_face.SHORT, blaze_face.SHORT.anchors()),
            "full": (far, blaze_face.FULL, blaze_face.FULL.anchors()),
        }
        for model in self._networks:
            self.find(np.zeros((64, 64, 3), np.uint8), model)

    def find(self, picture: Image | LazyPart, model: Model) -> list[Detection]:
        """See `Networks.find`."""
        network, geometry, anchors = self._networks[model]
        place = blaze_face.fill(network.input, picture)
        raw, logits = sorted(network.run(), key=lambda output: -output.shape[2])
        faces, scores = blaze_face.decode(geometry, anchors, raw, logits, self._min_score)
        corner = np.array([place.left, place.top], np.float32)
        faces = (faces - corner) * np.float32(place.scale)
        # MediaPipe cuts corner and size off to whole pixels, of a picture of this side at least,
        # and starts a box that begins outside at the edge. All thresholds are for its boxes.
        pixel = np.float32(min(1.0, max(picture.shape[:2]) / MIN_CROP_SIDE_PX))
        size = np.floor((faces[:, 1] - faces[:, 0]) / pixel) * pixel
        faces[:, 0] = np.maximum(np.floor(faces[:, 0] / pixel) * pixel, 0.0)
        faces[:, 1] = faces[:, 0] + size
        return [
            Detection(face[:2].reshape(4), face[2:], float(score))
            for face, score in zip(faces, scores, strict=True)
        ]

    def close(self) -> None:
        """Free the networks; may be called twice."""
        for network, _, _ in self._networks.values():
            network.close()


def _moved(one: Detection, offset: Floats) -> Detection:
    """From pixels of a region to those of the picture."""
    box = one.box + np.concatenate([offset, offset])
    return Detection(box, one.keypoints + offset, one.score)
