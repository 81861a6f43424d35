"""Tracker: finds faces, follows them, and keeps them apart.

New faces are looked for in one part of the picture a frame, in turn; known faces every frame, in a
crop around the place where each is expected. An identity is a promise to the stages behind: what
they remember of a `track_id` is drawn into that face. So wherever it is in doubt whether a face is
still the same person's, the track ends and a new one begins.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

from stream.frame import Face, Floats, Frame, Image
from stream.image.detection import Detection, Model, Region
from stream.protocols import Stage
from stream.quality_ladder import FULL, QualityLevel
from stream.stages.tracking.association import assign, cost, same_face
from stream.stages.tracking.signature import face_signature, scene_signature, similarity
from stream.stages.tracking.track import CONFIRMING_SCORE, Track

MAX_FACES = 6
MIN_FACE_PX = 14.0
"""Narrower than this the detector guesses."""
SEARCH_WIDTHS = 2.5
"""Side of the crop around a known face, in face widths; detection there works at any size."""
WIDE_SEARCH_WIDTHS = 4.0
"""The second look, when the face was not in the first."""
LOST_S = 1.0
"""A face that was not seen for so long is a new person when it comes back."""
HOLD_S = 0.12
"""A confirmed face is held so long where it was: one missed frame must not make it blink."""
# Similarity of neighbouring frames, measured on fourteen recordings of calls and interviews: of the
# scene at least 0.93, of the face at least 0.80 (0.73 when only every third frame is seen); between
# different recordings the scene at most 0.63. Between eleven people in one place the face is above
# 0.65 for 8 pairs in 100, above 0.71 for 5, and 0.73 at most. Chosen by
# `python -m calibration.thresholds`, figures in calibration/thresholds/thresholds.toml.
SAME_SCENE = 0.7
SAME_FACE = 0.727
FIRST_FRAMES = 3
"""So many frames after a start or a cut are searched everywhere, until somebody is found."""


class Detector(Protocol):
    """What the tracker needs of a face detector."""

    def detect(
        self, image: Image, region: Region | None = None, model: Model = "short"
    ) -> list[Detection]:
        """Faces in a region of a picture, in pixels of the whole picture."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


