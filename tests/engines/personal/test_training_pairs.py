"""Pairs that are learnt from: the same by seed, new ones and kept ones."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from engines.alignment import align
from engines.hime.checkpoint import load_network
from engines.hime.data import Batch, Person, to_tensor
from engines.hime.model import Hime
from engines.personal import training_pairs
from engines.personal.close_ups import CloseUp
from engines.personal.method import Method
from engines.personal.training_pairs import PersonalBatches, drawn, is_fresh
from engines.weights.manifest import weights_files

COUNT, STEPS = 4, 12


@cache
def shipped() -> Hime:
    return load_network(weights_files(8)[1])


def batches(seed: int = 0, method: Method | None = None) -> PersonalBatches:
    rng = np.random.default_rng(0)
    close_ups = [CloseUp(rng.integers(0, 256, (128, 128, 3), np.uint8), k) for k in range(4)]
    return PersonalBatches(close_ups, shipped(), COUNT, seed, STEPS, method)


def same(one: Batch, other: Batch) -> bool:
    pairs = ((one.crop, other.crop), (one.truth, other.truth), (one.exemplars, other.exemplars))
    return one.crop.shape == other.crop.shape and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in pairs
    )


def mirrored(one: Batch) -> Batch:
    flipped = (torch.flip(x, dims=(-1,)) for x in (one.crop, one.exemplars))
    crop, exemplars = flipped
    return Batch(crop, exemplars, one.validity, torch.flip(one.truth, dims=(-1,)))


def test_kept_ones_come_again_as_they_were_or_mirrored() -> None:
    found = list(drawn(batches(), STEPS, 0, 1))
    fresh = [step for step in range(STEPS) if is_fresh(step)]
    assert len(found) == STEPS
    for number, step in enumerate(fresh):
        assert same(found[step], batches()[number]), "in the order of the batches"
    ways = set()
    for step in set(range(STEPS)) - set(fresh):
        before = [found[k] for k in fresh if k < step]
        again = any(same(found[step], one) for one in before)
        assert again or any(same(found[step], mirrored(one)) for one in before)
        ways.add(again)
    assert ways == {True, False}


def test_they_depend_on_the_seed() -> None:
    one, again, other = (list(drawn(batches(s), STEPS, s, 2)) for s in (1, 1, 2))
    assert all(map(same, one, again))
    assert not all(map(same, one, other))


def test_a_bounded_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_pairs, "KEPT_PIXELS", COUNT * 128 * 128)
    found = list(drawn(batches(), STEPS, 0, 1))
    for step in range(training_pairs.FRESH_FIRST + 1, STEPS):
        if not is_fresh(step):
            latest = found[max(k for k in range(step) if is_fresh(k))]
            assert same(found[step], latest) or same(found[step], mirrored(latest))


def test_exemplars_are_no_neighbours_in_time_of_the_truth() -> None:
    pairs = batches()
    person = Person("", (np.zeros((8, 8, 3), np.uint8),) * 10)
    for seed in range(20):
        order = pairs._order(person, np.random.default_rng(seed))
        assert 5 <= len(order) - 1 <= 7
        assert np.abs(order[1:] - order[0]).min() == 3


def test_exemplars_are_aligned_to_what_the_network_makes() -> None:
    crop, exemplar = np.zeros((16, 16, 3), np.uint8), np.zeros((128, 128, 3), np.uint8)
    exemplar[40:90, 30:80] = 200
    crop[5:11, 4:10] = 200
    with_network = batches()._aligned(to_tensor([crop]), [[exemplar]])[0][0]
    assert with_network.shape == (128, 128, 4)
    assert not np.array_equal(with_network, align(crop, [exemplar])[0])


def test_in_changed_pairs_the_face_is_changed_or_all_exemplars_are() -> None:
    usual, changed = batches(method=Method(changed=0.0)), batches(method=Method(changed=1.0))
    faces = 0
    for seed in range(12):
        before = usual._sample(128, 3, False, np.random.default_rng(seed))
        after = changed._sample(128, 3, False, np.random.default_rng(seed))
        in_face = not np.array_equal(before[0], after[0])
        pairs = zip(before[1], after[1], strict=True)
        assert [not np.array_equal(a, b) for a, b in pairs] == 3 * [not in_face]
        faces += in_face
    assert 2 <= faces <= 10


def test_exemplars_that_are_not_believed_are_given_in_changed_pairs_alone() -> None:
    usual, changed = batches(method=Method(changed=0.0)), batches(method=Method(changed=1.0))
    given = 0
    for number in range(4):
        one, other = usual[number], changed[number]
        believed = (one.exemplars[:, :, 3] > 0).flatten(2).any(dim=2)
        assert not one.validity[~believed].any(), "noise looks like nothing else"
        assert set(other.validity.flatten().tolist()) <= {0.0, 1.0}
        given += int(other.validity.sum())
    assert given > 0
