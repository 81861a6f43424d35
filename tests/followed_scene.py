"""A tracker, and a detector that sees what it is told of."""

from __future__ import annotations

import numpy as np

from stream.frame import Floats, Frame, Image
from stream.image.detection import Detection, Model, Region
from stream.stages.tracking.still_tiles import StillTiles
from stream.stages.tracking.tracker import Tracker
from tests.pictures import detection, frame_of

Spot = tuple[float, float, float]
"""Centre x, y and width of a face."""


class FakeDetector:
    """Sees the faces it is told of, where they lie in the region that it is asked about."""

    def __init__(self) -> None:
        self.faces: list[Spot] = []
        self.score = 0.9
        self.regions: list[tuple[Region | None, Model]] = []
        self.closed = False

    def detect(
        self, image: Image, region: Region | None = None, model: Model = "short"
    ) -> list[Detection]:
        self.regions.append((region, model))
        x0, y0, x1, y1 = region or (0, 0, image.shape[1], image.shape[0])
        # As the real one: a face that is tiny in the region is not seen.
        least = (x1 - x0) / 25
        return [
            detection(x, y, width, self.score)
            for x, y, width in self.faces
            if x0 <= x < x1 and y0 <= y < y1 and width >= least
        ]

    def close(self) -> None:
        self.closed = True


GREY: Image = np.full((720, 1280, 3), 128, np.uint8)


class Restless(StillTiles):
    """Everything moves: what the detector is told of is not in the picture."""

    def is_due(self, tile: Region, blocks: Floats) -> bool:
        return True


class Scene:
    """Runs a tracker over frames in which only the faces matter."""

    def __init__(self, fps: int = 30) -> None:
        self.detector = FakeDetector()
        self.tracker = Tracker(self.detector, still_tiles=Restless())
        self.fps = fps
        self.index = 0

    def show(self, *faces: Spot, image: Image = GREY) -> Frame:
        self.detector.faces = list(faces)
        frame = self.tracker(frame_of(image, self.index, self.fps))
        self.index += 1
        return frame

    def ids(self, *faces: Spot, image: Image = GREY) -> list[int]:
        return [face.track_id for face in self.show(*faces, image=image).faces]
