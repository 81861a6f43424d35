"""The network in every other picture of a recording: carried between, but never across a cut."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from stream.frame import Frame, Image, Patch
from stream.quality_ladder import EVERYBODY, RECORDED
from stream.stages.enhancement.enhancer import Enhancer
from tests.fakes import BicubicRuntime
from tests.stream.stages.enhancement.test_enhancer import RATE, SCENE, WHOLE_X2, face

ANOTHER: Image = np.asarray(255 - SCENE[:, ::-1], np.uint8)
FAST = RECORDED["fast"]


class Recording:
    """A face that stays where it is, whatever the pictures show."""

    def __init__(self) -> None:
        self.runtime = BicubicRuntime(4)
        self.stage = Enhancer(lambda scale: self.runtime, Fraction(RATE))
        self.stage.apply(FAST)
        self.index = 0

    def show(self, picture: Image, *track_ids: int) -> list[Patch]:
        faces = tuple(
            face(60.0, (150.0 + 150.0 * number, 180.0), track_id)
            for number, track_id in enumerate(track_ids or (1,))
        )
        shown = self.stage(
            Frame(picture, self.index, self.index, Fraction(1, RATE), 0, faces, WHOLE_X2)
        )
        self.index += 1
        return [one.patch for one in shown.faces if one.patch is not None]


def test_it_runs_in_every_other_picture_in_the_same_ones_each_time() -> None:
    ran: list[list[int]] = []
    for _ in range(2):
        recording = Recording()
        count = []
        for _ in range(8):
            assert len(recording.show(SCENE)) == 1
            count.append(len(recording.runtime.enhanced))
        ran.append(count)
        recording.stage.close()
    assert ran == [[1, 1, 2, 2, 3, 3, 4, 4]] * 2


def test_two_faces_take_turns() -> None:
    recording = Recording()
    recording.show(SCENE, 1, 2)
    before = len(recording.runtime.enhanced)
    for number in range(1, 7):
        assert len(recording.show(SCENE, 1, 2)) == 2
        assert len(recording.runtime.enhanced) == before + number
    recording.stage.close()


@pytest.mark.parametrize("at", [3, 4])
def test_a_cut_is_for_the_network(at: int) -> None:
    recording = Recording()
    for _ in range(at):
        recording.show(SCENE)
    before = len(recording.runtime.enhanced)
    (patch,) = recording.show(ANOTHER)
    assert len(recording.runtime.enhanced) == before + 1, "whether it was due or not"
    x0, y0, x1, y1 = patch.box
    crop = ANOTHER[y0:y1, x0:x1]
    made = cv2.resize(crop, patch.image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(recording.runtime.enhanced[-1][0], crop)
    assert np.abs(patch.image.astype(float) - made).mean() < 1.0, "nothing is left of before"
    recording.stage.close()


def test_a_call_shows_the_camera_until_the_network_is_due() -> None:
    """What a recording's level asks for more: a frame of a call would be late."""
    recording = Recording()
    recording.stage.apply(replace(FAST, least_carried=0.0))
    for _ in range(3):
        recording.show(SCENE)
    before = len(recording.runtime.enhanced)
    recording.show(ANOTHER)
    assert len(recording.runtime.enhanced) == before
    recording.stage.close()


def test_the_best_speed_is_what_recordings_always_had() -> None:
    assert RECORDED["best"] is EVERYBODY
    assert EVERYBODY.enhance_every == 1
    assert (FAST.max_faces, FAST.pixels) == (EVERYBODY.max_faces, EVERYBODY.pixels)
