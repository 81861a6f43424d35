"""GWAInet and PWAve: sizes, shapes, exemplar slots, gradients, critics, checkpoints."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.data import Batch
from engines.papers import networks, recipes
from engines.papers.critic import Cnet, critic_loss, generator_loss
from engines.papers.gwainet import GwaConfig, Gwainet, chosen, warped
from engines.papers.pwave import Pwave, PwaveConfig

TINY_GWA = GwaConfig(channels=8, warp_blocks=1, sr_blocks=4, guide_blocks=3)
TINY_PWAVE = PwaveConfig(channels=16)
SIDE = 8


def tiny(name: str) -> Gwainet | Pwave:
    torch.manual_seed(0)
    return Gwainet(TINY_GWA) if name == "gwainet" else Pwave(TINY_PWAVE)


def inputs(scale: int, slots: int, side: int = SIDE) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    exemplars = torch.rand(2, slots, 3, side * scale, side * scale)
    return torch.rand(2, 3, side, side), exemplars, torch.ones(2, slots)


def moving(network: nn.Module) -> nn.Module:
    """What starts at zero lets nothing through in the first step."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not layer.weight.any():
            nn.init.normal_(layer.weight, std=0.01)
    return network


def test_sizes_of_all_networks() -> None:
    rows = {(row["network"], row["scale"]): row for row in networks.sizes()}
    assert rows.keys() == set(networks.SIZES)
    assert rows["hime-small", 4]["gmacs"] == pytest.approx(1.86, abs=0.005)
    assert rows["hime-large", 8]["gmacs"] == pytest.approx(4.49, abs=0.005)
    # HIME's table 1
    assert rows["gwainet", 8]["parameters"] == pytest.approx(4.29e6, abs=5e3)
    assert rows["pwave", 8]["parameters"] == 1_726_856


@pytest.mark.parametrize("name", ["gwainet", "pwave"])
@pytest.mark.parametrize("slots", [0, 1, 5])
def test_any_number_of_exemplars(name: str, slots: int) -> None:
    network = tiny(name).eval()
    crop, exemplars, validity = inputs(8, slots)
    with torch.inference_mode():
        made = network(crop, exemplars, validity)
        unused = network(crop, exemplars, torch.zeros(2, slots))
        none = network(crop, exemplars[:, :0], validity[:, :0])
    assert made.shape == (2, 3, 64, 64)
    torch.testing.assert_close(unused, none, rtol=0, atol=1e-5)
    assert slots == 0 or float((made - none).abs().max()) > 1e-5


@pytest.mark.parametrize("name", ["gwainet", "pwave"])
def test_an_invalid_slot_changes_nothing(name: str) -> None:
    network = tiny(name).eval()
    crop, exemplars, validity = inputs(8, 3)
    validity[:, 0] = 0
    with torch.inference_mode():
        masked = network(crop, exemplars, validity)
        without = network(crop, exemplars[:, 1:], validity[:, 1:])
    torch.testing.assert_close(masked, without, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("scale", "side"), [(8, 16), (16, 8)])
def test_pwave_enlarges_eight_and_sixteen_times(scale: int, side: int) -> None:
    network = Pwave(replace(TINY_PWAVE, scale=scale)).eval()
    with torch.inference_mode():
        made = network.make(*inputs(scale, 2, side))
    assert made.picture.shape == (2, 3, 128, 128)
    assert made.small.shape == (2, 3, 2 * side, 2 * side)
    assert [w.shape for w in made.weights] == [(2, 2, 1, k * side, k * side) for k in (1, 2)]


def test_weights_of_exemplars_sum_to_one_and_differ_from_place_to_place() -> None:
    network = tiny("pwave").eval()
    assert isinstance(network, Pwave)
    crop, exemplars, validity = inputs(8, 3)
    validity[0, 2] = 0
    with torch.inference_mode():
        weights = network.make(crop, exemplars, validity).weights
        plain = Pwave(replace(TINY_PWAVE, average=True)).make(crop, exemplars, validity).weights
    for w in weights:
        torch.testing.assert_close(w.sum(dim=1), torch.ones_like(w[:, 0]), rtol=0, atol=1e-5)
        assert not w[0, 2].any()
        assert float(w[1].std(dim=(2, 3)).min()) > 0
    torch.testing.assert_close(plain[0][1], torch.full_like(plain[0][1], 1 / 3), rtol=0, atol=1e-6)
    torch.testing.assert_close(plain[0][0, :2], torch.full_like(plain[0][0, :2], 0.5))


@pytest.mark.parametrize("name", ["gwainet", "pwave"])
def test_every_part_gets_a_gradient(name: str) -> None:
    network = moving(tiny(name))
    given = inputs(8, 2)
    if isinstance(network, Pwave):
        made = network.make(*given)
        (made.picture.square().mean() + made.small.square().mean()).backward()  # type: ignore[no-untyped-call]
    else:
        network(*given).square().mean().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_the_losses_of_the_picture_leave_the_small_generator_alone() -> None:
    network = tiny("pwave")
    assert isinstance(network, Pwave)
    network.make(*inputs(8, 2)).picture.square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in network.small.parameters())


def test_a_flow_of_zero_leaves_the_guide_where_it_is() -> None:
    guide = torch.rand(1, 3, 16, 16)
    still = torch.zeros(1, 16, 16, 2)
    torch.testing.assert_close(warped(guide, still), guide, rtol=0, atol=1e-5)
    # in units of half a side, corner to corner: two columns of 16 px
    right = torch.tensor((2 * 2 / 15, 0.0)).expand(1, 16, 16, 2)
    moved = warped(guide, right)
    torch.testing.assert_close(moved[..., :-2], guide[..., 2:], rtol=0, atol=1e-4)


