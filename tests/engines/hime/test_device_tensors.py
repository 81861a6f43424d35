"""No network makes a tensor of the program's numbers while it runs: on a card that is a copy, which
waits for the card, and which no CUDA graph can record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from engines.hime.discriminator import Discriminator
from engines.hime.model import ALIGNMENTS, Config, Hime
from engines.hime.network_sizes import SIZES
from engines.hime.spynet import SpyNet
from engines.papers.gwainet import GwaConfig, Gwainet
from engines.papers.pwave import Pwave, PwaveConfig

LIFTED = "aten::lift_fresh"
"""What `torch.tensor` and `Tensor.new_tensor` end with."""


class Lifted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts tensors that are made of numbers."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += bool(function.name() == LIFTED)
        return function(*args, **(kwargs or {}))


def lifted(work: Callable[[], object]) -> int:
    mode: Lifted = Lifted()  # type: ignore[no-untyped-call]
    with torch.no_grad(), mode:
        work()
    return mode.count


def with_exemplars(network: nn.Module, channels: int, scale: int) -> Callable[[], object]:
    side, big = 16, 16 * scale
    given = torch.rand(1, 3, side, side), torch.rand(1, 2, channels, big, big), torch.ones(1, 2)
    return lambda: network(*given)


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_every_alignment(alignment: str) -> None:
    network = Hime(Config(alignment=alignment))
    assert lifted(with_exemplars(network, network.inputs, 4)) == 0


@pytest.mark.parametrize("size", SIZES)
def test_every_size(size: str) -> None:
    assert lifted(with_exemplars(Hime(Config(scale=8, **SIZES[size])), 4, 8)) == 0


def test_networks_beside_it() -> None:
    pictures = torch.rand(2, 3, 32, 32)
    discriminator, flow = Discriminator(), SpyNet()
    assert lifted(lambda: discriminator(torch.rand(1, 3, 128, 128))) == 0
    assert lifted(lambda: flow(pictures, pictures)) == 0
    small = GwaConfig(channels=8, warp_blocks=1, sr_blocks=3, guide_blocks=3)
    for network in (Gwainet(small), Pwave(PwaveConfig(channels=16))):
        assert lifted(with_exemplars(network, 3, 8)) == 0


def test_it_would_be_seen() -> None:
    def new(x: Tensor) -> Tensor:
        return x * x.new_tensor((1.0, 2.0))

    assert lifted(lambda: torch.tensor((1.0, 2.0))) == 1
    assert lifted(lambda: new(torch.rand(2))) == 1
