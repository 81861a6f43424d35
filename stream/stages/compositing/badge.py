"""Badge: a small mark in the corner of the picture while a face in it is enhanced."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from stream.frame import Floats, Frame
from stream.protocols import Stage

PART = 1.0 / 24.0
"""Height of the mark, of the output's shorter side."""
LEAST_PX = 14
MARGIN = 0.6
"""From the corner, in heights of the mark."""
OPACITY = 0.75
FINE = 16
"""The mark is drawn this much larger and shrunk by area: smooth edges."""


class Badge(Stage):
    """Stage, after the compositor: a light star on a dark disc, in the lower right corner.

    It fades in and out with the faces: it is as strong as the strongest of their patches.
    """

    name = "badge"

    def __init__(self) -> None:
        self._marks: dict[int, Floats] = {}

    def __call__(self, frame: Frame) -> Frame:
        """The frame, marked if any face is shown enhanced."""
        weight = max((face.patch.weight for face in frame.faces if face.patch), default=0.0)
        if frame.output is None or weight <= 0.0:
            return frame
        output = frame.output.copy()
        height, width = output.shape[:2]
        side = 2 * (max(LEAST_PX, round(PART * min(height, width))) // 2)
        margin = 2 * (round(MARGIN * side) // 2)
        # Whole chroma samples, so that nothing beside it changes.
        x, y = 2 * ((width - margin - side) // 2), 2 * ((height - margin - side) // 2)
        if x < 0 or y < 0:
            return frame
        mark = self._marks.setdefault(side, draw(side))
        part = output[y : y + side, x : x + side]
        alpha = OPACITY * weight * mark[:, :, 1:]
        blended = part + (255.0 * mark[:, :, :1] - part) * alpha
        output[y : y + side, x : x + side] = np.rint(blended).astype(np.uint8)
        return replace(frame, output=output, marks=((x, y, x + side, y + side),))


def draw(side: int) -> Floats:
    """The mark: float32 (side, side, 2), 0..1: how light it is, and how much covers the picture."""
    large = FINE * side
    light, cover = np.zeros((large, large), np.float32), np.zeros((large, large), np.float32)
    middle = large / 2.0
    cv2.circle(cover, (large // 2, large // 2), large // 2 - 1, 1.0, cv2.FILLED)
    # A star of four points: the astroid |x|^(1/2) + |y|^(1/2) = r^(1/2), as in "sparkles".
    angles = np.linspace(0.0, 2.0 * np.pi, 200, endpoint=False)
    curve = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    star = middle + 0.72 * middle * np.sign(curve) * np.abs(curve) ** 3.5
    cv2.fillPoly(light, [np.rint(star).astype(np.int32)], 1.0)
    both = np.stack([light, cover], axis=2)
    shrunk = cv2.resize(both, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32)
