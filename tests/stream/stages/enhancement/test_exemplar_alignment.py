"""Exemplars stay aligned from frame to frame: steady, moved along, not done twice."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from engines.hime.detail import detail
from stream.frame import Exemplar, Image
from stream.image.resample import cut_square
from stream.media.demo.demo_scene import read_portrait
from stream.stages.enhancement import exemplar_alignment
from stream.stages.enhancement.exemplar_alignment import ExemplarAlignment, placed, steadied

CELLS, SCALE = 48, 4
PLACE = (1, SCALE, CELLS, 176.0)


@pytest.fixture(scope="module")
def headshot() -> Image:
    """The portrait's, 256x256."""
    return np.asarray(cv2.resize(read_portrait()[:400, 60:460], (256, 256)), np.uint8)


def exemplar(image: Image) -> Exemplar:
    return Exemplar(image, 256, (0.0, 0.0), 1.0, 0.0)


def scene(headshot: Image, x: float = 0.0, degrees: float = 0.0) -> Image:
    """What the camera sees: a far head of 44 px (176 / 4) in a picture of 96x96 px."""
    turn = cv2.getRotationMatrix2D((127.5, 127.5), degrees, 44 * 4 / 256)
    turn[:, 2] += np.array([4 * (48 + x) - 127.5, 4 * 48 - 127.5])
    large = cv2.warpAffine(headshot, turn, (384, 384), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.resize(large, (96, 96), interpolation=cv2.INTER_AREA), np.uint8)


def crop_of(picture: Image, corner: tuple[int, int] = (24, 24)) -> Image:
    return cut_square(picture, (*corner, corner[0] + CELLS, corner[1] + CELLS))