def test_the_guide_is_the_first_valid_exemplar() -> None:
    exemplars = torch.arange(6.0).view(2, 3, 1, 1, 1).expand(2, 3, 3, 4, 4)
    guide, weight = chosen(exemplars, torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    assert float(guide[0].mean()) == 1.0
    assert weight.flatten().tolist() == [1.0, 0.0]


def test_the_penalty_asks_the_critic_for_a_slope_of_one() -> None:
    class Slope(nn.Module):
        def __init__(self, slope: float) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(slope))

        def forward(self, x: Tensor) -> Tensor:
            size = x[0].numel() ** 0.5
            y: Tensor = self.slope * x.flatten(1).sum(dim=1, keepdim=True) / size
            return y

    real, fake = torch.full((2, 3, 4, 4), 0.75), torch.full((2, 3, 4, 4), 0.25)
    size = 48**0.5
    right, steep = (critic_loss(Slope(s), real, fake, 0) for s in (1.0, 3.0))
    assert float(right.detach()) == pytest.approx(-0.5 * size, rel=1e-4)
    assert float(steep.detach()) == pytest.approx(-1.5 * size + 10 * 4, rel=1e-4)
    assert float(generator_loss(Slope(1.0), fake).detach()) == pytest.approx(-0.25 * size, rel=1e-4)


def batch_of(scale: int = 8) -> Batch:
    crop, exemplars, validity = inputs(scale, 1)
    truth = F.interpolate(crop, scale_factor=scale, mode="bicubic").clamp(0, 1)
    return Batch(crop, exemplars, validity, truth)


@pytest.mark.parametrize("name", ["gwainet", "pwave"])
def test_a_few_steps_lower_the_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "WARP", 0.0)
    duel = recipes.begin(tiny(name), 1000, adversarial=False)
    batch = batch_of()
    losses = [float(recipes.learn(duel, batch, 5e-3)["content"]) for _ in range(6)]
    assert losses[-1] < 0.95 * losses[0]
    assert duel.samples == 12


def test_training_has_the_three_steps_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "SIDES", {8: SIDE})
    duel = recipes.begin(tiny("gwainet"), 10, adversarial=True)
    batch, told = batch_of(), []
    before = {}
    for step in range(10):
        before[step] = duel.network.generator.out.weight.clone()  # type: ignore[union-attr, operator]
        told.append(set(recipes.learn(duel, batch, 1e-3)))
    assert told[0] == {"warp"}
    assert told[1:8] == [{"content"}] * 7
    # steps 8 and 9 are the critic's, and the fifth of each five the network's, too
    assert told[8:] == [{"content", "critic"}, {"content", "critic", "adversarial"}]
    assert torch.equal(before[0], before[1])
    assert torch.equal(before[8], before[9])
    assert duel.optimiser.param_groups[0]["betas"] == (0.5, 0.9)


def test_weight_networks_learn_more_slowly() -> None:
    duel = recipes.begin(tiny("pwave"), 10, adversarial=False)
    recipes.learn(duel, batch_of(), 3e-3)
    rates = [group["lr"] for group in duel.optimiser.param_groups]
    assert rates == pytest.approx([3e-3, 1e-4])
    assert isinstance(duel.network, Pwave)
    assert len(duel.optimiser.param_groups[1]["params"]) == len(
        list(duel.network.weights.parameters())
    )


@pytest.mark.parametrize("name", ["gwainet", "pwave"])
def test_a_resumed_training_equals_an_uninterrupted_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "SIDES", {8: SIDE})
    monkeypatch.setattr(recipes, "CRITIC_STEPS", 1)
    path, batch = tmp_path / "checkpoint.pt", batch_of()
    whole = recipes.begin(tiny(name), 2, adversarial=True)
    monkeypatch.setattr(recipes, "ADVERSARIAL", 0.6)
    for _ in range(2):
        recipes.learn(whole, batch, 1e-3)
    parts = recipes.begin(tiny(name), 2, adversarial=True)
    recipes.learn(parts, batch, 1e-3)
    parts.save(path)
    torch.manual_seed(5)
    fresh = Gwainet(TINY_GWA) if name == "gwainet" else Pwave(TINY_PWAVE)
    resumed = recipes.begin(fresh, 2, adversarial=True)
    resumed.load(path)
    assert (resumed.step, resumed.samples) == (1, 2)
    recipes.learn(resumed, batch, 1e-3)
    assert resumed.critic is not None
    assert whole.critic is not None
    for one, two in ((resumed.network, whole.network), (resumed.critic, whole.critic)):
        for key, value in one.state_dict().items():
            torch.testing.assert_close(value, two.state_dict()[key], rtol=0, atol=1e-6)
    found = networks.load(path)
    assert found.samples == 2
    assert asdict(found.network.config) == asdict(whole.network.config)
    with pytest.raises(ValueError, match="a training of 2 steps, not 3"):
        recipes.begin(tiny(name), 3, adversarial=True).load(path)
    with pytest.raises(ValueError, match="holds another network"):
        recipes.begin(tiny("pwave" if name == "gwainet" else "gwainet"), 2, True).load(path)


def test_critics_take_the_pictures_of_their_networks() -> None:
    assert Cnet(32)(torch.rand(2, 3, 32, 32)).shape == (2, 1)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for content in (b"", b"not one of PyTorch's", b"PK"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.pt: no file of PyTorch, or a damaged one"):
            networks.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="holds no weights"):
        networks.load(path)
    torch.save({"kind": "pwave", "ema": {}}, path)
    with pytest.raises(ValueError, match="holds no network of the papers"):
        networks.load(path)
    torch.save({"step": 1}, path)
    with pytest.raises(ValueError, match="holds no HIME network"):
        networks.load(path)
    with pytest.raises(ValueError, match="no network other"):
        networks.build("other", 8)
