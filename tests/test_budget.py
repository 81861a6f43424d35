"""Budget: a ladder that only ever does less, and what the enhancer does with one of its steps."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stream.budget import FULL, LADDER, Budget
from tests.test_enhancer import Studio, exemplars, face


def test_each_step_keeps_the_economies_of_those_before() -> None:
    assert LADDER[0] == FULL
    assert len({one.name for one in LADDER}) == len(LADDER)
    for above, below in pairwise(LADDER):
        assert below.search_every >= above.search_every
        assert below.follow_every >= above.follow_every
        assert below.max_faces <= above.max_faces
        assert below.largest_px <= above.largest_px
        assert below.enhance_every >= above.enhance_every


def test_a_budget_bounds_faces_and_crops() -> None:
    studio = Studio()
    people = [face(60.0 + one, (150.0 * one + 100.0, 180.0), one) for one in range(3)]
    for _ in range(5):
        assert sum(one.patch is not None for one in studio.show(*people)) == 3
    studio.stage.budget = Budget("little", max_faces=1, largest_px=48)
    shown = studio.show(*people)
    (patch,) = [one.patch for one in shown if one.patch]
    side = patch.box[2] - patch.box[0]
    assert side == 48
    assert patch.image.shape == (192, 192, 3)
    owner = next(one for one in shown if one.patch)
    middle = (patch.box[0] + side / 2, patch.box[1] + side / 2)
    assert middle == pytest.approx(owner.center, abs=1.0), "the face, not a corner of the headshot"
    studio.stage.budget = FULL
    (patch,) = [one.patch for one in studio.show(people[0]) if one.patch]
    assert patch.box[2] - patch.box[0] == 64


def test_features_fit_a_smaller_crop() -> None:
    studio = Studio()
    one = face(90.0, known=exemplars(), version=1)
    studio.patch(one)
    studio.stage.budget = Budget("little", largest_px=64)
    studio.patch(one)  # the fake refuses features of another size
    sides = [images[0].shape[0] for images in studio.runtimes[4].encoded]
    assert sides == [96 * 4, 64 * 4]


def test_in_every_other_frame_the_last_patch_moves_with_the_face() -> None:
    studio = Studio()
    studio.stage.budget = Budget("little", enhance_every=2)
    patches = [studio.patch(face(60.0, (300.0 + 4.0 * n, 180.0))) for n in range(9)]
    made = studio.runtimes[4].enhanced
    assert len(made) == 5, "the first at once, then in turn"
    for n, (before, after) in enumerate(pairwise(patches[1:])):
        assert before is not None
        assert after is not None
        again = before.image is after.image
        assert again == (n % 2 == 1), n
        if again:
            assert after.box[0] - before.box[0] == 4
            assert after.box[1] == before.box[1]
            assert after.weight >= before.weight, "it goes on fading in"


def test_several_faces_take_turns() -> None:
    studio = Studio()
    studio.stage.budget = Budget("little", enhance_every=2)
    people = [face(60.0, (150.0 * one + 100.0, 180.0), one) for one in range(2)]
    studio.show(*people)
    made = []
    for _ in range(6):
        before = len(studio.runtimes[4].enhanced)
        studio.show(*people)
        made.append(len(studio.runtimes[4].enhanced) - before)
    assert made == [1] * 6


def test_a_patch_of_long_ago_does_not_come_back() -> None:
    studio = Studio()
    studio.stage.budget = Budget("little", enhance_every=2)
    for _ in range(4):
        old = studio.patch(face(60.0))
    for _ in range(3):
        studio.show()
    new = studio.patch(face(60.0))
    assert old is not None
    assert new is not None
    assert new.image is not old.image
