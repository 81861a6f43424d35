"""How alike two pictures are, and what a network costs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engines.hime.model import Hime

HAAR_C = 30.0
HAAR_ALPHA = 4.2
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


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
    quality: Any = cv2.quality  # its stub does not know the static form of compute()
    channels: tuple[float, ...] = quality.QualitySSIM_compute(first, second)[0]
    return float(np.mean(channels[:3]))


def _same(x: Tensor, kernel: Tensor) -> Tensor:
    """(B, 1, H, W) filtered with (k, k), k even, zeros outside; sides stay."""
    k = len(kernel)
    return F.conv2d(F.pad(x, ((k - 1) // 2, k // 2) * 2), kernel[None, None].to(x))


def _similar(a: Tensor, b: Tensor) -> Tensor:
    return (2 * a * b + HAAR_C) / (a.square() + b.square() + HAAR_C)


def haarpsi(a: Tensor, b: Tensor) -> Tensor:
    """Haar wavelet perceptual similarity of colour pictures, after rounding to 8 bits.

    Args:    a, b: (B, 3, H, W), RGB in 0..1; sides of 16 px or more.
    Returns: (B,) 0..1, 1 for equal pictures.
    Source:  Reisenhofer et al. 2018, "A Haar Wavelet-Based Perceptual Similarity Index for Image
             Quality Assessment"; C = 30 and alpha = 4.2 as there, agrees with piq 0.8.
    """
    planes = []
    for x in (a, b):
        yiq = torch.einsum("cd,bdhw->cbhw", torch.tensor(YIQ), round_to_8_bits(x.cpu()) * 255)
        mean = F.avg_pool2d(yiq, 2)  # seen from a usual distance
        planes.append([plane[:, None] for plane in mean])
    similar, weights = [], []
    for turn in (False, True):
        sizes: list[list[Tensor]] = []
        for scale in (1, 2, 3):
            haar = torch.ones(2**scale, 2**scale) / 2**scale
            haar[: 2 ** (scale - 1)] *= -1
            kernel = haar.T if turn else haar
            sizes.append([_same(p[0], kernel).abs() for p in planes])
        similar.append((_similar(*sizes[0]) + _similar(*sizes[1])) / 2)
        weights.append(torch.maximum(*sizes[2]))
    box = torch.ones(2, 2) / 4
    colour = [_similar(*(_same(p[c], box).abs() for p in planes)) for c in (1, 2)]
    similar.append((colour[0] + colour[1]) / 2)
    weights.append((weights[0] + weights[1]) / 2)
    local, weight = torch.stack(similar), torch.stack(weights)
    total = (torch.sigmoid(HAAR_ALPHA * local) * weight).sum(dim=(0, 2, 3, 4))
    share = (total + 1e-8) / (weight.sum(dim=(0, 2, 3, 4)) + 1e-8)
    # two flat pictures have no weight at all: equal by what can be seen
    share = share.clamp(0.5, float(torch.sigmoid(torch.tensor(HAAR_ALPHA))))
    return (torch.logit(share) / HAAR_ALPHA).square()


@torch.inference_mode()
def gmacs(network: Hime, side: int, exemplars: int) -> float:
    """Multiply-accumulates of one crop of side x side px, close-ups encoded, 1e9."""
    big = side * network.config.scale
    example = next(network.parameters())
    crop = example.new_zeros(1, 3, side, side)
    known = example.new_zeros(1, exemplars, 3, big, big)
    with FlopCounterMode(display=False) as counter:
        network(crop, known, example.new_ones(1, exemplars))
    return float(counter.get_total_flops()) / 2e9
