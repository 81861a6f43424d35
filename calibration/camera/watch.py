"""Watch: looks at a camera's frames, and keeps numbers of them, never a picture."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.camera.blur import blur_px
from calibration.camera.noise import NoiseMeter
from calibration.camera.spectrum import Spectrum, spectrum
from calibration.thresholds.faces import center, faces_in
from stream.frame import Floats, Frame, Image
from stream.image.detection import Detection
from stream.image.headshot import cut_headshot, to_exemplar
from stream.protocols import Source
from stream.stages.exemplars import quality
from stream.stages.tracking.face_detector import FaceDetector

EVERY = 4
"""One frame in so many is looked at closely, which takes up to 0.2 s; all are glanced at."""
PARTS = (24, 14)
"""(across, down): parts of the picture whose brightness is followed."""
HEADSHOT_WIDTHS = 2.0
"""Side of a headshot, in widths of the face."""
LEAST_SIDE_PX = 40.0
"""Headshots below this have no edges worth measuring."""


@dataclass(frozen=True)
class FaceSeen:
    """One face in one frame, in numbers."""

    side_px: float
    """Of the headshot."""
    sharpness: float
    """As of `stream.stages.exemplars.quality`."""
    blur_px: float | None
    """Of its sharpest edges, px of the frame; None where there are too few."""
    spectrum: Spectrum


class Watch:
    """Collects what is measured. Args: detector: stays its owner's."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._looks = 0
        self._before: Image | None = None
        self._parts: Floats | None = None
        self.size = (0, 0)
        """(width, height) of the frames, px."""
        self.times_s: list[float] = []
        self.levels: list[float] = []
        """Brightness of each frame, 0..255: it follows most parts of the picture, not all, so that
        somebody who comes or goes is no change of the light."""
        self.repeated = 0
        """Frames that are a copy of the one before."""
        self.noise = NoiseMeter()
        self.faces: list[FaceSeen] = []
        self.blurs_px: list[float] = []
        """Of the sharpest edges anywhere in the picture."""

    def run(self, source: Source, seconds: float) -> None:
        """Watch until the source ends or so much of it has passed.

        A camera is never kept waiting: while a frame is looked at, the others are only glanced at.

        Raises: CloseupError: the source failed.
        """
        looking: Future[None] | None = None
        with ThreadPoolExecutor(1, "closeup watch") as worker:
            for number, frame in enumerate(source):
                before = self._glance(frame)
                idle = looking is None or looking.done()
                due = number % EVERY == 0 if not source.live else idle
                if before is not None and due:
                    if looking is not None:
                        looking.result()
                    looking = worker.submit(self._look, before, frame)
                if frame.time_s - self.times_s[0] >= seconds:
                    break
            if looking is not None:
                looking.result()

    def _glance(self, frame: Frame) -> Image | None:
        """What is measured of every frame. Returns: the frame before, where it can be compared."""
        image, before = frame.image, self._before
        self.size = (image.shape[1], image.shape[0])
        self._before = image
        self.times_s.append(frame.time_s)
        self._follow_light(image)
        if before is None or before.shape != image.shape:
            return None
        if np.array_equal(before, image):
            self.repeated += 1
            return None
        return before

    def _follow_light(self, image: Image) -> None:
        sample = image[::4, ::4].astype(np.float32)
        small = np.asarray(cv2.resize(sample, PARTS, interpolation=cv2.INTER_AREA))
        # Half a level: eight bits know no darker.
        parts = np.asarray(small.mean(axis=2) + 0.5, np.float32)
        if self._parts is None:
            self.levels.append(float(parts.mean()))
        else:
            self.levels.append(self.levels[-1] * float(np.median(parts / self._parts)))
        self._parts = parts

    def _look(self, before: Image, frame: Frame) -> None:
        self.noise.add(before, frame.image)
        found = blur_px(frame.image)
        if found is not None:
            self.blurs_px.append(found)
        for face in faces_in(self._detector, frame.image, self._looks):
            if HEADSHOT_WIDTHS * face.width_px >= LEAST_SIDE_PX:
                self.faces.append(_seen(face, frame.image))
        self._looks += 1


def _seen(face: Detection, image: Image) -> FaceSeen:
    side_px = HEADSHOT_WIDTHS * face.width_px
    headshot = cut_headshot(image, center(face), round(side_px))
    sharpness = quality.sharpness(to_exemplar(headshot))
    return FaceSeen(side_px, sharpness, blur_px(headshot), spectrum(headshot))
