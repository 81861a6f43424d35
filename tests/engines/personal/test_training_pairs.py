"""Pairs that are learnt from: the same by seed, new ones and kept ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.hime.data import Batch
from engines.personal import training_pairs
from engines.personal.close_ups import CloseUp
from engines.personal.training_pairs import PersonalBatches, drawn, is_fresh

COUNT, STEPS = 4, 14


def batches(seed: int = 0) -> PersonalBatches:
    rng = np.random.default_rng(0)
    close_ups = [CloseUp(rng.integers(0, 256, (128, 128, 3), np.uint8), k) for k in range(4)]
    return PersonalBatches(close_ups, 8, COUNT, seed, STEPS)


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
    monkeypatch.setattr(training_pairs, "KEPT_PAIRS", COUNT)
    found = list(drawn(batches(), STEPS, 0, 1))
    for step in range(training_pairs.FRESH_FIRST + 1, STEPS):
        if not is_fresh(step):
            latest = found[max(k for k in range(step) if is_fresh(k))]
            assert same(found[step], latest) or same(found[step], mirrored(latest))
