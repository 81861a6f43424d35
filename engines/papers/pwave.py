"""PWAve: enlargement with the pixel-wise weighted average of several close-ups' features.

Source: Wang, Oramas and Tuytelaars, "Multiple Exemplars-based Hallucination for Face
Super-resolution and Editing", section 3.1, figures 2 and 3. Of the layers the paper gives the
numbers of blocks alone (M1 and M2) and leaves the rest to a supplement; their widths here are ours.
They have an equalised learning rate, as in StyleGAN, whose critic and rate of 0.003 the paper uses.

Shapes: N crops, K exemplar slots, crop h x w px, scale s; pictures RGB in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.discriminator import Conv, active


@dataclass(frozen=True)
class PwaveConfig:
    """Sizes of the network."""

    scale: int = 8
    """8 at 16 px, 16 at 8 px: M1, the number of up-sample blocks, is 3 or 4."""
    channels: int = 128
    residual_blocks: int = 1
    """M2"""
    average: bool = False
    """Average the exemplars instead (figure 8)."""

    @property
    def doublings(self) -> int:
        """M1."""
        return self.scale.bit_length() - 1

    def width(self, doublings: int) -> int:
        """Channels where the picture is 2^doublings times as large as the crop: half as many for
        each doubling after the first."""
        return max(16, self.channels >> max(0, doublings - 1))


class Made(NamedTuple):
    """What PWAve makes of N crops."""

    picture: Tensor
    """(N, 3, s h, s w)"""
    small: Tensor
    """(N, 3, 2 h, 2 w): what G_S makes, I'_LR"""
    weights: tuple[Tensor, Tensor]
    """W at h x w and at 2 h x 2 w: (N, K, 1, ., .); sums to one over K where any slot is valid"""


class ResidualConvs(nn.Module):
    """Two convolutions and a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv(channels, channels, 3)
        self.conv2 = Conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, C, h, w)."""
        y: Tensor = (x + self.conv2(active(self.conv1(x)))) / 2**0.5
        return y


class UpBlock(nn.Module):
    """Enlarge twice, then a convolution: (N, C, h, w) -> (N, C', 2 h, 2 w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Any size."""
        large = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return active(self.conv(large))


