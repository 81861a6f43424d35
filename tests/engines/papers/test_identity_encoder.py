"""Inet: its sizes, its loss, what it learns, and its part in GWAInet's last stage."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.hime.data import Batch
from engines.hime.people import load_people
from engines.papers import identity_encoder, recipes
from engines.papers.gwainet import GwaConfig, Gwainet
from engines.papers.identity_encoder import EncoderConfig, IdentityEncoder, load_encoder
from tests.noise_people import make_people

TINY = EncoderConfig(side=64, widths=(8, 8, 8), layers=(1, 1, 1), outputs=16)


def tiny() -> IdentityEncoder:
    torch.manual_seed(0)
    return IdentityEncoder(TINY)


def test_its_layers_are_those_of_vgg_16() -> None:
    with torch.device("meta"):
        network = IdentityEncoder()
    convolutions = [m for m in network.features if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 13
    assert sum(p.numel() for p in network.features.parameters()) == 14_714_688
    assert network.dense[0].in_features == 512 * 4 * 4


def test_the_loss_is_the_distance_of_embeddings_by_their_length() -> None:
    network = tiny()
    one, other = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        wanted = (network(one) - network(other)).square().sum(dim=1).mean() / TINY.outputs
        assert float(network.loss(one, one)) == 0
        torch.testing.assert_close(network.loss(one, other), wanted)


def test_half_of_the_pairs_are_one_person(tmp_path: Path) -> None:
    people = load_people(make_people(tmp_path))
    one, other, same = identity_encoder.pairs(people, 6, 64, np.random.default_rng(0))
    assert same.tolist() == [1, 0, 1, 0, 1, 0]
    apart = (one - other).square().mean(dim=(1, 2, 3))
    assert float(apart[::2].max()) < float(apart[1::2].min())


def test_it_learns_and_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people").mkdir()
    people = load_people(make_people(tmp_path / "people"))
    monkeypatch.setattr(identity_encoder, "RATE", 3e-3)
    network = tiny()
    assert identity_encoder.learn(network, people, 160, 1) > 0.6
    torch.save({"inet": network.state_dict(), "config": asdict(TINY)}, tmp_path / "inet.pt")
    assert not any(p.requires_grad for p in load_encoder(tmp_path / "inet.pt").parameters())
    torch.save({"other": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="holds no Inet"):
        load_encoder(tmp_path / "other.pt")


def test_the_identity_loss_acts_in_the_last_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "SIDES", {8: 8})
    monkeypatch.setattr(recipes, "CRITIC_STEPS", 1)
    network = Gwainet(GwaConfig(channels=8, warp_blocks=1, sr_blocks=3, guide_blocks=3))
    duel = recipes.begin(network, 5, adversarial=True)
    duel.identity = tiny().eval().requires_grad_(False)
    truth = torch.rand(2, 3, 64, 64)
    batch = Batch(torch.rand(2, 3, 8, 8), truth[:, None], torch.ones(2, 1), truth)
    told = [recipes.learn(duel, batch, 1e-3) for _ in range(5)]
    assert ["identity" in losses for losses in told] == [False] * 4 + [True]
    assert "identity" not in duel.parts()
