"""Detail of exemplars that are aligned in pixels: merged, and carried over to the enlarged crop.

Optical flow before the network (`engines.alignment`) leaves errors of a pixel or two. So a residual
flow is estimated here from the features of crop and exemplar, and the exemplar's detail is sampled
in pixels, before it is packed: sampling between packed cells would blend s x s pixels.

Shapes: N = B S pictures, C channels, grid h x w, scale s; offsets in px of the output.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.blocks import ResidualBlock, bias_of, blocks

REACH_PX = 4.0
"""The residual flow is at most this, px of the output."""
FADE = 1e-2
"""Weight of nothing in the mean of the exemplars: what no exemplar is sure of fades to none."""


def pack_detail(luma: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """What a picture shows beyond its own bicubic enlargement from the crop's grid, packed.

    Args:   luma: (N, 1, s h, s w). kernel: (s^2, 1, 5, 5), see `model.bicubic_kernel`.
    Returns: (N, s^2, h, w).
    """
    with torch.autocast(luma.device.type, enabled=False):
        packed = F.pixel_unshuffle(luma, scale)
        coarse = F.pad(packed.mean(dim=1, keepdim=True), (2, 2, 2, 2), mode="replicate")
        return packed - F.conv2d(coarse, kernel)


def resample(packed: Tensor, offset: Tensor, kernel: Tensor, scale: int) -> Tensor:
    """Sample packed pixels at displaced places, bilinearly, in float32 at full resolution.

    Args:    packed: (N, s^2, h, w). offset: (N, 2, h, w), px, (x, y); between cells interpolated as
             the bicubic enlargement does it, by `kernel`.
    Returns: (N, s^2, h, w) float32.
    """
    _, _, h, w = packed.shape
    with torch.autocast(packed.device.type, enabled=False):
        wide = F.pad(offset.float(), (2, 2, 2, 2), mode="replicate")
        fine = F.conv2d(wide, kernel.repeat(2, 1, 1, 1), groups=2)
        # align_corners=False: pixel i has its centre at (2 i + 1) / size - 1
        across, down = torch.eye(2, device=packed.device).view(2, 1, 2, 1, 1)
        # no tensor of two numbers: a copy to a card halts it, and no CUDA graph can record one
        size = across * (scale * w) + down * (scale * h)
        y, x = (torch.arange(scale * n, device=packed.device) for n in (h, w))
        place = across * x + down * y.unsqueeze(1)  # (1, 2, s h, s w)
        grid = (2 * (F.pixel_shuffle(fine, scale) + place) + 1) / size - 1
        sampled = F.grid_sample(
            F.pixel_shuffle(packed.float(), scale),
            grid.permute(0, 2, 3, 1),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        return F.pixel_unshuffle(sampled, scale)


class DetailTransfer(nn.Module):
    """Refines the alignment of each exemplar's detail, and merges the detail of all."""

    def __init__(self, channels: int, scale: int, offset_blocks: int, refined: bool = True) -> None:
        super().__init__()
        c, cells = channels, scale**2
        self.scale, self.refined = scale, refined
        self.from_exemplar = nn.Conv2d(c, c, 3, padding=1)
        self.from_crop = nn.Conv2d(c, c, 3, padding=1, bias=False)
        if offset_blocks:
            self.down = nn.Conv2d(c, c, 3, stride=2, padding=1)
            self.body = blocks(offset_blocks, c)
            self.up = nn.Conv2d(c, 4 * c, 3, padding=1)
        self.coarse = offset_blocks > 0
        self.refine = ResidualBlock(c)
        self.out = nn.Conv2d(c, 2 * refined + cells, 3, padding=1)
        self.merge = nn.Conv2d(cells, c, 3, padding=1, bias=False)  # no exemplar, no change
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(bias_of(self.out))
        self.merge.weight.data.mul_(0.1)

    def forward(
        self, query: Tensor, detail: Tensor, low: Tensor, weight: Tensor, kernel: Tensor
    ) -> Tensor:
        """Merge the detail of S exemplars.

        Args:    query: (B, S, C, h, w), the exemplars' half of the first layer.
                 detail: (B, S, s^2, h, w), packed. low: (B, C, h, w), features of the crop.
                 weight: (B, S, 1, h, w), 0..1, validity and confidence.
                 kernel: (s^2, 1, 5, 5).
        Returns: (B, s^2, h, w), packed, in float32.
        """
        b, n = query.shape[:2]
        key = self.from_crop(low).unsqueeze(1)
        wide = F.leaky_relu((query + key).flatten(0, 1), 0.1)
        x = self.refine(wide + self._from_afar(wide) if self.coarse else wide)
        moved, score = detail.float(), self.out(x)
        if self.refined:
            offset, score = score.split((2, self.scale**2), dim=1)
            offset = REACH_PX * torch.tanh(offset.float())
            sampled = resample(detail.flatten(0, 1), offset, kernel, self.scale)
            moved = torch.unflatten(sampled, 0, (b, n))
        share = torch.unflatten(torch.sigmoid(score.float()), 0, (b, n)) * weight
        return (share * moved).sum(dim=1) / (share.sum(dim=1) + FADE)

    def _from_afar(self, wide: Tensor) -> Tensor:
        """What the blocks at half resolution see, (N, C, h, w)."""
        deep = self.body(F.leaky_relu(self.down(wide), 0.1))
        return F.pixel_shuffle(self.up(deep), 2)
