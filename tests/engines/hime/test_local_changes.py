"""Changes of a part of a face: somewhere in it, of every kind, the same by seed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.hime.data import to_images, to_tensor
from engines.hime.local_changes import Image, local_changes
from engines.personal.close_ups import CloseUp
from engines.personal.held_out import CHANGED, make_changed_cases

SIDE, SEEDS = 128, range(60)


def headshot(seed: int = 0) -> Image:
    """Something with detail everywhere."""
    coarse = np.random.default_rng(seed).integers(40, 216, (32, 32, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def changed(seed: int, picture: Image) -> Image:
    return local_changes(SIDE, np.random.default_rng(seed))(picture)


def where(seed: int) -> NDArray[np.bool_]:
    """Where one change can be seen, in a picture or in its negative."""
    picture = headshot()
    apart = [
        np.abs(changed(seed, one).astype(int) - one).max(axis=2) > 8
        for one in (picture, np.asarray(255 - picture, np.uint8))
    ]
    return np.asarray(apart[0] | apart[1])


def test_they_are_drawn_by_the_seed_and_leave_the_picture_as_it_is() -> None:
    picture = headshot()
    before = picture.copy()
    one, again, other = (changed(seed, picture) for seed in (1, 1, 2))
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert (one.shape, one.dtype) == (picture.shape, picture.dtype)


def test_they_are_local_and_reach_all_of_the_face() -> None:
    places = np.stack([where(seed) for seed in SEEDS])
    shares = places.mean(axis=(1, 2))
    assert 0.002 < np.median(shares) < 0.15
    assert shares.max() < 0.5
    face = places[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4]
    often = cv2.resize(face.mean(axis=0), (4, 4), interpolation=cv2.INTER_AREA)
    assert often.min() > 0.02


def test_some_take_detail_away_and_some_bring_other() -> None:
    picture = headshot()
    detail = [cv2.Laplacian(changed(s, picture)[where(s)], cv2.CV_64F).std() for s in SEEDS]
    before = [cv2.Laplacian(picture[where(s)], cv2.CV_64F).std() for s in SEEDS]
    shares = np.array(detail) / before
    assert (shares < 0.5).sum() > 5
    assert (shares > 0.8).sum() > 5


def test_one_change_can_be_made_to_several_headshots() -> None:
    for seed in SEEDS[:10]:
        change = local_changes(SIDE, np.random.default_rng(seed))
        one, other = headshot(0), headshot(1)
        first = change(one)
        assert not np.array_equal(first, change(other))
        np.testing.assert_array_equal(first, change(one))


def test_held_out_close_ups_are_changed_half_and_half() -> None:
    held_out = [CloseUp(headshot(0), 0.0), CloseUp(headshot(1), 1.0)]
    learnt = [CloseUp(headshot(0), float(k)) for k in range(2, 5)]
    cases, places = make_changed_cases(held_out, learnt, 8)
    assert len(cases) == len(places) == CHANGED
    for k, (case, place) in enumerate(zip(cases, places, strict=True)):
        as_it_was = to_tensor([held_out[k % 2].picture])[0]
        assert place.mean() < 0.6
        assert bool((case.truth != as_it_was).any()) == (k % 2 == 0)
        if k % 2 == 0:
            far = np.abs(to_images((case.truth - as_it_was).abs()[None])[0]).max(axis=2)
            np.testing.assert_array_equal(place, far > 12)
    assert sum(place.any() for place in places) > CHANGED / 2
