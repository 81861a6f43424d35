"""HIME-small and HIME-large in the paper's sizes, their flow, and what moves features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.hime import flow_training, train
from engines.hime.flow_alignment import FlowAlignment
from engines.hime.measures import gmacs
from engines.hime.model import Config, Hime
from engines.hime.options import parse
from engines.hime.paper_sizes import LARGE, PAPER, SMALL, paper_config
from engines.hime.people import load_people
from engines.hime.spynet import SpyNet, load_flow, warp
from tests.noise_people import make_people


@pytest.fixture
def coarse_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the cost."""
    monkeypatch.setattr("engines.hime.spynet.SIDE", 32)


def network_of(name: str, scale: int) -> Hime:
    torch.manual_seed(0)
    return Hime(paper_config(scale, "flow" if name == LARGE else "deformable"))


def small_inputs(slots: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(1, 3, 8, 8), torch.rand(1, slots, 3, 32, 32), torch.ones(1, slots)


@pytest.mark.parametrize(("name", "scale"), PAPER)
def test_sizes_are_those_of_table_1(name: str, scale: int) -> None:
    millions, wanted = PAPER[name, scale]
    network = network_of(name, scale)
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    cost = gmacs(network, 32 if scale == 4 else 16, 3)
    assert cost == pytest.approx(wanted, abs=0.005)  # as far as the table has digits
    if name == SMALL:
        assert parameters == pytest.approx(millions, abs=0.005)
    else:
        assert parameters == pytest.approx(millions, rel=0.012)


@pytest.mark.usefixtures("coarse_flow")
@pytest.mark.parametrize("slots", [0, 1, 5])
def test_the_large_model_takes_any_number_of_exemplars(slots: int) -> None:
    network = network_of(LARGE, 4).eval()
    crop, exemplars, validity = small_inputs(slots)
    with torch.inference_mode():
        made = network(crop, exemplars, validity)
        without = network(crop, exemplars, torch.zeros(1, slots))
        none = network(crop, exemplars[:, :0], validity[:, :0])
    assert made.shape == (1, 3, 32, 32)
    torch.testing.assert_close(without, none, rtol=0, atol=1e-6)
    assert slots == 0 or float((made - none).abs().max()) > 1e-4


@pytest.mark.usefixtures("coarse_flow")
def test_crops_of_any_even_side_pass_the_pyramid() -> None:
    network = network_of(LARGE, 4).eval()
    with torch.inference_mode():
        made = network(torch.rand(1, 3, 10, 14), torch.rand(1, 1, 3, 40, 56), torch.ones(1, 1))
    assert made.shape == (1, 3, 40, 56)


@pytest.mark.usefixtures("coarse_flow")
@pytest.mark.parametrize("name", [SMALL, LARGE])
def test_every_part_gets_a_gradient(name: str) -> None:
    network = network_of(name, 4)
    for layer in network.modules():  # what starts at zero lets nothing through in the first step
        if isinstance(layer, torch.nn.Conv2d) and not layer.weight.any():
            torch.nn.init.normal_(layer.weight, std=0.01)
    crop, exemplars, validity = small_inputs(1)
    network(crop, exemplars, validity).square().mean().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # of a 7x7 layer at 2x2 px not all weights are reached, but some of every tensor are
    assert silent == []


def test_the_flow_moves_what_an_exemplar_shows() -> None:
    """A flow of one cell to the right, with no residual, is an exemplar that lies one cell left."""
    network = network_of(LARGE, 4).eval()
    assert isinstance(network.alignment, FlowAlignment)
    hr, small = torch.rand(1, 32, 8, 8), torch.rand(1, 3, 8, 8)
    key = torch.rand(1, 35, 8, 8)

    class Still(torch.nn.Module):
        def __init__(self, cells: float) -> None:
            super().__init__()
            self.cells = cells

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return one.new_tensor((self.cells, 0.0)).view(1, 2, 1, 1).expand(1, 2, 8, 8)

    made = []
    with torch.inference_mode():
        for cells, features in ((0.0, hr), (1.0, hr.roll(1, dims=-1))):
            network.alignment.spynet = Still(cells)  # type: ignore[assignment]
            made.append(network.alignment(features, small, key))
    torch.testing.assert_close(made[1][..., 1:-2], made[0][..., 1:-2], rtol=0, atol=1e-5)


def test_flow_points_to_where_the_other_picture_shows_it() -> None:
    picture = torch.rand(1, 3, 16, 16)
    flow = torch.tensor((2.0, -1.0)).view(1, 2, 1, 1).expand(1, 2, 16, 16)
    moved = warp(picture, flow)
    torch.testing.assert_close(moved[..., 1:, :-2], picture[..., :-1, 2:], rtol=0, atol=1e-5)
    assert not SpyNet()(picture, moved).any()  # untrained: nothing moves


def test_spynet_learns_the_motion_that_it_was_shown(tmp_path: Path) -> None:
    people = load_people(make_people(tmp_path))
    torch.manual_seed(0)
    network = SpyNet()
    rng = np.random.default_rng(0)
    crop, moved, truth = flow_training.pairs(people, 2, 8, 16, rng)
    assert crop.shape == moved.shape == (2, 3, 16, 16)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    errors = []
    for _ in range(3):
        loss = flow_training.end_point_error(network.pyramid(crop, moved), truth)
        errors.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert errors[-1] < 0.99 * errors[0]
    torch.save({"spynet": network.state_dict()}, tmp_path / "flow.pt")
    assert load_flow(tmp_path / "flow.pt").keys() == network.state_dict().keys()


def test_the_truth_of_moved_photos_is_the_flow_between_them() -> None:
    rng = np.random.default_rng(3)
    flow = flow_training.motion(1, 64, rng)
    assert 0.5 < float(flow.abs().mean()) < 20
    zero = [torch.zeros(1, 2, 2**k, 2**k) for k in range(1, 7)]
    still = flow_training.end_point_error(zero, torch.zeros(1, 2, 64, 64))
    assert float(still) == pytest.approx(0, abs=2e-3)
    right = [
        torch.nn.functional.adaptive_avg_pool2d(flow, 2**k) * 2.0 ** (k - 6) for k in range(1, 7)
    ]
    assert float(flow_training.end_point_error(right, flow)) == pytest.approx(0, abs=2e-3)


def test_training_takes_the_papers_sizes_and_a_flow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    make_people(people)
    flow = SpyNet()
    torch.nn.init.normal_(next(flow.parameters()))
    torch.save({"spynet": flow.state_dict()}, tmp_path / "flow.pt")
    argv = [
        *("--data", str(people), "--val", str(people), "--out", str(tmp_path / "run")),
        *("--device", "cpu", "--paper"),
    ]
    run = train.begin(
        parse("", [*argv, "--alignment", "flow", "--flow", str(tmp_path / "flow.pt")])
    )
    assert run.network.config == paper_config(4, "flow")
    assert isinstance(run.network.alignment, FlowAlignment)
    first = next(run.network.alignment.spynet.parameters())
    assert torch.equal(first, next(flow.parameters()))
    for more, words in (
        ([], "--paper needs --alignment deformable, flow or none"),
        (["--alignment", "none", "--flow", "x"], "--flow is for --alignment flow"),
        (["--alignment", "flow", "--flow", str(people)], "Is a directory"),
    ):
        assert train.main([*argv, *more]) == 2
        assert words in capsys.readouterr().err


def test_checkpoints_from_before_the_papers_sizes_go_on(tmp_path: Path) -> None:
    people = make_people(tmp_path)
    argv = ["--data", str(people), "--val", str(people), "--out", str(tmp_path / "run")]
    args = parse("", [*argv, "--device", "cpu"])
    train.begin(args).save(tmp_path / "run" / "checkpoint.pt")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    for name in ("fine_blocks", "crop_blocks", "up_channels"):
        del state["config"][name]
    torch.save(state, tmp_path / "run" / "checkpoint.pt")
    assert train.begin(args).network.config == Config()
