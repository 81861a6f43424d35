"""HIME-small: size, cost, the split in two halves, and what exemplar slots may not do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engines.hime.ablations import Pooling
from engines.hime.blocks import bias_of
from engines.hime.deformable import DeformableAlignment, DeformableConv, sample_taps
from engines.hime.model import Config, Features, Hime
from engines.hime.transfer import FADE, REACH_PX, pack_detail, resample

MOVING = ("pixels", "deformable")
"""Alignments that estimate where detail is."""


def stirred(scale: int, alignment: str = "pixels") -> Hime:
    """A network with offsets away from zero, as after training."""
    torch.manual_seed(0)
    network = Hime(Config(scale=scale, alignment=alignment)).eval()
    if network.transfer is not None:
        torch.nn.init.normal_(network.transfer.out.weight, std=0.3)
        torch.nn.init.normal_(network.reconstruction.gain.weight, std=0.03)
    else:
        assert isinstance(network.alignment, DeformableAlignment)
        torch.nn.init.normal_(network.alignment.out.weight, std=0.3)
    return network


def inputs(
    scale: int, side: int, slots: int, alignment: str = "pixels"
) -> tuple[Tensor, Tensor, Tensor]:
    big, channels = scale * side, 4 if alignment == "pixels" else 3
    torch.manual_seed(1)
    exemplars = torch.rand(2, slots, channels, big, big)
    return torch.rand(2, 3, side, side), exemplars, torch.ones(2, slots)


@pytest.mark.parametrize("alignment", MOVING)
@pytest.mark.parametrize(
    ("scale", "side", "millions", "gmacs"), [(4, 32, 0.9, 1.9), (8, 16, 0.93, 0.51)]
)
def test_is_as_small_as_the_paper_says(
    scale: int, side: int, millions: float, gmacs: float, alignment: str
) -> None:
    network = Hime(Config(scale=scale, alignment=alignment))
    crop, exemplars, validity = (x[:1] for x in inputs(scale, side, 3, alignment))
    assert 0.7 < sum(p.numel() for p in network.parameters()) / 1e6 <= millions
    with FlopCounterMode(display=False) as counter:
        network(crop, exemplars, validity)
    assert 0.3 < counter.get_total_flops() / 2e9 <= gmacs


@pytest.mark.parametrize("alignment", MOVING)
@pytest.mark.parametrize("scale", [4, 8])
def test_two_halves_equal_the_whole(scale: int, alignment: str) -> None:
    network = stirred(scale, alignment)
    crop, exemplars, validity = inputs(scale, 16, 3, alignment)
    with torch.inference_mode():
        whole = network(crop, exemplars, validity)
        features = network.encode(exemplars)
        halves = network.enhance(crop, features, validity)
    assert whole.shape == (2, 3, 16 * scale, 16 * scale)
    torch.testing.assert_close(halves, whole, rtol=0, atol=0)


def test_starts_as_bicubic_enlargement_with_a_small_residual() -> None:
    network = Hime()
    crop, exemplars, validity = inputs(4, 16, 1)
    with torch.inference_mode():
        made = network(crop, exemplars, validity)
    plain = F.interpolate(crop, scale_factor=4, mode="bicubic", align_corners=False)
    torch.testing.assert_close(network.reconstruction.enlarge(crop), plain, rtol=0, atol=1e-5)
    assert 0 < float((made - plain).abs().mean()) < 0.3


@pytest.mark.parametrize("alignment", MOVING)
def test_an_invalid_slot_changes_nothing(alignment: str) -> None:
    network = stirred(4, alignment)
    crop, exemplars, validity = inputs(4, 16, 3, alignment)
    validity[:, 1] = 0
    with torch.inference_mode():
        masked = network(crop, exemplars, validity)
        without = network(crop, exemplars[:, [0, 2]], validity[:, [0, 2]])
        exemplars[:, 1] = 0.5
        other = network(crop, exemplars, validity)
    torch.testing.assert_close(masked, without, rtol=0, atol=1e-5)
    torch.testing.assert_close(masked, other, rtol=0, atol=0)


@pytest.mark.parametrize("alignment", MOVING)
def test_no_valid_slot_equals_no_slot(alignment: str) -> None:
    network = stirred(4, alignment)
    crop, exemplars, _ = inputs(4, 16, 2, alignment)
    with torch.inference_mode():
        empty = network(crop, exemplars, torch.zeros(2, 2))
        none = network(crop, exemplars[:, :0], torch.zeros(2, 0))
    torch.testing.assert_close(empty, none, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alignment", MOVING)
def test_exemplars_matter_and_their_order_does_not(alignment: str) -> None:
    network = stirred(4, alignment)
    crop, exemplars, validity = inputs(4, 16, 3, alignment)
    with torch.inference_mode():
        made = network(crop, exemplars, validity)
        turned = network(crop, exemplars.flip(1), validity)
        other = network(crop, exemplars.flip(-1), validity)
    torch.testing.assert_close(made, turned, rtol=0, atol=1e-5)
    assert float((made - other).abs().max()) > 1e-4  # untrained, but not deaf


@pytest.mark.parametrize("alignment", MOVING)
def test_colour_of_exemplars_is_not_seen_by_the_detail_path(alignment: str) -> None:
    network = stirred(4, alignment)
    grey = torch.rand(1, 1, 1, 64, 64).expand(1, 1, network.inputs, 64, 64).contiguous()
    tinted = grey.clone()
    # a change of colour that leaves BT.601 luma as it is
    tinted[:, :, 0] += 0.114
    tinted[:, :, 2] -= 0.299
    with torch.inference_mode():
        a, b = network.encode(grey), network.encode(tinted)
    torch.testing.assert_close(a.hr, b.hr, rtol=0, atol=1e-4)
    if alignment == "pixels":
        # alignment has happened before, and nothing else looks at colour
        torch.testing.assert_close(a.query, b.query, rtol=0, atol=1e-4)
    else:
        assert float((a.query - b.query).abs().max()) > 1e-4


def test_detail_is_what_enlargement_from_the_crops_grid_leaves_out() -> None:
    torch.manual_seed(0)
    network = Hime()
    kernel = network.reconstruction.bicubic[:16]
    flat = pack_detail(torch.full((1, 1, 32, 32), 0.4), kernel, 4)
    torch.testing.assert_close(flat, torch.zeros(1, 16, 8, 8), rtol=0, atol=1e-5)
    luma = torch.rand(1, 1, 32, 32)
    coarse = F.avg_pool2d(luma, 4)
    enlarged = network.reconstruction.enlarge(coarse.expand(-1, 3, -1, -1))[:, :1]
    detail = F.pixel_shuffle(pack_detail(luma, kernel, 4), 4)
    torch.testing.assert_close(detail, luma - enlarged, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [4, 8])
def test_detail_is_sampled_in_pixels_of_the_output(scale: int) -> None:
    torch.manual_seed(0)
    kernel = Hime(Config(scale)).reconstruction.bicubic[: scale**2]
    picture = torch.rand(1, 1, 6 * scale, 6 * scale)
    packed = F.pixel_unshuffle(picture, scale)
    still = resample(packed, torch.zeros(1, 2, 6, 6), kernel, scale)
    torch.testing.assert_close(still, packed, rtol=0, atol=1e-5)
    # two columns to the right and one row down, which no cell of the crop's grid could tell
    offset = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 6)
    moved = F.pixel_shuffle(resample(packed, offset, kernel, scale), scale)
    torch.testing.assert_close(moved[..., :-1, :-2], picture[..., 1:, 2:], rtol=0, atol=1e-4)
    assert float(moved[..., -1, :].abs().max()) < 1e-4  # outside is nothing


def test_detail_moves_no_further_than_its_reach() -> None:
    network = stirred(4)
    assert network.transfer is not None
    torch.nn.init.constant_(bias_of(network.transfer.out), 50.0)
    crop, exemplars, validity = inputs(4, 16, 1)
    seen = []

    def far(packed: Tensor, offset: Tensor, kernel: Tensor, scale: int) -> Tensor:
        seen.append(float(offset.abs().max()))
        return resample(packed, offset, kernel, scale)

    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr("engines.hime.transfer.resample", far)
        network(crop, exemplars, validity)
    assert seen == [pytest.approx(REACH_PX)]


def test_where_no_exemplar_is_sure_no_detail_is_shown() -> None:
    network = stirred(4)
    assert network.transfer is not None
    crop, exemplars, validity = inputs(4, 16, 3)
    shares = []
    network.reconstruction.register_forward_pre_hook(
        lambda module, given: shares.append(float(given[2].abs().max()))
    )
    for sure in (1.0, FADE / 100, 0.0):
        exemplars[:, :, 3] = sure
        with torch.inference_mode():
            network(crop, exemplars, validity)
    assert shares[0] > 10 * shares[1]
    assert shares[2] == 0.0


def test_deformable_convolution_with_zero_offsets_is_a_convolution() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(16, groups=4)
    x = torch.rand(2, 16, 9, 7)
    made = layer(x, torch.zeros(2, 72, 9, 7), torch.ones(2, 36, 9, 7))
    plain = F.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(made, plain, rtol=0, atol=1e-5)


def test_taps_follow_their_offsets_group_by_group() -> None:
    x = torch.arange(2 * 5 * 5, dtype=torch.float32).view(1, 2, 5, 5)
    offset = torch.zeros(1, 2, 9, 2, 5, 5)
    offset[:, 1, 4, 0] = 1.0  # second group, middle tap: one row down
    offset[:, 1, 4, 1] = 0.5  # and half a column to the right
    taps = sample_taps(x, offset.view(1, 36, 5, 5), groups=2)
    assert taps[0, 0, 4, 2, 2] == x[0, 0, 2, 2]
    assert taps[0, 1, 4, 2, 2] == (x[0, 1, 3, 2] + x[0, 1, 3, 3]) / 2
    assert taps[0, 1, 4, 4, 2] == 0  # below the last row: zero


def test_a_wrong_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale must be 4 or 8"):
        Hime(Config(scale=3))
    with pytest.raises(ValueError, match="no such network: pixels, median"):
        Hime(Config(aggregation="median"))


def test_ablations_take_parts_away_and_leave_the_others_alone() -> None:
    default = Hime().state_dict()
    assert len(default) == 166
    for part, config in (
        ("aggregation", Config(aggregation="average")),
        ("aggregation", Config(aggregation="maximum")),
    ):
        names = Hime(config).state_dict().keys()
        kept = {name for name in default if not name.startswith(part)}
        assert {name for name in names if not name.startswith(part)} == kept
        assert len(names) < len(default)
    paper, unaligned = (
        set(Hime(Config(alignment=kind)).state_dict()) for kind in ("deformable", "none")
    )
    assert len(paper) == 163
    assert {name for name in paper ^ unaligned if not name.startswith("alignment")} == set()
    assert not any(name.startswith(("transfer", "reconstruction.gain")) for name in paper)


@pytest.mark.parametrize(
    "config",
    [Config(aggregation="average"), Config(aggregation="maximum"), Config(alignment="none")],
)
def test_slots_of_ablations_count_as_in_the_whole_network(config: Config) -> None:
    torch.manual_seed(0)
    network = Hime(config).eval()
    crop, exemplars, validity = inputs(4, 16, 3, config.alignment)
    validity[:, 1] = 0
    with torch.inference_mode():
        masked = network(crop, exemplars, validity)
        without = network(crop, exemplars[:, [0, 2]], validity[:, [0, 2]])
        none = network(crop, exemplars, torch.zeros(2, 3))
        empty = network(crop, exemplars[:, :0], torch.zeros(2, 0))
    torch.testing.assert_close(masked, without, rtol=0, atol=1e-5)
    torch.testing.assert_close(none, empty, rtol=0, atol=1e-6)
    assert float((masked - none).abs().max()) > 1e-4


def test_average_and_maximum_are_what_they_say() -> None:
    aligned = torch.tensor([[1.0, 4.0, 9.0]]).view(1, 3, 1, 1, 1)
    crop, validity = torch.zeros(1, 1, 1, 1), torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1, 1)
    average, maximum = (Pooling(kind)(aligned, crop, validity) for kind in (False, True))
    assert float(average) == pytest.approx(2.5, abs=0.01)
    assert float(maximum) == 4


def test_encode_then_enhance_keeps_its_features() -> None:
    network = stirred(4)
    crop, exemplars, validity = inputs(4, 16, 2)
    with torch.inference_mode():
        features = network.encode(exemplars)
        kept = Features(features.hr.clone(), features.query.clone())
        network.enhance(crop, features, validity)
    torch.testing.assert_close(features.hr, kept.hr, rtol=0, atol=0)
    torch.testing.assert_close(features.query, kept.query, rtol=0, atol=0)
