"""Tracker: finds faces, follows them, and keeps them apart.

New faces are looked for in one part of the picture a frame, in turn; known faces every frame, in a
crop around the place where each is expected. An identity is a promise to the stages behind: what
they remember of a `track_id` is drawn into that face. So wherever it is in doubt whether a face is
still the same person's, the track ends and a new one begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from stream.frame import Face, Floats, Frame, Image
from stream.image.detection import Detection, Model, Region
from stream.protocols import Stage
from stream.quality_ladder import FULL, LARGEST_FACE_PX, QualityLevel
from stream.stages.tracking.association import assign, cost, same_face
from stream.stages.tracking.pace import HOLD_S, Pace
from stream.stages.tracking.search_turns import SearchTurns
from stream.stages.tracking.signature import face_signature, scene_signature, similarity
from stream.stages.tracking.still_tiles import StillTiles
from stream.stages.tracking.track import CONFIRMING_SCORE, Track

MIN_FACE_PX, FOLLOWED_PX = 14.0, 11.0
"""Narrower than the first the detector guesses; a face that was wider is followed to the second,
for its box trembles by some px, and with its track it would lose its exemplars."""
SEARCH_WIDTHS = 2.5
"""Side of the crop around a known face, in face widths; detection there works at any size."""
WIDE_SEARCH_WIDTHS = 4.0
"""The second look, when the face was not in the first."""
# Similarity of neighbouring frames, measured on fourteen recordings of calls and interviews: of the
# scene at least 0.93, of the face at least 0.80 (0.73 when only every third frame is seen); between
# different recordings the scene at most 0.63. Between eleven people in one place the face is above
# 0.65 for 8 pairs in 100, above 0.71 for 5, and 0.73 at most. Chosen by
# `python -m calibration.thresholds`, figures in calibration/thresholds/thresholds.toml.
SAME_SCENE = 0.7
SAME_FACE = 0.727
STEADY_EVERY = 3
"""While every face is followed without doubt, new ones are looked for in every so many frames. What
rests of the picture passes its turn; where everything moves, a call's 1280x720 is searched in 1.4 s
in place of 0.5."""
FIRST_FRAMES = 3
"""So many frames after a start or a cut are searched everywhere, until somebody is found."""


class Detector(Protocol):
    """What the tracker needs of a face detector."""

    def detect(
        self, image: Image, region: Region | None = None, model: Model = "short"
    ) -> list[Detection]:
        """Faces in a region of a picture, in pixels of the whole picture.

        Args: image: RGB uint8 (H, W, 3). region: which part of it to search; None: all. model:
              "short" for large faces, "full" for small ones, too.
        """
        ...

    def close(self) -> None:
        """Free it."""
        ...


class Tracker(Stage):
    """Stage: sets `frame.faces`, ordered by track_id. It owns the detector and closes it."""

    name = "tracker"

    def __init__(
        self,
        detector: Detector,
        quality: QualityLevel = FULL,
        on_limit: Callable[[int], None] = lambda limit: None,
        still_tiles: StillTiles | None = None,
    ) -> None:
        """Args: detector: finds faces. quality: until `apply` says another one.
        on_limit: called once, with the limit, when there are more faces than are followed.
        still_tiles: which parts need no search."""
        self._detector = detector
        self._quality = quality
        """How often to look, and how many faces to follow."""
        self._on_limit = on_limit
        self._limit_said = False
        self._pace = Pace()
        self._frames = 0
        self._followed_s = -math.inf
        self._tracks: list[Track] = []
        self._next_id = 1
        self._search_all = FIRST_FRAMES
        self._scene: Floats | None = None
        self._size = (0, 0)
        self._still = still_tiles or StillTiles()
        self._turns = SearchTurns(self._still)

    def __call__(self, frame: Frame) -> Frame:
        """The frame with its faces."""
        before = self._tracks
        self._meet(frame)
        self._frames += 1
        quality = self._quality
        # A track that is kept too long would flicker.
        held_s = frame.time_s - self._followed_s
        if self._frames % quality.follow_every == 0 or not 0.0 <= held_s <= HOLD_S / 2.0:
            self._follow(frame)
            self._followed_s = frame.time_s
        for track in before:
            if track not in self._tracks:
                # who was lost may be found again, although nothing has moved there
                self._still.forget_at(track.predict(frame.time_s))
        steady = not self._pace.slow and self._is_steady()
        every = max(quality.search_every, STEADY_EVERY) if steady else quality.search_every
        if self._frames % every == 0 or self._search_all > 0:
            self._discover(frame, STEADY_EVERY if steady else 1)
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
        self._pace.see(frame.time_s)
        signature = scene_signature(frame.image)
        if self._scene is not None and similarity(self._scene, signature) < SAME_SCENE:
            self._start_over()
        self._scene = signature
        self._tracks = [
            track
            for track in self._tracks
            if 0.0 <= frame.time_s - track.seen_s <= self._pace.lost_s
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
        self._turns.lay(*size, self._quality.finer)

    def _start_over(self) -> None:
        """Another scene: every face in it is a new track."""
        self._tracks.clear()
        self._search_all = FIRST_FRAMES

    def _follow(self, frame: Frame) -> None:
        """Find the known faces again; confirmed tracks choose first: an unconfirmed track cannot
        make a confirmed one ambiguous."""
        believed = [track for track in self._tracks if track.confirmed]
        doubtful = [track for track in self._tracks if not track.confirmed]
        self._follow_some(believed, frame)
        self._follow_some(doubtful, frame)
        self._tracks = [
            track
            for track in self._tracks
            if track.confirmed or frame.time_s - track.seen_s <= self._pace.hold_s
        ]

    def _follow_some(self, tracks: list[Track], frame: Frame) -> None:
        predicted = _predicted(tracks, frame.time_s)
        rest = [track for track in self._tracks if track.confirmed and track not in tracks]
        others = _predicted(rest, frame.time_s)
        windows = [track.window(frame.time_s) for track in tracks]
        seen = self._search(frame.image, predicted, windows)
        seen = [face for face in seen if not _is_known(face.box, others)]
        result = assign(predicted, [face.box for face in seen])
        ended = [tracks[i] for i in result.unclear]
        used = set(result.pairs.values())
        for i, j in result.pairs.items():
            if not self._see(tracks[i], seen[j], frame):
                ended.append(tracks[i])
                used.discard(j)
        self._tracks = [track for track in self._tracks if track not in ended]
        # An unmatched detection, of a new face or one whose track has just ended, begins a track.
        known = _predicted(self._tracks, frame.time_s)
        for j, face in enumerate(seen):
            new = j not in used and not _is_known(face.box, known)
            if new and face.width_px >= MIN_FACE_PX and not self._is_full(face):
                # Pictures that are far apart show nobody in three of them in turn.
                self._begin(face, frame, believed=self._pace.slow)
                known.append(face.box)

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
            faces = self._detect(image, window, SEARCH_WIDTHS, "short", FOLLOWED_PX)
            if not any(math.isfinite(cost(box, face.box)) for face in faces):
                wide = self._detect(image, box, WIDE_SEARCH_WIDTHS, "full", FOLLOWED_PX)
                faces = [self._refine(image, face, FOLLOWED_PX) or face for face in wide]
            found += [(cost(box, face.box), face) for face in faces]
        found.sort(key=lambda pair: pair[0])
        return _once_each([face for _, face in found])

    def _detect(
        self, image: Image, box: Floats, widths: float, model: Model, least_px: float
    ) -> list[Detection]:
        region = _around(box, widths)
        if not _overlaps(region, image):
            return []
        faces = self._detector.detect(image, region, model)
        return [face for face in faces if _acceptable(face, image, least_px)]

    def _refine(self, image: Image, coarse: Detection, least_px: float) -> Detection | None:
        """The same face, seen once more in a crop around it: boxes of a tile are px off."""
        faces = self._detect(image, coarse.box, SEARCH_WIDTHS, "short", least_px)
        near = [face for face in faces if same_face(face.box, coarse.box)]
        return min(near, key=lambda face: cost(coarse.box, face.box)) if near else None

    def _is_steady(self) -> bool:
        """Whether there are faces, and all of them were there when they were looked for last."""
        return bool(self._tracks) and all(
            track.confirmed and track.seen_s >= self._followed_s for track in self._tracks
        )

    def _discover(self, frame: Frame, turns: int) -> None:
        """Look for new faces: everywhere at first, then in one tile a frame.

        Args: turns: so many tiles have their turn for each that is searched; those that rest pass.
        """
        at_once = self._search_all > 0
        where: Iterable[Region]
        if at_once:
            self._search_all -= 1
            where = self._turns.everywhere(frame.image)
        else:
            where = self._turns.next(frame.image, self._pace, self._quality, turns)
        known = _predicted(self._tracks, frame.time_s)
        coarse: list[Detection] = []
        for tile in where:
            faces = self._detector.detect(frame.image, tile, "full")
            if not all(_is_known(face.box, known) for face in faces):
                self._still.forget_at(tile)  # until it is known what that is
            coarse += faces
        coarse.sort(key=lambda face: -face.score * face.width_px)
        large = [face for face in coarse if _acceptable(face, frame.image, MIN_FACE_PX)]
        for candidate in _once_each(large):
            if _is_known(candidate.box, known) or self._is_full(candidate):
                continue
            face = self._refine(frame.image, candidate, MIN_FACE_PX)
            if face is None or _is_known(face.box, known) or self._is_full(face):
                continue
            self._begin(face, frame, believed=at_once or self._pace.slow)
            known.append(face.box)
        if at_once and self._tracks:
            self._search_all = 0

    def _is_full(self, face: Detection) -> bool:
        """Whether no place is left for such a face. Far faces have theirs and near ones, which need
        no enhancement, have others: they are followed for what will be remembered of them."""
        far = face.width_px <= LARGEST_FACE_PX
        places = [track for track in self._tracks if (track.width_px <= LARGEST_FACE_PX) == far]
        full = len(places) >= self._quality.followed
        if full and face.score >= CONFIRMING_SCORE and not self._limit_said:
            self._limit_said = True
            self._on_limit(self._quality.followed)
        return full

    def _begin(self, face: Detection, frame: Frame, believed: bool) -> None:
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
            if track.confirmed and time_s - track.seen_s <= self._pace.hold_s
        ]
        return tuple(sorted(faces, key=lambda face: face.track_id))


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


def _acceptable(face: Detection, image: Image, least_px: float) -> bool:
    x, y = _center(face.box)
    inside = 0.0 <= x < image.shape[1] and 0.0 <= y < image.shape[0]
    return inside and face.width_px >= least_px


def _predicted(tracks: list[Track], time_s: float) -> list[Floats]:
    return [track.predict(time_s) for track in tracks]


def _is_known(box: Floats, tracks: list[Floats]) -> bool:
    """Whether one of the tracks, where they should be, has this face already, or could claim it
    when it finds it."""
    return any(same_face(known, box) or cost(known, box) < 0.5 for known in tracks)


def _once_each(faces: list[Detection]) -> list[Detection]:
    """Without repetitions; the first of each wins."""
    kept: list[Detection] = []
    for face in faces:
        if not any(same_face(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _center(box: Floats) -> tuple[float, float]:
    return float(box[0] + box[2]) / 2.0, float(box[1] + box[3]) / 2.0
