"""What the enhancer keeps of a face: forgotten when asked, saved as numbers, known by replay."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest

from stream.frame import Frame, Patch
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.consistency_check import ConsistencyCheck
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
    studio, check, other = Studio(), ConsistencyCheck(), ConsistencyCheck()
    for shown in range(5):
        faces = studio.show(face(60.0))
        wrong = tuple(replace(one, patch=upside_down(one.patch)) for one in faces)
        frame = Frame(SCENE, shown, shown, Fraction(1, RATE), 0, wrong, WHOLE_X2)
        check(frame)
        other(replace(frame, faces=faces))
    saved = check.save()
    read = json.loads(json.dumps({track: asdict(state) for track, state in saved.items()}))
    again = {int(track): check.face_state(**numbers) for track, numbers in read.items()}
    assert again == saved
    assert again[1] != other.save()[1]
    other.restore(again)
    assert other.save() == saved
    assert not studio.stage.save(), "replay finds it out"
    assert not Compositor().save(), "nothing to save"


def upside_down(patch: Patch | None) -> Patch:
    assert patch is not None
    return replace(patch, image=np.ascontiguousarray(patch.image[::-1]))


def both_ways(studio: Studio) -> list[bool]:
    """Which of the network's runs so far had exemplars."""
    return [features is not None for _, features in studio.runtimes[4].enhanced]


def test_exemplars_that_come_while_a_patch_is_shown_fade_in() -> None:
    studio = Studio()
    for _ in range(10):
        studio.show(face(60.0))
    (track,) = studio.stage._tracks.values()
    del studio.runtimes[4].enhanced[:]
    shares = []
    for _ in range(20):
        studio.show(face(60.0, known=exemplars(), version=1))
        shares.append(track.informed)
    assert shares[:2] == pytest.approx([0.08, 0.16])
    assert shares[12:] == [1.0] * 8
    assert both_ways(studio) == [True, False] * 12 + [True] * 8
    studio.show(face(60.0))
    assert track.informed == 0.0
    assert not both_ways(studio)[-1]


def test_exemplars_that_are_there_before_the_patch_are_shown_with_its_first_frame() -> None:
    studio = Studio()
    studio.show(face(60.0, known=exemplars(), version=1))
    assert both_ways(studio) == [True]
    again = face(60.0, (321.0, 180.0), track_id=2, known=exemplars(), version=1)
    studio.show(again)
    (known_again,) = (track for one, track in studio.stage._tracks.items() if one == 2)
    assert known_again.informed == 1.0, "taken over from the track before"
    assert both_ways(studio) == [True, True]


def test_other_exemplars_of_the_same_face_take_over_at_once() -> None:
    studio = Studio()
    for version in (1, 1, 2, 3, 3):
        studio.show(face(60.0, known=exemplars(), version=version))
    assert both_ways(studio) == [True] * 5


def test_replay_follows_how_far_exemplars_have_faded_in() -> None:
    worked, replayed = Studio(), Studio()
    for index in range(16):
        known = exemplars() if index > 9 else ()
        one = face(60.0, known=known, version=len(known))
        worked.show(one)
        frame = Frame(SCENE, index, index, Fraction(1, RATE), 0, (one,), WHOLE_X2)
        replayed.stage.replay(frame)
    tracks = worked.stage._tracks[1], replayed.stage._tracks[1]
    assert tracks[0].informed == tracks[1].informed == pytest.approx(0.48)


def test_replayed_frames_need_no_network() -> None:
    studio = Studio()
    frame = Frame(SCENE, 0, 0, Fraction(1, RATE), 0, (face(60.0),), WHOLE_X2)
    assert studio.stage.replay(frame).faces[0].patch is None
    assert not studio.runtimes
