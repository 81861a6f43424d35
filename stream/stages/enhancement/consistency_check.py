"""ConsistencyCheck: a patch that is not what the camera sees is not shown.

The network may only add detail. So a patch, shrunk back and smoothed, is the camera's crop. Where
it is not, it shows something else: an earlier patch that was moved beside the face, a head that has
turned since, somebody else, a runtime that computes nonsense. Then the camera's picture is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from stream.frame import Floats, Frame, Image, Patch
from stream.image.resample import cut_square
from stream.protocols import FaceState, Stage

IDENTITY_MARGIN = 0.02
"""What is promised: in no frame a face is less like the truth than the camera's picture, enlarged,
by more than this: cosine of a face recogniser's descriptions. `python -m bench` checks it. In
a call the truth is not known; what can be measured there is below."""
# Measured by `python -m bench.consistency_evaluation` as `difference`: patches of the network, with
# any exemplars, noise, hands, bad light: 0.108 at most; the same half a pixel of the camera aside,
# of which most are worse than bicubic enlargement: 0.09 to 0.24; one pixel aside or anything else:
# above 0.18. Checked on labelled data by `python -m calibration.thresholds`, figures in
# calibration/thresholds/thresholds.toml.
DOUBT = 0.115
"""A patch that differs more than this fades out ..."""
SURE = 0.095
"""... and comes back when it has differed less than this for `CALM_S`."""
CALM_S = 0.4
NONSENSE = 0.35
"""A patch that differs more than this, as two pixels aside do, is not shown for a single frame."""
FALL_S, RISE_S = 0.15, 0.5
FORGET_S = 1.0
"""A face without a patch for so long starts anew, unless it had one in the last picture."""
LOW_PASS_PX = 1.5
"""Of the crop. Finer differences are noise, which the network takes out, and detail."""
LEAST_CONTRAST = 4.0
"""8-bit levels; below it there is no face to compare."""
# Rec. 601 luma.
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)


@dataclass(frozen=True)
class Belief(FaceState):
    """How far one face's patches are believed."""

    share: float = 1.0
    """0..1, how much of them is shown."""
    doubted: bool = False
    calm_since_s: float = -math.inf
    seen_s: float = 0.0


class ConsistencyCheck(Stage):
    """Stage: lowers `patch.weight`, or drops the patch, where it contradicts the camera."""

    name = "consistency check"
    face_state = Belief

    def __init__(self) -> None:
        self.doubted = 0
        """In how many faces of all frames so far a patch was held back, wholly or in part."""
        self._beliefs: dict[int, Belief] = {}
        self._last_s: float | None = None

    def __call__(self, frame: Frame) -> Frame:
        """The frame, its patches as far as they are believed."""
        now_s = frame.time_s
        self._beliefs = {
            track: belief
            for track, belief in self._beliefs.items()
            if 0.0 <= now_s - belief.seen_s <= FORGET_S or belief.seen_s == self._last_s
        }
        self._last_s = now_s
        faces = []
        for face in frame.faces:
            patch = face.patch
            if patch is not None:
                before = self._beliefs.get(face.track_id, Belief(seen_s=now_s))
                belief = _believe(before, patch, frame.image, now_s)
                self._beliefs[face.track_id], share = belief, belief.share
                self.doubted += share < 1.0
                patch = replace(patch, weight=share * patch.weight) if share > 0.0 else None
            faces.append(replace(face, patch=patch))
        return replace(frame, faces=tuple(faces))

    def save(self) -> dict[int, FaceState]:
        """How far the patches of each face are believed."""
        return dict(self._beliefs)

    def restore(self, faces: Mapping[int, FaceState]) -> None:
        """See `Stage.restore`."""
        self._beliefs = {track: one for track, one in faces.items() if isinstance(one, Belief)}

    def close(self) -> None:
        """Forget all faces."""
        self._beliefs.clear()


def _believe(before: Belief, patch: Patch, image: Image, now_s: float) -> Belief:
    """Take in one more patch of a face."""
    step_s = now_s - before.seen_s
    differs = difference(patch.image, cut_square(image, patch.box))
    doubted, calm_since_s = before.doubted or differs > DOUBT, before.calm_since_s
    if differs > SURE:
        calm_since_s = now_s
    elif now_s - calm_since_s >= CALM_S:
        doubted = False
    if differs > NONSENSE:
        share = 0.0
    elif doubted:
        share = max(0.0, before.share - step_s / FALL_S)
    else:
        share = min(1.0, before.share + step_s / RISE_S)
    return Belief(share, doubted, calm_since_s, now_s)


def difference(patch: Image, crop: Image) -> float:
    """How far a patch is from what the camera saw, in parts of the face's contrast.

    Args:    patch: RGB uint8 (s*b, s*b, 3). crop: RGB uint8 (b, b, 3), the camera's pixels.
    Returns: 0 for the same picture, about 1 for another one: root mean square over the middle
             three quarters of the smoothed difference, over the crop's standard deviation.
    """
    side = crop.shape[0]
    seen = _luma(crop)
    shown = _luma(np.asarray(cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)))
    low = np.asarray(cv2.GaussianBlur(shown - seen, (0, 0), LOW_PASS_PX), np.float32)
    middle = slice(side // 8, side - side // 8)
    contrast = max(float(seen[middle, middle].std()), LEAST_CONTRAST)
    return float(np.sqrt(np.mean(low[middle, middle] ** 2))) / contrast


def _luma(image: Image) -> Floats:
    return np.asarray(cv2.transform(image.astype(np.float32), _LUMA), np.float32)
