"""GWAInet: enlargement guided by one close-up, which is warped to the crop first.

Source: Dogan, Gu and Timofte, "Exemplar Guided Face Image Super-Resolution without Facial
Landmarks", section 3.2, figure 2 and, for the layers, table 2 of its supplement. With a first
convolution of GFEnet at the guide's size it has the 4.29 M parameters that HIME's table 1 gives.
Left out: preprocessing subtracts the mean of a range of 0..1, not that of the training photos.

Shapes: B crops, S exemplar slots, crop h x w px, scale s; pictures RGB in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.blocks import bias_of, blocks


@dataclass(frozen=True)
class GwaConfig:
    """Sizes of the network; the defaults are the paper's."""

    scale: int = 8
    channels: int = 64
    warp_blocks: int = 8
    """Residual blocks of Wnet."""
    sr_blocks: int = 16
    guide_blocks: int = 12
    """Residual blocks of GFEnet."""
    fusions: int = 3
    """Features of the guide are fused after every `guide_blocks / fusions`-th block."""

    @property
    def doublings(self) -> int:
        """Of the sides, from crop to picture."""
        return self.scale.bit_length() - 1


def doubling(channels: int) -> nn.Sequential:
    """Convolution and PixelShuffle: (N, C, h, w) -> (N, C, 2 h, 2 w)."""
    return nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, padding=1), nn.PixelShuffle(2))


def halving(inputs: int, channels: int) -> nn.Sequential:
    """Two convolutions, the second of stride 2: (N, C', h, w) -> (N, C, h / 2, w / 2)."""
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
    )


class Warper(nn.Module):
    """Wnet: the flow that lays the guide over the crop, equations 3 and 4."""

    def __init__(self, config: GwaConfig) -> None:
        super().__init__()
        c, n = config.channels, config.doublings
        self.down = nn.Sequential(*(halving(c if k else 6, c) for k in range(n)))
        self.head = nn.Conv2d(c, c, 3, padding=1)
        self.body = nn.Sequential(blocks(config.warp_blocks, c), nn.Conv2d(c, c, 3, padding=1))
        self.up = nn.Sequential(*(doubling(c) for _ in range(n)))
        self.out = nn.Conv2d(c, 2, 3, padding=1)
        # the guide stays where it is until something has been learnt (the paper does not say)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(bias_of(self.out))

    def forward(self, large: Tensor, guide: Tensor) -> Tensor:
        """large, the enlarged crop, and guide (B, 3, H, W) -> flow (B, H, W, 2) float32, (x, y) in
        units of half a side."""
        x = self.head(self.down(torch.cat((guide, large), dim=1) - 0.5))
        flow: Tensor = self.out(self.up(x + self.body(x)))
        return flow.permute(0, 2, 3, 1).float()


def warped(guide: Tensor, flow: Tensor) -> Tensor:
    """The guide sampled at grid + flow, float32; guide (B, 3, H, W), flow (B, H, W, 2)."""
    _, h, w, _ = flow.shape
    with torch.autocast(guide.device.type, enabled=False):
        rows = torch.linspace(-1, 1, h, device=guide.device).view(1, h, 1).expand(1, h, w)
        columns = torch.linspace(-1, 1, w, device=guide.device).view(1, 1, w).expand(1, h, w)
        grid = torch.stack((columns, rows), dim=-1) + flow
        # the paper's grid has the corners' pixels at -1 and 1
        return F.grid_sample(guide.float(), grid, padding_mode="border", align_corners=True)


class Generator(nn.Module):
    """Gnet: SRnet for the crop, GFEnet for the warped guide, fused on the way."""

    def __init__(self, config: GwaConfig) -> None:
        super().__init__()
        c, n = config.channels, config.fusions
        step = config.guide_blocks // n
        self.head = nn.Conv2d(3, c, 3, padding=1)
        self.parts = nn.ModuleList(blocks(step, c) for _ in range(n))
        rest = config.sr_blocks - step * n
        self.rest = nn.Sequential(blocks(rest, c), nn.Conv2d(c, c, 3, padding=1))
        self.up = nn.Sequential(*(doubling(c) for _ in range(config.doublings)))
        self.out = nn.Conv2d(c, 3, 3, padding=1)
        self.guide_head = nn.Conv2d(3, c, 3, padding=1)
        self.guide_down = nn.Sequential(*(halving(c, c) for _ in range(config.doublings)))
        self.guide_parts = nn.ModuleList(blocks(step, c) for _ in range(n))
        self.fuse = nn.ModuleList(nn.Conv2d(2 * c, c, 3, padding=1) for _ in range(n))

    def forward(self, crop: Tensor, guide: Tensor | None, weight: Tensor) -> Tensor:
        """The picture, (B, 3, s h, s w).

        Args: crop: (B, 3, h, w). guide: warped, (B, 3, s h, s w), or none at all.
              weight: (B, 1, 1, 1), 0 where a crop has no guide.
        """
        x = first = self.head(crop - 0.5)
        known = None if guide is None else self.guide_down(self.guide_head(guide - 0.5))
        for part, guide_part, fuse in zip(self.parts, self.guide_parts, self.fuse, strict=True):
            x = part(x)
            if known is not None:
                known = guide_part(known)
            told = torch.zeros_like(x) if known is None else known * weight.to(known.dtype)
            x = fuse(torch.cat((x, told), dim=1))
        made = self.out(self.up(first + self.rest(x)))
        # the network works in -1..1 (section 4.2)
        y: Tensor = made.float() / 2 + 0.5
        return y


class Gwainet(nn.Module):
    """Wnet and Gnet. Of several exemplars the first valid one is the guide."""

    inputs = 3

    def __init__(self, config: GwaConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GwaConfig()
        if config.scale not in (4, 8, 16) or config.guide_blocks % config.fusions:
            raise ValueError(f"no such network: {config}")
        self.warper = Warper(config)
        self.generator = Generator(config)

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        return self.config.scale

    def warp(self, crop: Tensor, guide: Tensor) -> Tensor:
        """The guide laid over the crop: crop (B, 3, h, w), guide and result (B, 3, s h, s w)."""
        large = F.interpolate(
            crop, scale_factor=self.scale, mode="bicubic", align_corners=False
        ).clamp(0, 1)
        return warped(guide, self.warper(large, guide))

    def forward(self, crop: Tensor, exemplars: Tensor, validity: Tensor) -> Tensor:
        """The picture, (B, 3, s h, s w); without a guide what SRnet alone makes.

        Args: crop: (B, 3, h, w). exemplars: (B, S, 3, s h, s w). validity: (B, S).
        """
        weight = crop.new_zeros(len(crop), 1, 1, 1)
        if exemplars.shape[1] == 0:
            y: Tensor = self.generator(crop, None, weight)
            return y
        guide, weight = chosen(exemplars, validity)
        z: Tensor = self.generator(crop, self.warp(crop, guide), weight)
        return z


def chosen(exemplars: Tensor, validity: Tensor) -> tuple[Tensor, Tensor]:
    """The first valid exemplar of each crop (B, 3, H, W), and whether there is one (B, 1, 1, 1)."""
    valid = validity > 0
    first = valid.int().argmax(dim=1)
    guide = exemplars[torch.arange(len(exemplars), device=exemplars.device), first]
    return guide, valid.any(dim=1).to(exemplars.dtype).view(-1, 1, 1, 1)
