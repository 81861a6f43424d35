"""MediaPipeNetworks: the face detection networks in MediaPipe, where OpenVINO does not run."""

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

from engines.errors import one_line
from stream.errors import ModelError
from stream.frame import Image
from stream.image.detection import Detection, Model
from stream.image.lazy_image import LazyPart

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


class MediaPipeNetworks:
    """Both networks as MediaPipe's tasks: see `face_detector.Networks`.

    Close it: the library complains at the end of a program in which it was left open.

    Args:   short, full: the model files. min_score: detections below it are not returned, 0..1.
    Raises: ModelError: mediapipe cannot be loaded.
    """

    def __init__(self, short: bytes, full: bytes, min_score: float) -> None:
        self._networks: dict[Model, Any] = {}
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
                            min_detection_confidence=min_score,
                        )
                    )
                    self.find(np.zeros((64, 64, 3), np.uint8), name)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise _not_loaded(error) from error

    def find(self, picture: Image | LazyPart, model: Model) -> list[Detection]:
        """See `face_detector.Networks.find`."""
        picture = np.asarray(picture)
        high, wide = picture.shape[:2]
        enlarge = MIN_CROP_SIDE_PX / max(high, wide)
        if enlarge > 1.0:
            size = (round(wide * enlarge), round(high * enlarge))
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
        picture = np.ascontiguousarray(picture)
        seen = self._networks[model].detect(
            self._to_mediapipe(image_format=self._rgb, data=picture)
        )
        extent = np.array([wide, high], np.float32)
        per_pixel = extent / np.array([picture.shape[1], picture.shape[0]], np.float32)
        return [_detection(one, extent, per_pixel) for one in seen.detections]

    def close(self) -> None:
        """Free the networks; may be called twice."""
        with _without_log_noise():
            while self._networks:
                self._networks.popitem()[1].close()


def _detection(one: Any, extent: Any, per_pixel: Any) -> Detection:
    """MediaPipe's detection → ours, px of the picture."""
    box = one.bounding_box
    corner = np.array([box.origin_x, box.origin_y], np.float32)
    size = np.array([box.width, box.height], np.float32)
    corners = [corner * per_pixel, (corner + size) * per_pixel]
    keypoints = np.array([(point.x, point.y) for point in one.keypoints], np.float32)
    return Detection(
        box=np.concatenate(corners).astype(np.float32),
        keypoints=(keypoints * extent).astype(np.float32),
        score=float(one.categories[0].score),
    )


def _not_loaded(error: Exception) -> ModelError:
    reason = one_line(error)
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
