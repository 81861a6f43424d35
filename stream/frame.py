"""Frame: one captured picture with everything that is known about it.

All of these are immutable values. A stage returns `dataclasses.replace(frame, ...)` and never
writes into an array that it received: a sink or a later stage may still be reading it.

Convention: pixels, origin at the top left, (x, y) order; boxes are xyxy; pictures are RGB uint8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

Image = NDArray[np.uint8]
"""RGB uint8 (H, W, 3)."""
Floats = NDArray[np.float32]
EXEMPLARS_PER_FACE = 3
"""Exemplars that the network is given for one face."""
CANDIDATES_PER_FACE = 8
"""Exemplars that are offered for it; those that agree best with the face are given."""


def tilt_of_eyes(keypoints: NDArray[np.floating]) -> float:
    """Of the line from the right eye to the left one, radians; positive clockwise.

    Args: keypoints: see `Face`.
    """
    across, down = (float(one) for one in keypoints[1] - keypoints[0])
    return math.atan2(down, across)


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A close, sharp headshot of one person, kept in memory only."""

    image: Image
    """RGB uint8 (256, 256, 3), the headshot shrunk by area."""
    side_px: int
    """Side of the headshot in the camera's picture, before it was shrunk."""
    pose: tuple[float, float]
    """(yaw, pitch) in units of the distance between the eyes; (0, 0) looks into the camera."""
    sharpness: float
    """As of `stream.stages.exemplars.quality`, higher is sharper."""
    time_s: float
    """When it was seen, seconds since the start of the source."""
    roll: float = 0.0
    """Tilt of the head, radians; positive clockwise."""


@dataclass(frozen=True, eq=False)
class Patch:
    """An enlarged headshot and the place in the frame that it shows."""

    image: Image
    """RGB uint8 (scale * side, scale * side, 3)."""
    box: tuple[int, int, int, int]
    """The crop in the frame: integer xyxy px, may reach beyond the frame's edge."""
    scale: int
    """4 or 8."""
    weight: float = 1.0
    """0..1: how much of it to show (it fades in and out)."""


@dataclass(frozen=True, eq=False)
class Face:
    """One tracked face in one frame."""

    track_id: int
    """A person, for as long as the tracker is sure that it is the same one."""
    box: Floats
    """float32 (4,), smoothed, xyxy px: the detector's face box."""
    keypoints: Floats
    """float32 (6, 2) px: right eye, left eye, nose tip, mouth, right ear, left ear (the person's
    own right and left; MediaPipe face detection)."""
    score: float
    """Detector's confidence, 0..1."""
    exemplars: tuple[Exemplar, ...] = ()
    """What the bank offers for this face, best first; empty when nobody was close yet."""
    exemplars_version: int = 0
    """Changes exactly when `exemplars` change: the key for cached features."""
    patch: Patch | None = None

    @property
    def is_enhanced(self) -> bool:
        """Whether it is shown with a patch, however faintly. All counts go by this."""
        return self.patch is not None and self.patch.weight > 0.0

    @property
    def width_px(self) -> float:
        """Width of the face box, px of the frame."""
        return float(self.box[2] - self.box[0])

    @property
    def roll(self) -> float:
        """Tilt of the head, radians, positive clockwise; 0 where the keypoints fall together."""
        return tilt_of_eyes(self.keypoints)

    @property
    def headshot_side_px(self) -> float:
        """Side of the headshot: a square of twice the box width around the box's centre."""
        return 2.0 * self.width_px

    @property
    def center(self) -> tuple[float, float]:
        """Centre of the face box, (x, y) px."""
        return (
            float(self.box[0] + self.box[2]) / 2.0,
            float(self.box[1] + self.box[3]) / 2.0,
        )


@dataclass(frozen=True)
class View:
    """The rectangle of the scene that the output shows, and the size of the output."""

    rect: tuple[float, float, float, float]
    """xyxy px of the frame; has the aspect ratio of `size` and lies inside the frame."""
    size: tuple[int, int]
    """(width, height) of the output, px; constant for a whole run."""
    moving: bool = False
    """On its way, and shown exactly where it is; one that stands may be moved by up to an output
    pixel, where it is drawn much faster."""
    in_place: bool = False
    """Faces are enhanced even where the view does not enlarge them."""

    @property
    def zoom(self) -> float:
        """Output pixels per frame pixel."""
        return self.size[0] / (self.rect[2] - self.rect[0])


@dataclass(frozen=True, eq=False)
class Frame:
    """One captured picture and what the stages found in it."""

    image: Image
    """The camera's picture, RGB uint8 (H, W, 3); never written to. Of a recording it may be a
    `stream.image.lazy_image.LazyImage`, of which `image[rows, columns]` is an array: read no more
    than is needed, and give `numpy.asarray(image)` to a library that wants all."""
    index: int
    """0, 1, 2, … as captured."""
    pts: int
    """Presentation time in units of `time_base`."""
    time_base: Fraction
    captured_ns: int
    """`time.monotonic_ns()` when the frame was captured or decoded."""
    faces: tuple[Face, ...] = ()
    view: View | None = None
    """Set by framing."""
    output: Image | None = None
    """Set by the compositor: RGB uint8 of `view.size`."""
    truth: Any = None
    """What the scene really looks like, from sources that know it
    (`stream.media.demo.demo_source`)."""
    native: VideoFrame | None = None
    """The picture as a recording holds it, in its own pixel format and not turned upright yet. It
    is for the sink that encodes, which may write into it; stages leave it alone."""
    marks: tuple[tuple[int, int, int, int], ...] = ()
    """Where something beside the patches was drawn into the output: xyxy px of it, even numbers."""

    @property
    def enhanced(self) -> int:
        """How many of its faces are."""
        return sum(face.is_enhanced for face in self.faces)

    @cached_property
    def time_s(self) -> float:
        """Presentation time in seconds. Kept: stages ask a dozen times a frame, and fractions are
        slow (0.4 ms)."""
        return float(self.pts * self.time_base)
