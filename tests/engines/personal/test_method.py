"""Which parameters are trained, and whose pairs are among them."""

from __future__ import annotations

import numpy as np
import pytest

from engines.hime.people import Person
from engines.personal.close_ups import CloseUp
from engines.personal.learner import Learner
from engines.personal.method import KEPT, LAST_BLOCKS, TRAINED, Method
from engines.personal.training_pairs import PersonalBatches
from tests.engines.personal.test_training_pairs import shipped

GREY = Person("", tuple(np.full((128, 128, 3), 90 + k, np.uint8) for k in range(4)))
WHITE = Person("other", (np.full((128, 128, 3), 250, np.uint8),) * 4)


def test_what_is_trained() -> None:
    names = [name for name, _ in shipped().named_parameters()]
    every, enhance, last = (Method(train).trained(names) for train in TRAINED)
    assert every == set(names)
    assert {name for name in every - enhance if name.startswith(KEPT)} == every - enhance
    assert every - enhance
    blocks = {name.split(".")[2] for name in last if name.startswith("reconstruction.body.")}
    assert len(blocks) == LAST_BLOCKS
    assert "reconstruction.last.bias" in last
    assert last < enhance


@pytest.mark.parametrize("train", TRAINED)
def test_only_that_is_changed_and_told(train: str) -> None:
    close_ups = [CloseUp(photo, float(k)) for k, photo in enumerate(GREY.photos * 2)]
    learner = Learner(shipped(), close_ups, 1, method=Method(train, rate=1e-2))
    for _ in learner.steps_made(judged=False):
        pass
    before = dict(shipped().named_parameters())
    wanted = Method(train).trained(before)
    changed = {n for n, value in learner.mean.named_parameters() if not value.equal(before[n])}
    assert changed
    assert changed <= wanted


def test_so_many_pairs_are_other_peoples() -> None:
    close_ups = [CloseUp(photo, float(k)) for k, photo in enumerate(GREY.photos)]
    found = {}
    for share in (0.0, 0.5):
        method = Method(general=(WHITE,) if share else (), share=share)
        pairs = PersonalBatches(close_ups, shipped(), 16, 0, 4, method)
        drawn = [pairs._drawn(128, np.random.default_rng(seed))[0] for seed in range(200)]
        found[share] = np.mean([one.mean() > 200 for one in drawn])
    assert found[0.0] == 0.0
    assert found[0.5] == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(
    "settings",
    [
        {"train": "first"},
        {"rate": 0.0},
        {"share": 0.3},
        {"share": 1.0, "general": (WHITE,)},
        {"general": (WHITE,)},
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"trained|rate|share"):
        Method(**settings)  # type: ignore[arg-type]
