"""Bounds on what exemplars could add: they know the truth, and so must not be below it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.hime import headroom
from engines.hime.cases import make_cases
from engines.hime.checkpoint import load_network
from engines.hime.data import load_people
from engines.hime.measures import psnr
from engines.weights.manifest import best_weights
from tests.noise_people import make_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"))


def test_a_moved_and_relit_picture_is_brought_back() -> None:
    rng = np.random.default_rng(3)
    coarse = rng.integers(60, 200, (12, 12, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    truth = torch.from_numpy(picture / 255).permute(2, 0, 1)
    moved = truth.roll((3, -2), dims=(1, 2))
    inner = (slice(None), slice(12, -12), slice(12, -12))

    def likeness(x: torch.Tensor) -> float:
        return float(psnr(x[inner][None], truth[inner][None]))

    assert likeness(headroom.onto(moved, truth)) > likeness(moved) + 10
    # light that falls off to one side moves nothing
    shade = torch.linspace(0.6, 1.0, 128)
    relit = headroom.onto(moved * shade, truth)
    assert likeness(relit / shade) > likeness(moved) + 5


def test_the_best_are_chosen_by_score(people: Path) -> None:
    cases = make_cases(load_people(people, 128), 8, 16, "clean", slots=3)
    scores = torch.tensor([[0.0, 2.0, 1.0]]).repeat(len(cases), 1)
    for chosen, case in zip(headroom.best(cases, scores), cases, strict=True):
        assert torch.equal(chosen.exemplars, case.exemplars[[1, 2, 0]])


def test_bounds_with_the_shipped_network(people: Path) -> None:
    network = load_network(best_weights(8, "clean"))
    cases = make_cases(load_people(people, 128), 8, 16, "clean", slots=3)
    rows = headroom.headroom(network, cases)
    assert [name.split(",")[0] for name, _, _ in rows] == ["none", "3", "3", "the best 3 of 3"]
    assert rows[0][2] == 0
    # the best three of three are the same three, in another order
    assert rows[3][1] == pytest.approx(rows[1][1], abs=0.05)


def test_command_line(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--data", str(people), "--scale", "8", "--size", "16"]
    assert headroom.main([*argv, "--pool", "3", "--limit", "4"]) == 0
    assert "16 px x8, clean, 4 headshots, hime_x8_clean" in capsys.readouterr().out
    assert headroom.main([*argv, "--pool", "3", "--limit", "2", "--weights", "open"]) == 0
    assert "16 px x8, clean, 2 headshots, hime_x8_open" in capsys.readouterr().out
    damaged = tmp_path / "people.zip"
    damaged.write_bytes(b"no zip")
    wrong = {"--pool": ("2", "9"), "--limit": ("0", "-3"), "--size": ("8", "17")}
    cases = [[name, value] for name, values in wrong.items() for value in values]
    for more in (*cases, ["--data", str(people / "none")], ["--data", str(damaged)]):
        assert headroom.main([*argv, *more]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
