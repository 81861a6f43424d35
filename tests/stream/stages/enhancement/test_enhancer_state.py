"""What the enhancer keeps of a face: forgotten when asked, saved as numbers, known by replay."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction

from stream.frame import Frame
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.enhancer import Enhancer
from tests.stream.stages.enhancement.test_enhancer import (
    RATE,
    SCENE,
    WHOLE_X2,
    Studio,
    exemplars,
    face,
)


def test_to_forget_leaves_nothing_that_was_made_of_close_ups() -> None:
    studio = Studio()
    known = exemplars()
    for _ in range(3):
        studio.patch(face(60.0, known=known, version=1))
    (track,) = studio.stage._tracks.values()
    assert studio.stage.encodes > 0
    studio.stage.forget()
    assert studio.patch(face(60.0)) is not None, "still enhanced, without close-ups"
    assert track.network._features is None
    assert track.network._alignment.pictures == []
    encoded = len(studio.runtimes[4].encoded)
    studio.patch(face(60.0, known=known, version=1))
    assert len(studio.runtimes[4].encoded) == encoded + 1


def test_saved_conclusions_are_numbers_and_come_back_whole() -> None:
    studio, other = Studio(), Studio()
    one = face(60.0, known=exemplars(), version=1)
    for _ in range(5):
        studio.show(one)
        other.show(replace(one, exemplars=(), exemplars_version=0))
    saved = studio.stage.save()
    read = json.loads(json.dumps({track: asdict(state) for track, state in saved.items()}))
    again = {int(track): Enhancer.face_state(**numbers) for track, numbers in read.items()}
    assert again == saved
    assert again[1] != other.stage.save()[1]
    other.stage.restore(again)
    assert other.stage.save() == saved
    assert not Compositor().save(), "nothing to save"


def test_replayed_frames_need_no_network() -> None:
    studio = Studio()
    frame = Frame(SCENE, 0, 0, Fraction(1, RATE), 0, (face(60.0),), WHOLE_X2)
    assert studio.stage.replay(frame).faces[0].patch is None
    assert not studio.runtimes
