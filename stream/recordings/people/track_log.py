"""TrackLog: where every face of a recording was, picture by picture, and that again as a stage."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from stream.frame import Face, Frame
from stream.image.headshot import SIDE_PER_WIDTH
from stream.protocols import Stage

RECORD = np.dtype(
    [("track", "<i4"), ("box", "<f4", 4), ("keypoints", "<f4", (6, 2)), ("score", "<f4")]
)
"""One face: 72 bytes, 8 MB for an hour of one person at 30 frames a second."""


class TrackLog:
    """The faces of a whole recording. Pictures without a face take no room."""

    def __init__(self) -> None:
        self._pts = array("q")
        self._starts = array("Q")
        self._faces = bytearray()

    def __len__(self) -> int:
        """How many faces, each counted in every picture."""
        return len(self._faces) // RECORD.itemsize

    def add(self, frame: Frame) -> None:
        """Remember a picture's faces; pictures come in the order of their times.

        Raises: ValueError: this one does not come after the last one.
        """
        if not frame.faces:
            return
        if self._pts and frame.pts <= self._pts[-1]:
            raise ValueError(f"a picture at {frame.pts} after one at {self._pts[-1]}")
        self._pts.append(frame.pts)
        self._starts.append(len(self))
        for face in frame.faces:
            record = (face.track_id, face.box, face.keypoints, face.score)
            self._faces += np.array(record, RECORD).tobytes()

    def frames_below(self, side_px: float) -> dict[int, int]:
        """In how many pictures each track's headshot was at most this wide, by track_id."""
        records = np.frombuffer(bytes(self._faces), RECORD)
        widths = records["box"][:, 2] - records["box"][:, 0]
        tracks, counts = np.unique(
            records["track"][widths * SIDE_PER_WIDTH <= side_px], return_counts=True
        )
        return {int(track): int(count) for track, count in zip(tracks, counts, strict=True)}

    def at(self, pts: int) -> tuple[Face, ...]:
        """The faces of the picture at this time, as they were given to `add`."""
        place = bisect_left(self._pts, pts)
        if place == len(self._pts) or self._pts[place] != pts:
            return ()
        start = self._starts[place]
        end = self._starts[place + 1] if place + 1 < len(self._starts) else len(self)
        records = np.frombuffer(self._faces, RECORD, end - start, start * RECORD.itemsize)
        return tuple(
            Face(
                track_id=int(one["track"]),
                box=one["box"].copy(),
                keypoints=one["keypoints"].copy(),
                score=float(one["score"]),
            )
            for one in records.copy()
        )


class Replay(Stage):
    """Stage: sets `frame.faces` from the tracks of an earlier pass over the same recording.

    Pictures are recognised by their times. One that the earlier pass did not have (a damaged place
    may decode differently) has no faces.

    Args: people: track_id → the number of the person, which the faces get; a track that is not in
          it keeps its own.
    """

    name = "tracks"

    def __init__(self, tracks: TrackLog, people: Mapping[int, int]) -> None:
        self._tracks = tracks
        self._people = people

    def __call__(self, frame: Frame) -> Frame:
        """The frame with its faces, ordered by person."""
        faces = [
            replace(face, track_id=self._people.get(face.track_id, face.track_id))
            for face in self._tracks.at(frame.pts)
        ]
        return replace(frame, faces=tuple(sorted(faces, key=lambda face: face.track_id)))