class Tracker(Stage):
    """Stage: sets `frame.faces`, ordered by track_id. It owns the detector and closes it."""

    name = "tracker"

    def __init__(self, detector: Detector, max_faces: int = MAX_FACES) -> None:
        """Args: detector: finds faces; max_faces: more than so many are not followed."""
        self._detector = detector
        self._max_faces = max_faces
        self._quality = FULL
        """How often to look."""
        self._frames = 0
        self._followed_s = -math.inf
        self._tracks: list[Track] = []
        self._next_id = 1
        self._turn = 0
        self._search_all = FIRST_FRAMES
        self._scene: Floats | None = None
        self._size = (0, 0)
        self._tiles: list[Region] = []

    def __call__(self, frame: Frame) -> Frame:
        """The frame with its faces."""
        self._meet(frame)
        self._frames += 1
        quality = self._quality
        # A face that is held too long would blink.
        held_s = frame.time_s - self._followed_s
        if self._frames % quality.follow_every == 0 or not 0.0 <= held_s <= HOLD_S / 2.0:
            self._follow(frame)
            self._followed_s = frame.time_s
        if self._frames % quality.search_every == 0 or self._search_all > 0:
            self._discover(frame)
        return replace(frame, faces=self._report(frame.time_s))

    def apply(self, quality: QualityLevel) -> None:
        """See `Stage.apply`."""
        self._quality = quality

    def close(self) -> None:
        """End all tracks and free the detector."""
        self._tracks.clear()
        self._scene = None
        self._detector.close()

    def _meet(self, frame: Frame) -> None:
        """Notice what changed as a whole: the scene, the picture's size, the time."""
        signature = scene_signature(frame.image)
        if self._scene is not None and similarity(self._scene, signature) < SAME_SCENE:
            self._start_over()
        self._scene = signature
        self._tracks = [
            track for track in self._tracks if 0.0 <= frame.time_s - track.seen_s <= LOST_S
        ]
        size = (frame.image.shape[1], frame.image.shape[0])
        if size == self._size:
            return
        if self._tracks:
            factor = size[0] / self._size[0]
            if abs(size[1] / self._size[1] / factor - 1.0) < 0.02:
                for track in self._tracks:
                    track.rescale(factor, frame.time_s)
            else:
                self._start_over()
        self._size = size
        self._tiles = tiles(*size)
        self._turn = 0

    def _start_over(self) -> None:
        """Another scene: whoever is in it is somebody new."""
        self._tracks.clear()
        self._search_all = FIRST_FRAMES

    def _follow(self, frame: Frame) -> None:
        """Find the known faces again; believed tracks choose first, so that one which is not
        believed yet cannot put one that is in doubt."""
        believed = [track for track in self._tracks if track.confirmed]
        doubtful = [track for track in self._tracks if not track.confirmed]
        self._follow_some(believed, frame)
        self._follow_some(doubtful, frame)
        self._tracks = [
            track
            for track in self._tracks
            if track.confirmed or frame.time_s - track.seen_s <= HOLD_S
        ]

    def _follow_some(self, tracks: list[Track], frame: Frame) -> None:
        predicted = [track.predict(frame.time_s) for track in tracks]
        rest = [track for track in self._tracks if track.confirmed and track not in tracks]
        windows = [track.window(frame.time_s) for track in tracks]
        seen = self._search(frame.image, predicted, windows)
        seen = [face for face in seen if not _is_known(face.box, rest, frame.time_s)]
        result = assign(predicted, [face.box for face in seen])
        ended = [tracks[i] for i in result.unclear]
        used = set(result.pairs.values())
        for i, j in result.pairs.items():
            if not self._see(tracks[i], seen[j], frame):
                ended.append(tracks[i])
                used.discard(j)
        self._tracks = [track for track in self._tracks if track not in ended]
        # A face that is nobody's now, a newcomer's or one whose track has just ended, begins anew.
        for j, face in enumerate(seen):
            if j not in used and not _is_known(face.box, self._tracks, frame.time_s):
                self._begin(face, frame, believed=False)

    def _see(self, track: Track, face: Detection, frame: Frame) -> bool:
        """Update a track; False where the face there looks like somebody else's."""
        signature = face_signature(frame.image, _center(face.box), face.width_px)
        if similarity(track.signature, signature) < SAME_FACE:
            return False
        track.see(face, signature, frame.time_s)
        return True

    def _search(
        self, image: Image, predicted: list[Floats], windows: list[Floats]
    ) -> list[Detection]:
        """Every face in the crops around the windows, once each: that of the nearest prediction."""
        found: list[tuple[float, Detection]] = []
        for box, window in zip(predicted, windows, strict=True):
            faces = self._detect(image, window, SEARCH_WIDTHS, "short")
            if not any(math.isfinite(cost(box, face.box)) for face in faces):
                wide = self._detect(image, box, WIDE_SEARCH_WIDTHS, "full")
                faces = [self._refine(image, face) or face for face in wide]
            found += [(cost(box, face.box), face) for face in faces]
        found.sort(key=lambda pair: pair[0])
        return _once_each([face for _, face in found])

    def _detect(self, image: Image, box: Floats, widths: float, model: Model) -> list[Detection]:
        region = _around(box, widths)
        if not _overlaps(region, image):
            return []
        faces = self._detector.detect(image, region, model)
        return [face for face in faces if _acceptable(face, image)]

    def _refine(self, image: Image, coarse: Detection) -> Detection | None:
        """The same face, seen once more in a crop around it: boxes of a tile are px off."""
        faces = self._detect(image, coarse.box, SEARCH_WIDTHS, "short")
        near = [face for face in faces if same_face(face.box, coarse.box)]
        return min(near, key=lambda face: cost(coarse.box, face.box)) if near else None

    def _discover(self, frame: Frame) -> None:
        """Look for new faces: everywhere at first, then in one tile a frame."""
        if len(self._tracks) >= self._max_faces:
            return
        at_once = self._search_all > 0
        if at_once:
            where = self._tiles
            self._search_all -= 1
        else:
            where = [self._tiles[self._turn % len(self._tiles)]]
            self._turn += 1
        coarse: list[Detection] = []
        for tile in where:
            coarse += self._detector.detect(frame.image, tile, "full")
        coarse.sort(key=lambda face: -face.score * face.width_px)
        for candidate in _once_each([face for face in coarse if _acceptable(face, frame.image)]):
            if _is_known(candidate.box, self._tracks, frame.time_s):
                continue
            face = self._refine(frame.image, candidate)
            if face is None or _is_known(face.box, self._tracks, frame.time_s):
                continue
            self._begin(face, frame, believed=at_once)
        if at_once and self._tracks:
            self._search_all = 0

    def _begin(self, face: Detection, frame: Frame, believed: bool) -> None:
        if len(self._tracks) >= self._max_faces:
            return
        signature = face_signature(frame.image, _center(face.box), face.width_px)
        track = Track(self._next_id, face, signature, frame.time_s)
        # At a start both a tile and a crop saw it, and a first frame without its faces would show.
        track.confirmed = believed and face.score >= CONFIRMING_SCORE
        self._next_id += 1
        self._tracks.append(track)

    def _report(self, time_s: float) -> tuple[Face, ...]:
        faces = [
            track.face(time_s)
            for track in self._tracks
            if track.confirmed and time_s - track.seen_s <= HOLD_S
        ]
        return tuple(sorted(faces, key=lambda face: face.track_id))


