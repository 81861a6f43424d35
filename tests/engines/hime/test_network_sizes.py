"""Named sizes of the network: each smaller than the one before, trained and kept by its name."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from engines.hime import train
from engines.hime.checkpoint import load_network
from engines.hime.model import Config, Hime
from engines.hime.network_sizes import FULL, SIZES, sized_config
from engines.hime.options import parse
from engines.hime.transfer import FADE


def arguments(out: Path, *more: str) -> list[str]:
    none = str(out)
    return ["--data", none, "--val", none, "--out", str(out / "run"), "--device", "cpu", *more]


def gmacs(config: Config) -> float:
    network = Hime(config)
    crop, exemplars = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 4, 64, 64)
    with FlopCounterMode(display=False) as counter:
        network(crop, exemplars, torch.ones(1, 3))
    return float(counter.get_total_flops()) / 2e9


def test_each_kind_of_network_shrinks_along_the_table() -> None:
    costs = {name: gmacs(sized_config(Config(), name)) for name in SIZES}
    assert next(iter(SIZES)) == FULL
    for narrow in (False, True):
        of_kind = [n for n, c in SIZES.items() if (c.get("channels") == 16) == narrow]
        assert all(costs[a] > costs[b] for a, b in pairwise(of_kind)), costs
    assert costs["tiny"] < costs[FULL] / 10


@pytest.mark.parametrize("size", SIZES)
def test_training_makes_the_named_size_and_its_checkpoint_is_read_back(
    tmp_path: Path, size: str
) -> None:
    run = train.begin(parse("", arguments(tmp_path, "--size", size)))
    assert run.network.config == sized_config(Config(), size)
    assert (run.network.config == Config()) == (size == FULL)
    run.save(tmp_path / "checkpoint.pt")
    assert load_network(tmp_path / "checkpoint.pt").config == run.network.config


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--alignment", "deformable"), "--size is for --alignment pixels"),
        (("--aggregation", "average"), "--size is for --alignment pixels"),
        (("--alignment", "none", "--paper"), "--paper has its own sizes"),
    ],
)
def test_sizes_are_of_the_products_network(
    tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        train.begin(parse("", arguments(tmp_path, "--size", "tiny", *more)))


def test_checkpoints_from_before_the_sizes_go_on(tmp_path: Path) -> None:
    args = parse("", arguments(tmp_path))
    train.begin(args).save(tmp_path / "run" / "checkpoint.pt")
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    for name in ("refined", "direct"):
        del state["config"][name]
    torch.save(state, tmp_path / "run" / "checkpoint.pt")
    assert train.begin(args).network.config == Config()


def test_without_a_residual_flow_detail_stays_where_it_is() -> None:
    torch.manual_seed(0)
    network = Hime(sized_config(Config(), "small")).eval()
    assert network.transfer is not None
    detail = torch.zeros(1, 2, 16, 8, 8)
    detail[..., 2, 5] = 0.25
    query, low, weight = (
        torch.rand(1, 2, 16, 8, 8),
        torch.rand(1, 16, 8, 8),
        torch.ones(1, 2, 1, 8, 8),
    )
    kernel = network.reconstruction.bicubic[:16]
    with torch.inference_mode():
        fresh = network.transfer(query, detail, low, weight, kernel)  # half of each exemplar
        torch.testing.assert_close(fresh, detail.mean(dim=1) / (1 + FADE))
        torch.nn.init.normal_(network.transfer.out.weight, std=0.3)
        merged = network.transfer(query, detail, low, weight, kernel)
    assert merged.shape == (1, 16, 8, 8)
    elsewhere = merged.clone()
    elsewhere[..., 2, 5] = 0
    assert torch.count_nonzero(elsewhere) == 0
    assert 0 < float(merged[..., 2, 5].min()) < float(merged[..., 2, 5].max()) <= 0.25


@pytest.mark.parametrize("scale", [4, 8])
def test_a_picture_made_in_one_step_begins_as_the_enlarged_crop(scale: int) -> None:
    torch.manual_seed(0)
    network = Hime(sized_config(Config(scale=scale), "tiny")).eval()
    assert not network.reconstruction.ups
    crop, exemplars = torch.rand(1, 3, 8, 12), torch.rand(1, 2, 4, scale * 8, scale * 12)
    with torch.inference_mode():
        made = network(crop, exemplars, torch.ones(1, 2))
        assert made.shape == (1, 3, scale * 8, scale * 12)
        network.reconstruction.last.weight.zero_()
        network.reconstruction.last.bias.zero_()  # type: ignore[union-attr]
        network.reconstruction.gain.weight.zero_()
        network.reconstruction.gain.bias.fill_(-100)  # type: ignore[union-attr]
        plain = network(crop, exemplars, torch.ones(1, 2))
        torch.testing.assert_close(plain, network.reconstruction.enlarge(crop))
    assert asdict(network.config)["direct"]