class SmallGenerator(nn.Module):
    """G_S: the crop at twice its size, (N, 3, h, w) -> (N, 3, 2 h, 2 w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = Conv(3, channels, 3)
        self.body = ResidualConvs(channels)
        self.up = UpBlock(channels, channels)
        self.out = Conv(channels, 3, 3)

    def forward(self, crop: Tensor) -> Tensor:
        """0..1, not clamped."""
        x = self.body(active(self.head(crop * 2 - 1)))
        y: Tensor = self.out(self.up(x)) / 2 + 0.5
        return y


class ExemplarEncoder(nn.Module):
    """E_Ex: (N K, 3, s h, s w) -> features at 2 h x 2 w and at h x w, C channels each."""

    def __init__(self, config: PwaveConfig) -> None:
        super().__init__()
        c, n = config.channels, config.doublings
        self.head = Conv(3, config.width(n), 3)
        self.downs = nn.Sequential(
            *(Conv(config.width(k), config.width(k - 1), 3, down=True) for k in range(n, 1, -1))
        )
        self.fine = Conv(c, c, 3)
        self.last = Conv(c, c, 3, down=True)

    def forward(self, exemplars: Tensor) -> tuple[Tensor, Tensor]:
        """0..1 -> (at h x w, at 2 h x 2 w)."""
        x = active(self.head(exemplars * 2 - 1))
        for down in self.downs:
            x = active(down(x))
        fine = active(self.fine(x))
        return active(self.last(fine)), fine


class PixelWeights(nn.Module):
    """WNN and the weighted average: from features of exemplars and the crop to one set."""

    def __init__(self, channels: int, average: bool) -> None:
        super().__init__()
        self.average = average
        hidden = max(8, channels // 4)
        # with ordinary layers: its learning rate is a thirtieth of the others' (section 4)
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 3, hidden, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, hidden, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, 1, 3, padding=1),
        )

    def forward(self, features: Tensor, picture: Tensor, validity: Tensor) -> tuple[Tensor, Tensor]:
        """The combined features (N, C, h, w), and W (N, K, 1, h, w).

        Args: features: (N, K, C, h, w). picture: of the same grid, (N, 3, h, w), 0..1.
              validity: (N, K); a slot with 0 has no weight.
        """
        n, k, _, h, w = features.shape
        valid = validity.float().view(n, k, 1, 1, 1)
        if self.average:
            score = valid.expand(n, k, 1, h, w)
        else:
            shown = (picture * 2 - 1).unsqueeze(1).expand(-1, k, -1, -1, -1)
            both = torch.cat((features, shown.to(features.dtype)), dim=2)
            score = torch.sigmoid(self.layers(both.flatten(0, 1)).float()).view(n, k, 1, h, w)
            score = score * valid
        weights = score / score.sum(dim=1, keepdim=True).clamp_min(1e-6)  # L1, of what is positive
        return (weights * features.float()).sum(dim=1).to(features.dtype), weights


class Pwave(nn.Module):
    """The generator: ISR block, exemplar encoder, two weight networks, G_S."""

    inputs = 3

    def __init__(self, config: PwaveConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PwaveConfig()
        if config.scale not in (4, 8, 16):
            raise ValueError(f"scale must be 4, 8 or 16, not {config.scale}")
        c, n = config.channels, config.doublings
        self.small = SmallGenerator(c // 2)
        self.encoder = ExemplarEncoder(config)
        self.weights = nn.ModuleList(PixelWeights(c, config.average) for _ in range(2))
        self.head = Conv(3, c, 3)
        self.merge = Conv(2 * c, c, 3)
        self.body = nn.Sequential(*(ResidualConvs(c) for _ in range(config.residual_blocks)))
        self.first = UpBlock(c, c)
        self.merge_fine = Conv(2 * c, c, 3)
        self.ups = nn.Sequential(
            *(UpBlock(config.width(k - 1), config.width(k)) for k in range(2, n + 1))
        )
        self.out = Conv(config.width(n), 3, 3)

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        return self.config.scale

    def make(self, crop: Tensor, exemplars: Tensor, validity: Tensor) -> Made:
        """The picture, and what it was made with.

        Args: crop: (N, 3, h, w). exemplars: (N, K, 3, s h, s w). validity: (N, K).
        """
        n, k = exemplars.shape[:2]
        small = self.small(crop)
        x = active(self.head(crop * 2 - 1))
        if k:
            coarse, fine = (y.unflatten(0, (n, k)) for y in self.encoder(exemplars.flatten(0, 1)))
            one, first = self.weights[0](coarse, crop, validity)
            # G_S has losses of its own (equation 6): no others reach it
            two, second = self.weights[1](fine, small.detach(), validity)
        else:
            h, w = crop.shape[-2:]
            one = x.new_zeros(n, self.config.channels, h, w)
            two = x.new_zeros(n, self.config.channels, 2 * h, 2 * w)
            first, second = crop.new_zeros(n, 0, 1, h, w), crop.new_zeros(n, 0, 1, 2 * h, 2 * w)
        x = self.body(active(self.merge(torch.cat((x, one), dim=1))))
        x = active(self.merge_fine(torch.cat((self.first(x), two), dim=1)))
        picture = self.out(self.ups(x)).float() / 2 + 0.5
        return Made(picture, small.float(), (first, second))

    def forward(self, crop: Tensor, exemplars: Tensor, validity: Tensor) -> Tensor:
        """The picture, (N, 3, s h, s w).

        Args: crop, exemplars, validity: as of `make`.
        """
        return self.make(crop, exemplars, validity).picture
