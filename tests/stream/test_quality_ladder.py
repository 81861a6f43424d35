"""Quality ladder: it only ever does less, and what the enhancer does with one of its
steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from stream.frame import Face
from stream.image.resample import cut_square
from stream.quality_ladder import FULL, LADDER, TYPICAL_PX, QualityLevel, first_level
from tests.fakes import BicubicRuntime
from tests.stream.stages.enhancement.test_enhancer import SCENE, Studio, exemplars, face


def test_each_step_keeps_the_economies_of_those_before() -> None:
    assert LADDER[0] == FULL
    assert len({one.name for one in LADDER}) == len(LADDER)
    for above, below in pairwise(LADDER):
        assert below.search_every >= above.search_every
        assert below.follow_every >= above.follow_every
        assert below.max_faces <= above.max_faces
        assert below.largest_px <= above.largest_px
        assert below.pixels <= above.pixels
        assert below.enhance_every >= above.enhance_every
        assert below.beside >= above.beside
        assert below.small >= above.small


def test_a_budget_bounds_faces_and_crops() -> None:
    studio = Studio()
    people = [face(60.0 + one, (150.0 * one + 100.0, 180.0), one) for one in range(3)]
    for _ in range(5):
        assert sum(one.patch is not None for one in studio.show(*people)) == 3
    studio.stage.apply(QualityLevel("little", max_faces=1, largest_px=48))
    shown = studio.show(*people)
    (patch,) = [one.patch for one in shown if one.patch]
    side = patch.box[2] - patch.box[0]
    assert side == 48
    assert patch.image.shape == (192, 192, 3)
    owner = next(one for one in shown if one.patch)
    middle = (patch.box[0] + side / 2, patch.box[1] + side / 2)
    assert middle == pytest.approx(owner.center, abs=1.0), "the face, not a corner of the headshot"
    studio.stage.apply(FULL)
    (patch,) = [one.patch for one in studio.show(people[0]) if one.patch]
    assert patch.box[2] - patch.box[0] == 64


def crops(faces: tuple[Face, ...]) -> list[int]:
    return [one.patch.box[2] - one.patch.box[0] if one.patch else 0 for one in faces]


def test_several_large_faces_share_what_the_network_may_do() -> None:
    studio = Studio()
    sides = (176.0, 172.0, 174.0)
    people = [face(side, (210.0 * n + 100.0, 180.0), n) for n, side in enumerate(sides)]
    assert crops(studio.show(*people)) == [160, 160, 160], "a recording takes its time"
    studio.stage.apply(LADDER[1])
    assert crops(studio.show(people[0])) == [160]
    assert crops(studio.show(*people[:2])) == [112, 112]
    rng = np.random.default_rng(5)
    for _ in range(30):
        trembling = [
            face(side + rng.uniform(-2, 2), one.center, one.track_id)
            for side, one in zip(sides, people, strict=True)
        ]
        assert crops(studio.show(*trembling)) == [96, 96, 96], "nobody's crop goes to and fro"
    small = face(40.0, (520.0, 180.0), 9)
    assert crops(studio.show(people[0], small)) == [128, 48], "160 and 48 would be too much"


def test_of_a_face_that_is_too_wide_for_the_budget_no_part_is_enhanced() -> None:
    studio = Studio()
    studio.stage.apply(QualityLevel("little", largest_px=64))
    for _ in range(3):
        assert studio.patch(face(132.0)) is None
        assert studio.patch(face(126.0, track_id=2)) is not None


@pytest.mark.parametrize(
    ("measured_px", "largest_px"),
    [(None, 48), (160, 160), (999, 160), (128, 128), (112, 96), (64, 64), (48, 48), (0, 48)],
)
def test_a_call_begins_with_the_largest_crop_that_was_measured_to_keep_up(
    measured_px: int | None, largest_px: int
) -> None:
    quality = LADDER[first_level(measured_px)]
    assert quality.largest_px == largest_px
    assert quality.pixels <= 3 * TYPICAL_PX**2
    assert (quality is LADDER[-1]) == (measured_px == 0), "nothing holds: as little as there is"


def test_features_fit_a_smaller_crop() -> None:
    studio = Studio()
    one = face(90.0, known=exemplars(), version=1)
    studio.patch(one)
    studio.stage.apply(QualityLevel("little", largest_px=64))
    studio.patch(one)  # the fake refuses features of another size
    sides = [images[0].shape[0] for images in studio.runtimes[4].encoded]
    assert sides == [96 * 4, 64 * 4]


@pytest.mark.parametrize("every", [2, 3])
def test_between_two_frames_of_the_network_its_detail_is_shown_where_the_face_is(
    every: int,
) -> None:
    studio = Studio()
    studio.stage.apply(QualityLevel("little", enhance_every=every))
    patches = [studio.patch(face(60.0, (300.0 + 4.0 * n, 180.0))) for n in range(9)]
    made = studio.runtimes[4].enhanced
    assert len(made) == {2: 5, 3: 4}[every], "the first at once, then in turn"
    for before, after in pairwise(patches):
        assert before is not None
        assert after is not None
        assert after.box[0] - before.box[0] in range(2, 7), "the crop follows the face"
        assert after.weight >= before.weight, "it goes on fading in"
        with BicubicRuntime(4) as seen:
            there = seen.enhance(cut_square(SCENE, after.box), None)
        apart = np.abs(after.image.astype(float) - there)[32:-32, 32:-32].mean()
        assert apart < 3.0, "and the patch shows what is there"


def test_several_faces_take_turns() -> None:
    studio = Studio()
    studio.stage.apply(QualityLevel("little", enhance_every=2))
    people = [face(60.0, (150.0 * one + 100.0, 180.0), one) for one in range(2)]
    studio.show(*people)
    made = []
    for _ in range(6):
        before = len(studio.runtimes[4].enhanced)
        studio.show(*people)
        made.append(len(studio.runtimes[4].enhanced) - before)
    assert made == [1] * 6


@pytest.mark.parametrize("frames", [2, 3])
def test_a_patch_of_long_ago_does_not_come_back(frames: int) -> None:
    studio = Studio()
    studio.stage.apply(QualityLevel("little", enhance_every=2))
    for _ in range(4):
        studio.patch(face(60.0))
    for _ in range(frames):
        studio.show()
    made = len(studio.runtimes[4].enhanced)
    assert studio.patch(face(60.0)) is not None
    assert len(studio.runtimes[4].enhanced) == made + 1, "whoever's turn it is"
