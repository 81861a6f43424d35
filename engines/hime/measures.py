"""How alike two pictures are, and what a network costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from engines.hime.haarpsi import similarity
from engines.hime.ssim import ssim as structural_similarity


class Enlarger(Protocol):
    """A network that enlarges crops with exemplars."""

    @property
    def scale(self) -> int:
        """By how much."""
        ...

    @property
    def inputs(self) -> int:
        """Channels of an exemplar."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of them."""
        ...

    @property
    def __call__(self) -> Callable[..., Any]:
        """crop, exemplars, validity -> the picture."""
        ...


def round_to_8_bits(pictures: Tensor) -> Tensor:
    """0..1 -> the nearest of 256 levels, in 0..1."""
    return (pictures.clamp(0, 1) * 255).round() / 255


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """(B, 3, H, W), 0..1 -> (B,) dB over RGB, after rounding to 8 bits."""
    difference = round_to_8_bits(a) - round_to_8_bits(b)
    return -10 * torch.log10(difference.square().mean(dim=(1, 2, 3)).clamp_min(1e-10))


def ssim(a: Tensor, b: Tensor) -> float:
    """(3, H, W), 0..1 -> mean over RGB; Gaussian window of 11 px (Wang et al. 2004)."""
    first, second = (
        np.ascontiguousarray((x.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
        for x in (a, b)
    )
    return structural_similarity(first, second)


def haarpsi(a: Tensor, b: Tensor) -> Tensor:
    """Of each pair: (B, 3, H, W), RGB in 0..1 -> (B,); see `engines.hime.haarpsi`."""
    rounded = ((x.cpu() * 255).clamp(0, 255).round().byte().permute(0, 2, 3, 1) for x in (a, b))
    pairs = zip(*(x.numpy() for x in rounded), strict=True)
    return torch.tensor([similarity(one, other) for one, other in pairs])


@torch.inference_mode()
def gmacs(network: Enlarger, side: int, exemplars: int) -> float:
    """Multiply-accumulates of one crop of side x side px, close-ups encoded, 1e9.

    Args: side: of the crop, px. exemplars: how many.
    """
    big = side * network.scale
    example = next(network.parameters())
    crop = example.new_zeros(1, 3, side, side)
    known = example.new_zeros(1, exemplars, network.inputs, big, big)
    with FlopCounterMode(display=False) as counter:
        network(crop, known, example.new_ones(1, exemplars))
    return float(counter.get_total_flops()) / 2e9
