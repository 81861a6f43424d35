"""Batches of a training run: those that a finished network guides."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engines.alignment import align
from engines.hime import train
from engines.hime.checkpoint import named_weights
from engines.hime.data import Batches, Recipe, to_images, to_tensor
from engines.hime.devices import mixed_precision
from engines.hime.loader import guide_of
from engines.hime.model import Config, Hime
from engines.hime.options import parse
from tests.noise_people import make_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"))


def test_exemplars_are_aligned_again_to_what_the_guide_makes_with_them(people: Path) -> None:
    """As a stream does from its second frame on."""
    recipe = Recipe(4, pixels=8192, slots=(3,), slot_weights=(1,), wrong=0, blank=0, clean=1)
    torch.manual_seed(3)
    guide = Hime(Config()).eval()
    once, raw = (
        Batches([people], replace(recipe, aligned=aligned), 1, 2)[0] for aligned in (True, False)
    )
    batch = Batches([people], recipe, 1, 2, guide=guide)[0]
    with torch.inference_mode(), mixed_precision(torch.device("cpu")):
        made = to_images(guide(once.crop, once.exemplars, torch.ones(8, 3)).float())
    assert not torch.equal(once.exemplars, batch.exemplars)
    for k, crop in enumerate(to_images(batch.crop)):
        again = to_tensor(align(crop, to_images(raw.exemplars[k]), made[k]))
        torch.testing.assert_close(batch.exemplars[k], again, rtol=0, atol=1e-6)


def test_a_guide_that_does_not_fit_is_refused_in_one_line(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = [
        *("--data", str(people), "--val", str(people), "--out", str(tmp_path / "run")),
        *("--steps", "1", "--batch", "1", "--sizes", "32:1", "--workers", "0", "--device", "cpu"),
    ]
    for option, message in (
        ([], "error: --guide .* enlarges 8 times, not 4"),
        (["--alignment", "deformable"], "error: --guide is for --alignment pixels"),
    ):
        guide = named_weights("research", 8)
        assert train.main([*plain, "--guide", str(guide), *option]) == 2
        assert re.match(message, capsys.readouterr().err)
    assert guide_of(parse("", plain)) is None
    shipped = ["--guide", str(named_weights("research", 4))]
    found = guide_of(parse("", [*plain, *shipped]))
    assert found is not None
    assert found.scale == 4
