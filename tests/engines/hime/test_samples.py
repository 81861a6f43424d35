"""Which people samples are made of, and what of them is mirrored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.hime.data import Batches, Recipe
from tests.noise_people import make_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"))


def test_crop_and_exemplars_are_mirrored_together_alone_or_not(people: Path) -> None:
    recipe = Recipe(4, pixels=8192, clean=1, slots=(1,), slot_weights=(1,), wrong=0, blank=0)
    recipe = replace(recipe, blurred=0, aligned=False)
    both, none, one = (
        Batches([people], replace(recipe, flip=flip), 1, 2)[0] for flip in ("both", "none", "one")
    )
    mirrored = [not torch.equal(a, b) for a, b in zip(both.truth, none.truth, strict=True)]
    assert 0 < sum(mirrored) < len(mirrored)
    assert torch.equal(one.truth, both.truth)
    for k, flipped in enumerate(mirrored):
        same = (
            both.exemplars[k, 0],
            none.exemplars[k, 0].flip(-1) if flipped else none.exemplars[k, 0],
        )
        torch.testing.assert_close(*same, rtol=0, atol=0)
        torch.testing.assert_close(one.exemplars[k, 0].flip(-1), both.exemplars[k, 0])


def test_people_with_few_photos_can_be_left_out(people: Path) -> None:
    recipe = Recipe(4, least_photos=4)
    assert len(Batches([people], recipe, 1, 2).people) == 3
    with pytest.raises(ValueError, match="nobody has 5 photos"):
        len(Batches([people], replace(recipe, least_photos=5), 1, 2).people)


def test_crops_that_no_photo_is_large_enough_for_are_refused(people: Path) -> None:
    """They were looked for without end."""
    batches = Batches([people], Recipe(4, sizes=(64,), pixels=8192), 1, 2)
    with pytest.raises(ValueError, match="nobody has photos of 256 px"):
        batches[0]


def test_some_samples_have_one_other_persons_exemplars_alone(tmp_path: Path) -> None:
    colours = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}
    for name, colour in colours.items():
        (tmp_path / name).mkdir()
        for photo in range(4):
            cv2.imwrite(
                str(tmp_path / name / f"{photo}.png"), np.full((128, 128, 3), colour, np.uint8)
            )
    shown = {}
    for share in (0.0, 1.0):
        recipe = Recipe(4, pixels=8192, slots=(3,), slot_weights=(1,), wrong=0, blank=0)
        recipe = replace(recipe, strange=share, aligned=False, clean=1)
        batch = Batches([tmp_path], recipe, 1, 2)[0]
        truth = batch.truth.mean(dim=(2, 3)).argmax(dim=1)
        given = batch.exemplars.mean(dim=(3, 4)).argmax(dim=2)
        assert bool((given == given[:, :1]).all())
        shown[share] = float((given[:, 0] != truth).float().mean())
    assert shown[0.0] == 0
    # who is drawn for the exemplars may be the same person, by chance
    assert 0.25 < shown[1.0] <= 1


def test_some_samples_have_a_part_that_is_otherwise_in_all_exemplars(tmp_path: Path) -> None:
    """Of people who look the same in every photo: then only a change tells them apart."""
    noise = np.random.default_rng(1).integers(60, 200, (16, 16, 3), np.uint8)
    face = cv2.resize(noise, (128, 128), interpolation=cv2.INTER_CUBIC)
    (tmp_path / "one").mkdir()
    for photo in range(4):
        cv2.imwrite(str(tmp_path / "one" / f"{photo}.png"), face)
    recipe = Recipe(4, pixels=16 * 1024, slots=(2,), slot_weights=(1,), wrong=0, blank=0, drop=0)
    recipe = replace(recipe, blurred=0, jitter=0, aligned=False, clean=1, flip="none")

    apart = {}
    for share in (0.0, 1.0):
        batch = Batches([tmp_path], replace(recipe, changed=share), 1, 2)[0]
        # in all exemplars alike, however their light differs
        assert float((batch.exemplars[:, 0] - batch.exemplars[:, 1]).abs().max()) < 0.25
        differs = (batch.exemplars - batch.truth[:, None]).abs().amax(dim=2).mean(dim=1)
        apart[share] = (differs > 0.25).flatten(1).float().mean(dim=1)
    assert float(apart[0.0].max()) == 0
    changed = apart[1.0]
    assert float((changed > 0).float().mean()) > 0.6
    assert float(changed.max()) < 0.6  # a part, and not the picture
