"""TrackLog: what was seen is given back, picture by picture, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from stream.frame import Face, Frame
from stream.recordings.people.track_log import RECORD, Replay, TrackLog
from tests.pictures import detection, frame_of

BLANK = np.zeros((48, 64, 3), np.uint8)


def face(track_id: int, x: float = 20.0, score: float = 0.75) -> Face:
    seen = detection(x, 24.0, 15.3, score)
    return Face(track_id, seen.box, seen.keypoints, seen.score)


def frame(index: int, *faces: Face) -> Frame:
    return frame_of(BLANK, index, faces=faces)


def test_faces_come_back_as_they_were() -> None:
    tracks, rng = TrackLog(), np.random.default_rng(0)
    frames = []
    for index in range(200):
        some = [face(one, float(rng.uniform(0, 60))) for one in range(int(rng.integers(0, 4)))]
        frames.append(frame(index, *some))
        tracks.add(frames[-1])
    assert len(tracks) == sum(len(one.faces) for one in frames)
    for one in reversed(frames):
        again = tracks.at(one.pts)
        assert [face.track_id for face in again] == [face.track_id for face in one.faces]
        for now, then in zip(again, one.faces, strict=True):
            np.testing.assert_array_equal(now.box, then.box)
            np.testing.assert_array_equal(now.keypoints, then.keypoints)
            assert now.box.dtype == now.keypoints.dtype == np.float32
            assert now.score == then.score


def test_unknown_pictures_have_no_faces() -> None:
    tracks = TrackLog()
    assert tracks.at(0) == ()
    tracks.add(frame(5, face(1)))
    tracks.add(frame(6))
    assert [len(tracks.at(pts)) for pts in (4, 5, 6, 7)] == [0, 1, 0, 0]


def test_pictures_come_in_order() -> None:
    tracks = TrackLog()
    tracks.add(frame(5, face(1)))
    with pytest.raises(ValueError, match="a picture at 5 after one at 5"):
        tracks.add(frame(5, face(1)))


def test_it_takes_little_memory() -> None:
    assert RECORD.itemsize == 72


def test_replayed_faces_bear_the_number_of_the_person() -> None:
    tracks = TrackLog()
    tracks.add(frame(0, face(2), face(3)))
    tracks.add(frame(1, face(4)))
    replay = Replay(tracks, {3: 1, 4: 2})
    first, second = replay(frame(0)), replay(frame(1, face(9)))
    assert [one.track_id for one in first.faces] == [1, 2]
    assert first.faces[0].box[0] == tracks.at(0)[1].box[0]
    assert [one.track_id for one in second.faces] == [2]
    assert first.image is BLANK
    replay.close()
