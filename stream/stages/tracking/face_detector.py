"""FaceDetector: where the faces are in a picture or in a part of it (MediaPipe, CPU)."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from stream.errors import ModelError
from stream.frame import Image
from stream.image.detection import Detection, Model, Region
from stream.stages.tracking import detector_weights

MIN_SCORE = 0.5
# MediaPipe rounds boxes to whole pixels of what it is given. A crop smaller than this is enlarged
# first, so that the rounding is a fraction of a pixel of the frame: 0.26 px for a face of 40 px.
MIN_CROP_SIDE_PX = 384
DEAD_PROXY = "http://127.0.0.1:9"
"""Nobody listens on this machine's port 9: what goes there fails at once."""
_NOISE = re.compile(r"^(INFO|WARNING|[IW]\d{4}[ \d])")
_stderr = threading.RLock()
"""There is one stderr: of two who turn it aside at once, one would leave it there for good."""


def keep_reports_here() -> None:
    """Send what MediaPipe reports about its use to nobody.

    It reports figures to its maker, a minute after the start and at the end, and has no switch for
    that; a program that watches faces has nothing to report to anybody. Its HTTP client asks the C
    library for the proxy. `os.environ` is a copy, which stays as it is: HTTP in Python, of the
    program that uses us, goes where it went before. Programs started from here see these proxies.
    """
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        os.putenv(name, DEAD_PROXY)


class FaceDetector:
    """MediaPipe's two face detection networks behind one verb.

    Not for use by several threads at once. Close it, or use it with `with`: the library complains
    at the end of a program in which it was left open.
    """

    def __init__(self, min_score: float = MIN_SCORE, *, later: bool = False) -> None:
        """Load both networks and run each once, so that the first frame is not slower.

        Args:    min_score: detections below it are not returned, 0..1.
                 later: `load` does that.
        Raises:  ModelError: the models cannot be fetched, or mediapipe cannot be loaded.
        """
        self._min_score = min_score
        self._networks: dict[Model, Any] = {}
        # Fetched here in any case: that may take minutes, and must be interruptible.
        self._buffers = detector_weights.load(
            detector_weights.SHORT_RANGE, detector_weights.FULL_RANGE
        )
        if not later:
            self.load()

    def load(self) -> None:
        """Load the networks, where that was left for later. Raises: ModelError."""
        short, full = self._buffers
        keep_reports_here()
        # Imported here: it takes 0.6 s (it brings matplotlib), which a command line that only
        # prints its help, or stops at a wrong option, need not wait for.
        try:
            from mediapipe.tasks.python.core.base_options import BaseOptions
            from mediapipe.tasks.python.vision import face_detector
            from mediapipe.tasks.python.vision.core import image as mp_image
        except (ImportError, OSError) as error:
            raise _not_loaded(error) from error
        self._to_mediapipe: Any = mp_image.Image
        self._rgb: Any = mp_image.ImageFormat.SRGB
        buffers: tuple[tuple[Model, bytes], ...] = (("short", short), ("full", full))
        try:
            with _without_log_noise():
                for name, data in buffers:
                    self._networks[name] = face_detector.FaceDetector.create_from_options(
                        face_detector.FaceDetectorOptions(
                            base_options=BaseOptions(model_asset_buffer=data),
                            min_detection_confidence=self._min_score,
                        )
                    )
                    self.detect(np.zeros((64, 64, 3), np.uint8), model=name)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise _not_loaded(error) from error

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
        crop: Any = image[y0:y1, x0:x1]
        enlarge = MIN_CROP_SIDE_PX / max(crop.shape[:2])
        if enlarge > 1.0:
            size = (round((x1 - x0) * enlarge), round((y1 - y0) * enlarge))
            crop = cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR)
        crop = np.ascontiguousarray(crop)
        seen = self._networks[model].detect(self._to_mediapipe(image_format=self._rgb, data=crop))
        offset = np.array([x0, y0], np.float32)
        extent = np.array([x1 - x0, y1 - y0], np.float32)
        per_pixel = extent / np.array([crop.shape[1], crop.shape[0]], np.float32)
        found = [_detection(one, offset, extent, per_pixel) for one in seen.detections]
        return sorted(found, key=lambda detection: -detection.score)

    def close(self) -> None:
        """Free the networks; may be called twice."""
        with _without_log_noise():
            while self._networks:
                self._networks.popitem()[1].close()

    def __enter__(self) -> FaceDetector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _detection(one: Any, offset: Any, extent: Any, per_pixel: Any) -> Detection:
    """MediaPipe's detection in a crop → ours in the whole picture."""
    box = one.bounding_box
    corner = np.array([box.origin_x, box.origin_y], np.float32)
    size = np.array([box.width, box.height], np.float32)
    corners = [offset + corner * per_pixel, offset + (corner + size) * per_pixel]
    keypoints = np.array([(point.x, point.y) for point in one.keypoints], np.float32)
    return Detection(
        box=np.concatenate(corners).astype(np.float32),
        keypoints=(offset + keypoints * extent).astype(np.float32),
        score=float(one.categories[0].score),
    )


def _not_loaded(error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    hint = ""
    if "shared object" in reason:  # e.g. "libEGL.so.1: cannot open shared object file"
        hint = "; on Debian and Ubuntu: apt install libegl1 libgles2 libgl1"
    return ModelError(f"face detection: mediapipe cannot be loaded ({reason}){hint}")


@contextmanager
def _without_log_noise() -> Iterator[None]:
    """Keep the native library's chatter (50 lines a start, no switch for it) off stderr.

    It writes to the file descriptor, so that is what is turned aside. Whatever else was written
    meanwhile, by another thread or about an error, is passed on afterwards.
    """
    with _stderr:
        yield from _turned_aside()


def _turned_aside() -> Iterator[None]:
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError, ValueError):  # started without a stderr: nothing to mute
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            aside.seek(0)
            text = aside.read().decode(errors="replace")
            rest = [line for line in text.splitlines() if not _NOISE.match(line)]
            if rest:
                print("\n".join(rest), file=sys.stderr, flush=True)
