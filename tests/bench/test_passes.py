"""The bench of two passes: its calls, and that early faces get the exemplars of the end."""

from __future__ import annotations

import pytest

from bench.passes import back, early_faces, late, main, window
from bench.scenes.call import Call
from bench.scenes.cases import FAR_MOST_PX
from bench.scenes.synthetic_people import Photo
from stream.media.demo.demo_scene import DemoScene
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.people.track_log import Replay, TrackLog
from stream.stages.exemplars.bank import Bank
from stream.stages.exemplars.hog_descriptor import HogDescriptor
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.tracker import Tracker
from tests.pictures import frame_of, need_models


def test_early_faces_are_those_before_the_close_up() -> None:
    person = Photo(DemoScene())
    for case in (late(10.0), back(10.0)):
        call = Call(case, [person], (640, 360))
        faces = early_faces(call)
        assert min(faces) == 25
        assert max(faces) < 0.75 * call.frames_total
        assert all(face.width_px <= FAR_MOST_PX for face in faces.values())
        assert call.faces(call.frames_total - 1)[0].width_px > 100


def test_a_window_lies_within_the_output() -> None:
    call = Call(late(10.0), [Photo(DemoScene())], (640, 360))
    x0, y0, x1, y1 = window(call.faces(0)[0], (1280, 720))
    assert (x1 - x0, y1 - y0) == (120, 120)
    assert 0 <= x0 < x1 <= 1280
    assert 0 <= y0 < y1 <= 720


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "large"], "give one like 1280x720"),
        (["--size", "64x64"], "out of range"),
        (["--seconds", "1"], "give 5 to 600"),
        (["--out", "nowhere"], "create it first"),
        (["--clip", "nothing.mp4"], "does not exist"),
    ],
)
def test_bad_options(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--clip" in arguments:
        need_models()
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_whoever_was_far_is_served_by_the_close_up_of_the_end() -> None:
    """Real tracker, person index and bank, without the network; she leaves the picture in
    between."""
    need_models()
    call = Call(back(8.0), [Photo(DemoScene())], (640, 360))
    tracker, tracks = Tracker(FaceDetector()), TrackLog()
    early = early_faces(call)
    pictures = {}
    served = set()
    with PersonIndex(describer=HogDescriptor()) as person_index:
        for frame in call:
            if frame.index in early:
                pictures[frame.index] = frame.image
            seen = tracker(frame)
            tracks.add(seen)
            person_index.see(seen)
        tracker.close()
        bank = Bank()
        bank.start_with(person_index.finish())
        assert (person_index.people, person_index.merged) == (1, 1)
        replay = Replay(tracks, person_index.number_of)
        for index, picture in pictures.items():
            for face in bank(replay(frame_of(picture, index, 25))).faces:
                assert len(face.exemplars) == 4
                assert all(one.time_s > 5.0 and one.side_px >= 220 for one in face.exemplars)
                served.add(index)
    assert len(served) > 0.8 * len(early)