def test_a_turned_head_gets_its_own_detail(headshot: Image) -> None:
    alignment = ExemplarAlignment()
    (given,) = alignment.align(
        (exemplar(headshot),), crop_of(scene(headshot, 1.0, 5.0)), (24, 24), PLACE, 0.0
    )
    turn = cv2.getRotationMatrix2D((127.5, 127.5), 5.0, 176 / 256)
    turn[:, 2] += np.array([95.5 + 4.0 - 127.5, 95.5 - 127.5])
    truth = np.asarray(
        cv2.warpAffine(headshot, turn, (192, 192), borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    plain = placed(headshot, 176.0, 192)
    before, after = (detail(x, truth, SCALE, 0.5).coherence for x in (plain, given[..., :3]))
    assert before < 0.3
    assert after > 0.6
    assert given.shape == (192, 192, 4)
    assert given[60:-60, 60:-60, 3].mean() > 200


@pytest.mark.parametrize("degrees", [-24.0, 24.0])
def test_a_tilted_head_gets_its_own_detail_from_an_upright_exemplar(
    headshot: Image, degrees: float
) -> None:
    """The flow compares patches, which do not turn."""
    crop, place = crop_of(scene(headshot, 1.0, degrees)), (24, 24)
    turn = cv2.getRotationMatrix2D((127.5, 127.5), degrees, 176 / 256)
    turn[:, 2] += np.array([95.5 + 4.0 - 127.5, 95.5 - 127.5])
    truth = np.asarray(
        cv2.warpAffine(headshot, turn, (192, 192), borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    found = {}
    for roll in (0.0, -np.radians(degrees)):  # cv2 turns counter-clockwise
        (given,) = ExemplarAlignment().align(
            (exemplar(headshot),), crop, place, PLACE, 0.0, roll=roll
        )
        coherent = detail(given[..., :3], truth, SCALE, 0.5).coherence
        found[roll != 0.0] = coherent, given[60:-60, 60:-60, 3].mean()
    assert found[False][0] < 0.45
    assert found[True][0] > 0.6
    assert found[True][1] > 200


def test_what_a_tilted_exemplar_shows_is_found_the_same_way(headshot: Image) -> None:
    """And goes on from frame to frame, while the head is tilted more and more."""
    turn = cv2.getRotationMatrix2D((127.5, 127.5), -18.0, 1.0)
    tilted = np.asarray(
        cv2.warpAffine(headshot, turn, (256, 256), borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    own = Exemplar(tilted, 256, (0.0, 0.0), 1.0, 0.0, float(np.radians(18.0)))
    alignment = ExemplarAlignment()
    for frame in range(12):
        degrees = 2.0 * frame
        crop = crop_of(scene(headshot, 0.0, degrees))
        (given,) = alignment.align(
            (own,), crop, (24, 24), PLACE, frame / 25, roll=-float(np.radians(degrees))
        )
        assert given[60:-60, 60:-60, 3].mean() > 190, frame


def test_the_same_picture_is_not_aligned_again(headshot: Image) -> None:
    alignment, crop = ExemplarAlignment(), crop_of(scene(headshot))
    first = alignment.align((exemplar(headshot),), crop, (24, 24), PLACE, 0.0)
    assert alignment.aligned == 1
    assert alignment.align((exemplar(headshot),), crop, (24, 24), PLACE, 0.1) is first
    assert alignment.aligned == 1
    other = crop_of(scene(headshot, 0.4))
    assert alignment.align((exemplar(headshot),), other, (24, 24), PLACE, 0.2) is not first
    assert alignment.aligned == 2


def test_what_the_network_made_refines_the_alignment_once(headshot: Image) -> None:
    crop = crop_of(scene(headshot, 1.0, 5.0))
    turn = cv2.getRotationMatrix2D((127.5, 127.5), 5.0, 176 / 256)
    turn[:, 2] += np.array([95.5 + 4.0 - 127.5, 95.5 - 127.5])
    truth = np.asarray(
        cv2.warpAffine(headshot, turn, (192, 192), borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )
    alignment, one = ExemplarAlignment(), exemplar(headshot)
    (first,) = alignment.align((one,), crop, (24, 24), PLACE, 0.0)
    alignment.remember(truth)
    (second,) = alignment.align((one,), crop, (24, 24), PLACE, 0.1)
    before, after = (detail(x[..., :3], truth, SCALE, 0.5).coherence for x in (first, second))
    assert after > before
    alignment.remember(truth)
    alignment.align((one,), crop, (24, 24), PLACE, 0.2)
    assert alignment.aligned == 2, "the same picture is refined once"


def test_a_call_may_align_less_often_while_the_crop_stays(headshot: Image) -> None:
    alignment, one = ExemplarAlignment(), exemplar(headshot)
    crops = [crop_of(scene(headshot, 0.3 * k)) for k in range(3)]
    alignment.align((one,), crops[0], (24, 24), PLACE, 0.0, 0.2)
    alignment.align((one,), crops[1], (24, 24), PLACE, 0.1, 0.2)
    assert alignment.aligned == 1
    alignment.align((one,), crops[2], (24, 24), PLACE, 0.25, 0.2)
    assert alignment.aligned == 2
    alignment.align((one,), crop_of(scene(headshot, 0.6), (25, 24)), (25, 24), PLACE, 0.3, 0.2)
    assert alignment.aligned == 3, "a crop that moved shows another part"


def test_the_flow_goes_along_when_the_crop_moves(headshot: Image) -> None:
    picture, one = scene(headshot), exemplar(headshot)
    moved, fresh = ExemplarAlignment(), ExemplarAlignment()
    moved.align((one,), crop_of(picture), (24, 24), PLACE, 0.0)
    corner = (27, 22)
    (after,) = moved.align((one,), crop_of(picture, corner), corner, PLACE, 0.1)
    (alone,) = fresh.align((one,), crop_of(picture, corner), corner, PLACE, 0.1)
    middle = slice(40, -40)
    apart = np.abs(after[middle, middle].astype(int) - alone[middle, middle])
    assert apart.mean() < 3.0


def test_after_forgetting_it_goes_on_as_a_new_one(headshot: Image) -> None:
    """A recording that was interrupted goes on with a new one, and becomes the same."""
    given = tuple(doubtful(headshot, seed) for seed in range(3))

    def aligned(alignment: ExemplarAlignment) -> list[Image]:
        made = []
        for k in range(4):
            corner = (24 + k, 24)
            crop = crop_of(scene(headshot, x=1.5 * k), corner)
            made += alignment.align(given, crop, corner, PLACE, k / 10, per_cell=1.5)
            alignment.remember(np.ascontiguousarray(made[-1][..., :3]))
        return made

    new = aligned(ExemplarAlignment())
    for before in range(1, 4):
        alignment = ExemplarAlignment()
        for k in range(before):
            alignment.align(
                given, crop_of(headshot, (24, 24)), (24, 24), PLACE, k / 10, per_cell=1.5
            )
            alignment.forget()
        found = aligned(alignment)
        assert all(np.array_equal(a, b) for a, b in zip(found, new, strict=True))


def test_noise_makes_aligned_detail_tremble_less_than_alone(
    headshot: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, one = scene(headshot), exemplar(headshot)
    rng = np.random.default_rng(5)
    crops = [
        np.asarray((crop_of(picture) + rng.normal(0, 3, (CELLS, CELLS, 3))).clip(0, 255), np.uint8)
        for _ in range(10)
    ]

    def trembling() -> float:
        alignment = ExemplarAlignment()
        made = [
            alignment.align((one,), crop, (24, 24), PLACE, k / 30)[0][40:-40, 40:-40, :3]
            for k, crop in enumerate(crops)
        ]
        return float(np.std(np.array(made[2:], np.float32), axis=0).mean())

    steady = trembling()
    monkeypatch.setattr(exemplar_alignment, "STEADY", 0.0)
    assert steady < 0.8 * trembling()


def test_exemplars_that_stay_keep_their_flow(headshot: Image) -> None:
    alignment, one = ExemplarAlignment(), exemplar(headshot)
    crop = crop_of(scene(headshot, 2.0))
    alignment.align((one,), crop, (24, 24), PLACE, 0.0)
    two = exemplar(np.asarray(headshot[:, ::-1].copy(), np.uint8))
    given = alignment.align((one, two), crop, (24, 24), (2, *PLACE[1:]), 0.1)
    assert len(given) == 2
    assert alignment.pictures is given
    alignment.forget()
    assert len(alignment.align((one,), crop, (24, 24), (3, *PLACE[1:]), 0.2)) == 1


def test_a_large_change_of_flow_is_followed_at_once() -> None:
    earlier = np.zeros((8, 8, 2), np.float32)
    flow = np.full((8, 8, 2), 5.0, np.float32)
    assert np.allclose(steadied(flow, earlier, 0.5), flow)
    near = np.full((8, 8, 2), 0.05, np.float32)
    assert 0.4 < float(steadied(near, earlier, 0.5).mean()) / 0.05 < 0.6


def test_placing_keeps_the_size_and_the_centre() -> None:
    face_box = np.zeros((256, 256, 3), np.uint8)
    cv2.rectangle(face_box, (64, 64), (191, 191), (255, 255, 255), -1)
    for side in (96.0, 160.0, 240.0, 360.0):
        shown = placed(face_box, side, 256)[128, :, 0] > 127
        # beyond the headshot its edge is reflected: only the box in the middle counts
        edge = round(max(0.0, (256 - side) / 2))
        shown[: edge + 1] = shown[256 - edge - 1 :] = False
        assert shown.sum() == pytest.approx(min(side / 2, 254), rel=0.04)
        assert np.flatnonzero(shown).mean() == pytest.approx(127.5, abs=1.0)


def doubtful(headshot: Image, seed: int) -> Exemplar:
    """Of the same head, a part of it hidden: it agrees in part."""
    hidden = headshot.copy()
    rng = np.random.default_rng(seed)
    hand = cv2.resize(rng.integers(0, 255, (5, 7, 3), np.uint8), (150, 110))
    hidden[60 + 20 * seed : 170 + 20 * seed, 50:200] = hand
    return exemplar(np.asarray(hidden, np.uint8))


def shown(alignment: ExemplarAlignment, given: tuple[Exemplar, ...], headshot: Image) -> None:
    """A second of a head that moves a little."""
    for k in range(30):
        crop = crop_of(scene(headshot, 0.3 * np.sin(k)))
        alignment.align(given, crop, (24, 24), PLACE, k / 30)


def test_those_that_agree_best_are_used(headshot: Image) -> None:
    good = [exemplar(headshot.copy()) for _ in range(2)]
    bad = [doubtful(headshot, seed) for seed in range(3)]
    alignment = ExemplarAlignment(count=2)
    given = (bad[0], good[0], bad[1], bad[2], good[1])
    shown(alignment, given, headshot)
    assert {id(one) for one in alignment.used} == {id(one) for one in good}
    assert len(alignment.pictures) == 2
    steady = alignment.used
    shown(alignment, given, headshot)
    assert alignment.used == steady, "nothing is gained by another swap"


def test_what_is_as_good_is_not_swapped(headshot: Image) -> None:
    given = tuple(exemplar(headshot.copy()) for _ in range(5))
    alignment = ExemplarAlignment(count=2)
    shown(alignment, given, headshot)
    assert alignment.used == given[:2]


def test_a_new_placement_keeps_what_was_found_out(headshot: Image) -> None:
    bad, good = doubtful(headshot, 1), exemplar(headshot.copy())
    alignment = ExemplarAlignment(count=1)
    shown(alignment, (bad, good), headshot)
    assert alignment.used == (good,)
    crop = crop_of(scene(headshot))
    alignment.align((bad, good), crop, (24, 24), (2, SCALE, CELLS, 180.0), 1.1)
    assert alignment.used == (good,)
    alignment.forget()
    alignment.align((bad, good), crop, (24, 24), (2, SCALE, CELLS, 180.0), 1.2)
    assert alignment.used == (bad,), "as if it were the first"
