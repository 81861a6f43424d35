"""Flow-guided reference feature alignment: the paper's large model.

Source: Xiang et al., HIME, section 3.2, equations 2 to 4 and figure 3: optical flow moves the
exemplar's features, from what they show there a residual is estimated, and both together are the
offsets of a deformable convolution of the features where they were.

The paper does not say what g() of equation 3 is. Table 1 has 8.36 M parameters more for the large
model, of which SPyNet has 1.44 M, and nearly no multiplications for the other 6.9 M. So they are
where there are few cells: here in a pyramid below g(), down to an eighth of the crop's grid.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.blocks import blocks
from engines.hime.deformable import TAPS, DeformableAlignment
from engines.hime.spynet import SpyNet, warp

PYRAMID = (64, 128, 256)
"""Channels at a half, a quarter and an eighth of the crop's grid."""
PYRAMID_BLOCKS = (1, 1, 4)


class Pyramid(nn.Module):
    """Down to an eighth of the grid and back, with skips: (N, C, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, *PYRAMID)
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
        )
        self.bodies = nn.ModuleList(
            blocks(count, width) for count, width in zip(PYRAMID_BLOCKS, PYRAMID, strict=True)
        )
        self.ups = nn.ModuleList(nn.Conv2d(b, 4 * a, 3, padding=1) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        step = 2 ** len(PYRAMID)
        x = F.pad(x, (0, -w % step, 0, -h % step), mode="replicate")
        levels = [x]
        for down, body in zip(self.downs, self.bodies, strict=True):
            levels.append(body(F.leaky_relu(down(levels[-1]), 0.1)))
        y = levels.pop()
        for up in reversed(self.ups):
            y = levels.pop() + F.pixel_shuffle(up(y), 2)
        return y[..., :h, :w]


class FlowAlignment(DeformableAlignment):
    """Reference feature alignment of the large model: flow, and offsets that are added to it."""

    def __init__(self, channels: int, groups: int, fine_blocks: int, crop_blocks: int) -> None:
        """Args: groups, fine_blocks, crop_blocks: of `model.Config`."""
        super().__init__(channels, groups, 0, fine_blocks, crop_blocks)
        self.channels = channels
        self.spynet = SpyNet()
        self.pyramid = Pyramid(channels)

    def key(self, low: Tensor, crop: Tensor) -> Tensor:
        """What `forward` needs of the crop: low (B, C, h, w), crop (B, 3, h, w) ->
        (B, C + 3, h, w)."""
        return torch.cat((super().key(low, crop), crop), dim=1)

    def forward(self, hr: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """Align the features of exemplars.

        Args:    hr: (N, C, h, w), F_ref. query: (N, 3, h, w), I_refL, 0..1.
                 key: (N, C + 3, h, w), see `key`.
        Returns: (N, C, h, w), F_refA.
        """
        low, crop = torch.split(key, [self.channels, 3], dim=1)
        flow = self.spynet(crop, query)
        moved = warp(hr, flow).to(hr.dtype)
        wide = F.leaky_relu(self.from_exemplar(moved) + low, 0.1)
        offset, mask = self.offsets(wide + self.pyramid(wide))
        # the layout of the offsets is (dy, dx) for each tap of each group
        guided = offset.float() + flow.flip(1).repeat(1, TAPS * self.groups, 1, 1)
        y: Tensor = self.deform(hr, guided, mask)
        return y
