"""Training follows the device of its network, and no number leaves it before the report."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engines.hime import flow_training
from engines.hime.data import Batch
from engines.hime.people import load_people
from engines.hime.spynet import SpyNet
from engines.papers import identity_encoder, networks, recipes, train_network
from engines.papers.gwainet import GwaConfig, Gwainet
from engines.papers.identity_encoder import EncoderConfig, IdentityEncoder
from engines.papers.pwave import Pwave, PwaveConfig
from tests.noise_people import make_people

SIDE = 64
NO_GPU = "needs a GPU that PyTorch's CUDA can use"


@pytest.fixture(params=["meta", "cuda"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU, or PyTorch's device without contents: it refuses tensors of another device, too, and
    numbers that would have to leave it."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    if request.param == "meta":
        real = torch.autocast

        def autocast(kind: str, *args: Any, **more: Any) -> Any:
            # without contents there is nothing to compute in bfloat16
            return contextlib.nullcontext() if kind == "meta" else real(kind, *args, **more)

        monkeypatch.setattr(torch, "autocast", autocast)
    return torch.device(request.param)


def tiny(name: str) -> Gwainet | Pwave:
    if name == "gwainet":
        return Gwainet(GwaConfig(channels=8, warp_blocks=1, sr_blocks=3, guide_blocks=3))
    return Pwave(PwaveConfig(channels=16))


def batch_of(slots: int) -> Batch:
    truth = torch.rand(2, 3, SIDE, SIDE)
    given = torch.rand(2, slots, 3, SIDE, SIDE)
    return Batch(torch.rand(2, 3, SIDE // 8, SIDE // 8), given, torch.ones(2, slots), truth)


def devices(*parts: nn.Module) -> set[str]:
    return {p.device.type for part in parts for p in part.parameters()}


@pytest.mark.parametrize("name", ["gwainet", "pwave"])
def test_every_stage_runs_where_the_network_is(
    name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "SIDES", {8: SIDE // 8})
    monkeypatch.setattr(recipes, "ADVERSARIAL", 0.5)
    duel = recipes.begin(tiny(name).to(device), 10, adversarial=True)
    encoder = IdentityEncoder(EncoderConfig(SIDE, (8, 8, 8), (1, 1, 1), 16))
    duel.identity = encoder.to(device).eval().requires_grad_(False)
    losses = [recipes.learn(duel, batch_of(2 * (k % 2)), 1e-3) for k in range(10)]
    assert {value.device.type for one in losses for value in one.values()} == {device.type}
    assert "identity" in losses[-1]
    assert duel.critic is not None
    assert devices(duel.network, duel.ema, duel.critic) == {device.type}


def test_pictures_come_back_to_the_cpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    batch = batch_of(2)
    made = networks.run(tiny("pwave").to("cuda"), batch.crop, batch.exemplars)
    assert made.device.type == "cpu"


def test_motions_and_pairs_are_made_where_they_are_used(
    device: torch.device, tmp_path: Path
) -> None:
    people = load_people(make_people(tmp_path))
    drawn = flow_training.pairs(people, 2, 8, 16, np.random.default_rng(0), device)
    assert {part.device.type for part in drawn} == {device.type}
    crop, moved, truth = drawn
    network = SpyNet().to(device)
    loss = flow_training.end_point_error(network.pyramid(crop, moved), truth)
    loss.backward()  # type: ignore[no-untyped-call]
    assert network(crop, moved).device.type == loss.device.type == device.type


def test_a_training_that_diverges_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = make_people(tmp_path)
    out = tmp_path / "run"
    argv = ["--network", "pwave", "--data", str(people), "--val", str(people), "--out", str(out)]
    argv += ["--samples", "8", "--batch", "4", "--workers", "0", "--device", "cpu", "--no-critic"]
    monkeypatch.setattr(train_network, "build", lambda *_: tiny("pwave"))
    monkeypatch.setattr(train_network, "CASES", 2)
    out.mkdir()
    recipes.begin(tiny("pwave"), 2, adversarial=False).save(out / "checkpoint.pt")
    before = (out / "checkpoint.pt").read_bytes()
    monkeypatch.setitem(recipes.RATES, "pwave", float("nan"))
    assert train_network.main(argv) == 2
    error = capsys.readouterr().err
    assert "diverged before step 2; a smaller --lr may help" in error
    assert (out / "checkpoint.pt").read_bytes() == before


def test_trainings_pass_their_device_on(tmp_path: Path) -> None:
    argv = ["--network", "hime-small", "--data", "x", "--val", "y", "--out", str(tmp_path)]
    args = train_network.parse(
        [*argv, "--device", "cuda:1", "--made", "0.4", "--val-exemplars", "1"]
    )
    words = train_network.for_hime(args)
    assert "--device=cuda:1" in words
    assert "--made=0.4" in words
    assert "--val-exemplars=1" in words


@pytest.mark.parametrize("program", [flow_training, identity_encoder])
def test_programs_take_a_device(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = make_people(tmp_path)
    argv = ["--data", str(people), "--out", str(tmp_path / "x.pt"), "--device", "nowhere"]
    assert program.main(argv) == 2
    assert "error: --device nowhere cannot be used" in capsys.readouterr().err
    assert not (tmp_path / "x.pt").exists()
