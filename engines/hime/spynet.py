"""SPyNet: optical flow from coarse to fine, as HIME-large uses it.

Source: Ranjan and Black 2017, "Optical Flow Estimation using a Spatial Pyramid Network": five 7x7
convolutions for each level, which add a residual to the enlarged flow of the level before.

HIME (section 3.2) estimates the flow between pictures in the grid of the crop. Its table 1 tells at
what size: large minus small costs 4.20 GMACs at 32 px and 4.00 at 16 px, so nearly all of it does
not depend on the crop, and three times six levels of this network at 64 x 64 px are 3.93 GMACs.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.blocks import bias_of
from engines.hime.state_files import read_state

SIDE = 64
"""Pictures are brought to this size, px."""
LEVELS = 6
WIDTHS = (8, 32, 64, 32, 16, 2)


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Sample `x` where the flow points: equation 2 of HIME, in float32; outside the edge repeats.

    Args:    x: (N, C, h, w). flow: (N, 2, h, w), cells of `x`, (x, y).
    Returns: (N, C, h, w) float32; at p it shows x at p + flow(p).
    """
    _, _, h, w = x.shape
    with torch.autocast(x.device.type, enabled=False):
        flow = flow.float()
        columns = torch.arange(w, device=x.device, dtype=torch.float32).view(1, 1, w)
        rows = torch.arange(h, device=x.device, dtype=torch.float32).view(1, h, 1)
        # align_corners=False: cell i has its centre at (2 i + 1) / size - 1
        grid = torch.stack(
            ((2 * (columns + flow[:, 0]) + 1) / w - 1, (2 * (rows + flow[:, 1]) + 1) / h - 1),
            dim=-1,
        )
        return F.grid_sample(
            x.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
        )


class Level(nn.Sequential):
    """One level: [crop, warped exemplar, flow] (N, 8, h, w) -> what is added to the flow."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for a, b in pairwise(WIDTHS):
            layers += [nn.Conv2d(a, b, 7, padding=3), nn.ReLU()]
        super().__init__(*layers[:-1])
        last = layers[-2]
        assert isinstance(last, nn.Conv2d)
        # no motion at first: where nothing has been learnt the exemplar stays where it is
        nn.init.zeros_(last.weight)
        nn.init.zeros_(bias_of(last))


class SpyNet(nn.Module):
    """Flow from pictures to others."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Level() for _ in range(LEVELS))

    def pyramid(self, one: Tensor, other: Tensor) -> list[Tensor]:
        """The flow of every level, coarsest first.

        Args:    one, other: (N, 3, h, w), 0..1, any size.
        Returns: (N, 2, S, S) float32 with S = 2, 4, ... `SIDE`; px of that level, (x, y).
        """
        size = (SIDE, SIDE)
        first, second = (
            F.interpolate(x.float() * 2 - 1, size=size, mode="bilinear", align_corners=False)
            for x in (one, other)
        )
        levels = [(first, second)]
        for _ in range(LEVELS - 1):
            a, b = levels[-1]
            levels.append((F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)))
        coarse = levels[-1][0]
        flow = coarse.new_zeros(len(coarse), 2, *coarse.shape[-2:])
        flows: list[Tensor] = []
        for level, (a, b) in zip(self.levels, reversed(levels), strict=True):
            if flows:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
            flow = flow + level(torch.cat((a, warp(b, flow), flow), dim=1)).float()
            flows.append(flow)
        return flows

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """one, other (N, 3, h, w), 0..1 -> (N, 2, h, w) float32, px of `one`, (x, y): what `one`
        shows at p is in `other` at p + flow(p)."""
        h, w = one.shape[-2:]
        flow = self.pyramid(one, other)[-1]
        flow = F.interpolate(
            flow, size=(h, w), mode="bilinear", align_corners=False, antialias=True
        )
        # no tensor of the two factors: to copy one to a GPU would halt it
        return torch.cat((flow[:, :1] * (w / SIDE), flow[:, 1:] * (h / SIDE)), dim=1)


def load_flow(path: Path) -> dict[str, Tensor]:
    """The weights that `engines.hime.flow_training` has written.

    Raises: ValueError: the file holds something else. OSError.
    """
    state = read_state(path).get("spynet")
    if state is None:
        raise ValueError(f"{path}: holds no SPyNet of engines.hime.flow_training")
    return dict(state)
