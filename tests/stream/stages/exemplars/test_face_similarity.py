"""A face resembles its own exemplars, however small and noisy it is, and not those of others."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.scenes.corruptions import noisy, read, shrunk
from bench.strangers import made_up_people
from stream.frame import Image
from stream.stages.exemplars.face_similarity import UNLIKE, resemblance

PEOPLE = "CLOSEUP_TEST_PEOPLE"
"""Environment variable: a folder that holds a folder of headshots for each of several people."""


def far(photo: Image, side: int = 32, noise: float = 8.0) -> Image:
    return noisy(shrunk(photo, side), noise, np.random.default_rng(side))


@pytest.mark.parametrize("side", [20, 32, 64, 96])
def test_everybody_resembles_himself(side: int) -> None:
    for photo in made_up_people():
        assert resemblance(far(photo, side), [photo]) > UNLIKE


def test_it_bears_light_and_a_little_aside() -> None:
    photo = made_up_people()[0]
    side = photo.shape[0]
    move = np.array([[0.95, 0.0, 0.06 * side], [0.0, 0.95, 0.0]])
    moved = cv2.warpAffine(photo, move, (side, side), borderMode=cv2.BORDER_REFLECT)
    dim = np.asarray(0.4 * moved, np.uint8)
    assert resemblance(far(dim, noise=4.0), [photo]) > UNLIKE


@pytest.mark.parametrize("degrees", [-25.0, 20.0])
def test_a_tilted_head_resembles_itself_where_the_tilt_is_known(degrees: float) -> None:
    for photo in made_up_people():
        side = photo.shape[0]
        middle = ((side - 1) / 2, (side - 1) / 2)
        turn = cv2.getRotationMatrix2D(middle, degrees, 1.0)
        tilted = np.asarray(
            cv2.warpAffine(photo, turn, (side, side), borderMode=cv2.BORDER_REFLECT), np.uint8
        )
        against_it = np.radians(degrees)  # cv2 turns counter-clockwise
        assert resemblance(far(tilted), [photo], [against_it]) > UNLIKE
        assert resemblance(far(photo), [tilted], [-against_it]) > UNLIKE
        assert resemblance(far(tilted), [photo]) < resemblance(far(tilted), [photo], [against_it])


def test_others_do_not_and_the_best_of_several_counts() -> None:
    own = made_up_people()[0]
    upside_down = np.ascontiguousarray(own[::-1])
    assert resemblance(far(own), [upside_down]) < UNLIKE
    assert resemblance(far(own), [upside_down, own]) > UNLIKE
    assert resemblance(far(own), [np.asarray(255 - own, np.uint8)]) < 0.0


def test_a_blank_picture_is_nobody() -> None:
    own = made_up_people()[0]
    assert resemblance(np.full((40, 40, 3), 120, np.uint8), [own]) == 0.0
    assert resemblance(far(own), [np.full((256, 256, 3), 120, np.uint8)]) < UNLIKE


def test_real_people() -> None:
    if not os.environ.get(PEOPLE):
        pytest.skip(f"real people are not shipped: set ${PEOPLE} to a folder of them")
    people = read(Path(os.environ[PEOPLE]))
    names = list(people)
    own, strange = [], []
    for number, name in enumerate(names):
        for k, photo in enumerate(people[name]):
            others = [x for i, x in enumerate(people[name]) if i != k][:3]
            stranger = people[names[(number + 1 + k) % len(names)]][:3]
            own.append(resemblance(far(photo), others) > UNLIKE)
            if names[(number + 1 + k) % len(names)] != name:
                strange.append(resemblance(far(photo), stranger) > UNLIKE)
    assert np.mean(own) > 0.9
    assert np.mean(strange) < 0.4
