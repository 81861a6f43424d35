"""The paper's alignment: modulated deformable convolution of features in the grid of the crop.

It serves the comparison with the paper alone. A cell of that grid packs s x s pixels, and sampling
between cells blends them; so the shipped network aligns exemplars in pixels (`engines.alignment`,
`engines.hime.transfer`), and no runtime knows this one.

Source: Xiang et al., HIME, supplementary material, section A.1 (the small model).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.blocks import ResidualBlock, bias_of, blocks

KERNEL = 3
TAPS = KERNEL * KERNEL


def sample_taps(x: Tensor, offset: Tensor, groups: int) -> Tensor:
    """Bilinear samples of `x` at the displaced taps of a 3x3 convolution; zero outside.

    Always in float32, positions and features: in bfloat16 the exemplars' share of the quality
    grows several times slower in training, and at run time positions beyond 64 cells are lost.

    Args:    x: (N, C, h, w). offset: (N, groups * 9 * 2, h, w), cells, (dy, dx) for each tap.
    Returns: (N, C, 9, h, w) float32.
    Source:  Dai et al. 2017, equation 2; the layout of torchvision and of ONNX DeformConv.
    """
    n, c, h, w = x.shape
    with torch.autocast(x.device.type, enabled=False):
        x = x.float().reshape(n * groups, c // groups, h, w)
        d = offset.float().reshape(n * groups, TAPS, 2, h, w)
        rows = torch.arange(h, device=x.device, dtype=torch.float32)
        cols = torch.arange(w, device=x.device, dtype=torch.float32)
        ky = torch.arange(TAPS, device=x.device, dtype=torch.float32).div(3).floor() - 1
        kx = torch.arange(TAPS, device=x.device, dtype=torch.float32).remainder(3) - 1
        y = d[:, :, 0] + ky.view(1, TAPS, 1, 1) + rows.view(1, 1, h, 1)
        z = d[:, :, 1] + kx.view(1, TAPS, 1, 1) + cols.view(1, 1, 1, w)
        # align_corners=False: cell i has its centre at (2 i + 1) / size - 1
        grid = torch.stack(((2 * z + 1) / w - 1, (2 * y + 1) / h - 1), dim=-1)
        out = F.grid_sample(
            x,
            grid.reshape(n * groups, TAPS * h, w, 2),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        return out.reshape(n, c, TAPS, h, w)


class DeformableConv(nn.Module):
    """Modulated deformable 3x3 convolution (Zhu et al. 2019), T in equation 1 of the supplement."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels, channels, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Deformable convolution.

        Args: x: (N, C, h, w). offset: (N, 18 G, h, w), cells. mask: (N, 9 G, h, w).
        """
        n, c, h, w = x.shape
        taps = sample_taps(x, offset, self.groups)
        taps = taps.view(n, self.groups, c // self.groups, TAPS, h, w)
        # One memory order from here to the end, forward and backward: a channels-last mask or
        # gradient makes the product below ten times slower. Every tap is already in place, so
        # what is left of the convolution is a matrix product.
        weights = mask.float().contiguous().view(n, self.groups, 1, TAPS, h, w)
        columns = (taps * weights).to(mask.dtype).view(n, c * TAPS, h * w)
        y = torch.matmul(self.weight.reshape(-1, c * TAPS), columns)
        return y.view(n, -1, h, w) + self.bias.view(1, -1, 1, 1)


class DeformableAlignment(nn.Module):
    """Reference feature alignment of the small model: offsets from features."""

    def __init__(
        self,
        channels: int,
        groups: int,
        offset_blocks: int,
        fine_blocks: int = 0,
        crop_blocks: int = 0,
    ) -> None:
        """Args: groups, and the blocks at half and full resolution and of the crop: of `Config`."""
        super().__init__()
        c = channels
        self.groups = groups
        self.from_exemplar = nn.Conv2d(c, c, 3, padding=1)
        self.crop_body = blocks(crop_blocks, c)
        self.from_crop = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.coarse = offset_blocks > 0
        if self.coarse:
            self.down = nn.Conv2d(c, c, 3, stride=2, padding=1)
            self.body = blocks(offset_blocks, c)
            self.up = nn.Conv2d(c, 4 * c, 3, padding=1)
        self.fine = blocks(fine_blocks, c)
        self.refine = ResidualBlock(c)
        self.out = nn.Conv2d(c, 3 * TAPS * groups, 1)
        self.deform = DeformableConv(c, groups)
        # offsets start at zero, on whole cells: a cell packs s x s pixels into its channels, and
        # sampling between cells would blend them before anything has been learnt
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(bias_of(self.out))

    def key(self, low: Tensor, crop: Tensor) -> Tensor:
        """The crop's half of the estimator's first layer: low (B, C, h, w) -> (B, C, h, w)."""
        y: Tensor = self.from_crop(self.crop_body(low))
        return y

    def offsets(self, wide: Tensor) -> tuple[Tensor, Tensor]:
        """First layer (N, C, h, w) -> offsets (N, 18 G, h, w), cells, and mask (N, 9 G, h, w)."""
        if self.coarse:
            deep = self.body(F.leaky_relu(self.down(wide), 0.1))
            wide = wide + F.pixel_shuffle(self.up(deep), 2)
        x = self.refine(self.fine(wide))
        offset, mask = self.out(x).split((2 * TAPS * self.groups, TAPS * self.groups), dim=1)
        return offset, torch.sigmoid(mask)

    def forward(self, hr: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """The exemplar's features, aligned to the crop: (N, C, h, w).

        Args: hr, query, key: (N, C, h, w) each.
        """
        y: Tensor = self.deform(hr, *self.offsets(F.leaky_relu(query + key, 0.1)))
        return y
