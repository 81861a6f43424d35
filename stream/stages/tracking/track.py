"""Track: one person's face from frame to frame: where it is, where it will be, smoothed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.frame import Face, Floats
from stream.image.detection import Detection
from stream.stages.tracking.one_euro import OneEuro

Vector = NDArray[np.float64]

# One-euro parameters; lengths are counted in face widths, so one set fits near and far faces.
# Rest: the detector's noise on a still face is some 0.5 % of a width; a cut-off of 0.4 Hz at 30 fps
# takes about nine tenths of its steps away. Motion: beta bounds the lag of a steady walk at
# 1 / (2 pi beta) = 4 % of a width, and the hard limit of 3 %, six times the noise, holds it lower
# still and at the first step too: 1 px on a face of 40 px.
CENTER_CUTOFF_HZ = 0.4
CENTER_BETA = 4.0
# A head changes its size more slowly than its place, and size noise is what makes an enlarged
# patch breathe: steadier at rest. A walk away (230 → 40 px in 1 to 2 s) is followed within 3 %.
SIZE_CUTOFF_HZ = 0.25
SIZE_BETA = 4.0
MAX_LAG = 0.03
# Keypoints inside the box: they carry the pose, which turns quickly; only the grain is taken off.
POSE_CUTOFF_HZ = 1.0
POSE_BETA = 8.0
# The motion's own memory: half of the old estimate is kept for this long.
MOTION_HALF_LIFE_S = 0.05
# A prediction goes no farther than this from where the face was seen: people stop.
MAX_STEP_WIDTHS = 0.5
MAX_STEP_LOG_SIZE = 0.25
# So far (in widths, and in log size) a face may be off the middle of the crop in which it is
# sought: ten times the noise at rest, and exceeded in the first frame or two of a walk.
WINDOW_SLACK = 0.05
# Detected in so many frames, a new track is confirmed, if its score is high enough. Measured: hands
# and folds that are taken for a face score 0.50 to 0.65, faces of 20 px and more nearly always
# above 0.75. A face that is known already may score less: it turns away.
CONFIRMING_HITS = 3
CONFIRMING_S = 0.055
"""... over so long: at 120 frames a second, a false detection comes three times."""
CONFIRMING_SCORE = 0.7
SCORE_MEMORY = 0.7


class Track:
    """One face. It knows nothing of pictures or detectors."""

    def __init__(
        self, track_id: int, detection: Detection, signature: Floats, time_s: float
    ) -> None:
        self.track_id = track_id
        self.hits = 0
        self._began_s = time_s
        self.confirmed = False
        self.seen_s = time_s
        """When it was last seen."""
        self._trust = detection.score
        self.signature = signature
        """What it looked like then (`stream.stages.tracking.signature`)."""
        self._center_filter = OneEuro(CENTER_CUTOFF_HZ, CENTER_BETA, max_lag=MAX_LAG)
        self._size_filter = OneEuro(SIZE_CUTOFF_HZ, SIZE_BETA, max_lag=MAX_LAG)
        self._pose_filter = OneEuro(POSE_CUTOFF_HZ, POSE_BETA)
        self._center, self._log_size = _place(detection.box)
        self._window = detection.box
        self._motion: Vector = np.zeros(2)  # px per second
        self._growth: Vector = np.zeros(2)  # log size per second
        self.see(detection, signature, time_s)

    def see(self, detection: Detection, signature: Floats, time_s: float) -> None:
        """Take in where the face is now.

        Args: detection: in px of the picture. signature: of how the face looks, as
              `stream.stages.tracking.signature` makes it. time_s: of the picture.
        """
        center, log_size = _place(detection.box)
        dt = time_s - self.seen_s
        if dt > 0.0:
            weight = 1.0 - 0.5 ** (dt / MOTION_HALF_LIFE_S)
            self._motion += weight * ((center - self._center) / dt - self._motion)
            self._growth += weight * ((log_size - self._log_size) / dt - self._growth)
        self._center, self._log_size = center, log_size
        self.seen_s, self.signature = time_s, signature
        self.hits += 1
        self._trust += (1.0 - SCORE_MEMORY) * (detection.score - self._trust)
        often = self.hits >= CONFIRMING_HITS and time_s - self._began_s >= CONFIRMING_S
        if often and self._trust >= CONFIRMING_SCORE:
            self.confirmed = True
        self._smooth(detection, time_s)

    @property
    def width_px(self) -> float:
        """Of the face box, as last seen."""
        return float(np.exp(self._log_size[0]))

    def predict(self, time_s: float) -> Floats:
        """Where the face box should be: float32 (4,), xyxy px."""
        dt = max(time_s - self.seen_s, 0.0)
        width = float(np.exp(self._log_size[0]))
        step = self._motion * dt
        reach = MAX_STEP_WIDTHS * width
        length = float(np.linalg.norm(step))
        if length > reach:
            step *= reach / length
        growth = np.clip(self._growth * dt, -MAX_STEP_LOG_SIZE, MAX_STEP_LOG_SIZE)
        return _box(self._center + step, self._log_size + growth)

    def window(self, time_s: float) -> Floats:
        """The box around which to look for the face: float32 (4,), xyxy px.

        It stays where it is while the face rests. A detector answers a little differently to every
        crop, so a crop that follows the noise of the boxes would feed it.
        """
        predicted = self.predict(time_s)
        center, log_size = _place(predicted)
        kept, kept_size = _place(self._window)
        width = float(np.exp(log_size[0]))
        shift = float(np.linalg.norm(center - kept)) / width
        if shift > WINDOW_SLACK or abs(float(log_size[0] - kept_size[0])) > WINDOW_SLACK:
            self._window = predicted
        return self._window

    def rescale(self, factor: float, time_s: float) -> None:
        """The picture's size changed by a factor (a call that adapts its resolution)."""
        keypoints = self._keypoints * factor
        self._center = self._center * factor
        self._log_size = self._log_size + np.log(factor)
        self._motion = self._motion * factor
        self._center_filter = OneEuro(CENTER_CUTOFF_HZ, CENTER_BETA, max_lag=MAX_LAG)
        self._size_filter = OneEuro(SIZE_CUTOFF_HZ, SIZE_BETA, max_lag=MAX_LAG)
        box = self._window = _box(self._center, self._log_size)
        self._smooth(Detection(box, keypoints, self._score), time_s)

    def face(self, time_s: float) -> Face:
        """The smoothed face; its score is 0 where it was not detected at `time_s`."""
        return Face(
            track_id=self.track_id,
            box=self._box.copy(),
            keypoints=self._keypoints.copy(),
            score=self._score if time_s <= self.seen_s else 0.0,
        )

    def _smooth(self, detection: Detection, time_s: float) -> None:
        center, log_size = _place(detection.box)
        width = float(np.exp(log_size[0]))
        inside = (detection.keypoints.astype(np.float64) - center) / width
        center = self._center_filter(center, time_s, unit=width)
        log_size = self._size_filter(log_size, time_s)
        inside = self._pose_filter(inside.ravel(), time_s).reshape(-1, 2)
        self._box = _box(center, log_size)
        self._keypoints = (center + inside * np.exp(log_size[0])).astype(np.float32)
        self._score = detection.score


def _place(box: Floats) -> tuple[Vector, Vector]:
    """xyxy box → centre (x, y) px and log of (width, height)."""
    corners = box.astype(np.float64)
    size = np.maximum(corners[2:] - corners[:2], 1e-3)
    return (corners[:2] + corners[2:]) / 2.0, np.log(size)


def _box(center: Vector, log_size: Vector) -> Floats:
    half = np.exp(log_size) / 2.0
    return np.concatenate([center - half, center + half]).astype(np.float32)
