"""Detection: one face as a detector sees it, before anybody knows whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.frame import Floats

Model = Literal["short", "full"]
"""`short`: a face that fills a good part of the picture; `full`: also small ones (2 x slower)."""
Region = tuple[int, int, int, int]
"""Integer xyxy px of the whole picture; may reach beyond its edge."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One detected face.

    Convention: pixels of the whole picture, origin top left, (x, y) order.
    """

    box: Floats
    """float32 (4,), xyxy px; may reach beyond the picture's edge."""
    keypoints: Floats
    """float32 (6, 2) px: right eye, left eye, nose tip, mouth, right ear, left ear (the person's
    own right and left)."""
    score: float
    """0..1."""

    @property
    def width_px(self) -> float:
        """Width of the box."""
        return float(self.box[2] - self.box[0])