def tiles(width: int, height: int) -> list[Region]:
    """The parts of a picture in which new faces are looked for, in turn.

    The whole picture, 2x2, and a finer grid where the picture is wide enough to need one for faces
    of 20 px (3x3 at 1280x720). Neighbours overlap by a quarter, so that a face on a border is
    whole in one of them.
    """
    finest = min(5, max(2, math.ceil(max(width, height) / 480)))
    regions: list[Region] = []
    for grid in sorted({1, 2, finest}):
        wide, high = _tile_side(width, grid), _tile_side(height, grid)
        for row in range(grid):
            for column in range(grid):
                left = round(column * (width - wide) / max(grid - 1, 1))
                top = round(row * (height - high) / max(grid - 1, 1))
                regions.append((left, top, left + wide, top + high))
    return regions


def _tile_side(side: int, grid: int) -> int:
    return math.ceil(side / (grid - 0.25 * (grid - 1)))


def _around(box: Floats, widths: float) -> Region:
    x, y = _center(box)
    half = widths * float(box[2] - box[0]) / 2.0
    return math.floor(x - half), math.floor(y - half), math.ceil(x + half), math.ceil(y + half)


def _overlaps(region: Region, image: Image) -> bool:
    # A sliver of a few pixels holds no face and may have no area once it is cut.
    height, width = image.shape[:2]
    across: int = min(region[2], width) - max(region[0], 0)
    down: int = min(region[3], height) - max(region[1], 0)
    return min(across, down) >= 8


def _acceptable(face: Detection, image: Image) -> bool:
    x, y = _center(face.box)
    inside = 0.0 <= x < image.shape[1] and 0.0 <= y < image.shape[0]
    return inside and face.width_px >= MIN_FACE_PX


def _is_known(box: Floats, tracks: list[Track], time_s: float) -> bool:
    """Whether one of the tracks has this face already, or could claim it when it finds it."""
    boxes = [track.predict(time_s) for track in tracks]
    return any(same_face(known, box) or cost(known, box) < 0.5 for known in boxes)


def _once_each(faces: list[Detection]) -> list[Detection]:
    """Without repetitions; the first of each wins."""
    kept: list[Detection] = []
    for face in faces:
        if not any(same_face(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _center(box: Floats) -> tuple[float, float]:
    return float(box[0] + box[2]) / 2.0, float(box[1] + box[3]) / 2.0
