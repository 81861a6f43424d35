"""Building blocks of HIME that several of its parts share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """conv - ReLU - conv + skip, without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            # a deep stack without normalisation starts close to the identity
            conv.weight.data.mul_(0.1)
            nn.init.zeros_(bias_of(conv))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return y


def bias_of(conv: nn.Conv2d) -> Tensor:
    if conv.bias is None:
        raise ValueError("a convolution without bias")
    return conv.bias


def blocks(count: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
