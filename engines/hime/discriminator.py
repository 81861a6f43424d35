"""The discriminator of StyleGAN2, which the perception-oriented weights are trained against.

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (residual
discriminator, figure 7); HIME, supplement, section A.1. Narrower than theirs, which was made for
pictures of 1024 px and millions of photos.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP = 4
"""Pictures that are compared with each other by the minibatch standard deviation."""
END = 4
"""Side of the last feature map, px."""


class Conv(nn.Module):
    """A convolution with equalised learning rate: weights of spread one, scaled where used."""

    def __init__(self, inputs: int, outputs: int, kernel: int, down: bool = False) -> None:
        """`down`: blur, then stride 2, so that shrinking does not alias."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = (inputs * kernel**2) ** -0.5
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W), or half the sides where `down`; sides even."""
        kernel = self.weight.shape[-1]
        if self.down:
            x = blur(x, kernel)
        return F.conv2d(
            x,
            self.weight * self.gain,
            self.bias,
            stride=2 if self.down else 1,
            padding=0 if self.down else kernel // 2,
        )


def blur(x: Tensor, kernel: int) -> Tensor:
    """Filter with [1, 3, 3, 1] and pad as a following convolution of stride 2 needs.

    Args:    x: (B, C, H, W). kernel: side of that convolution, 1 or 3.
    Returns: (B, C, H + kernel - 2, W + kernel - 2): it makes H / 2 x W / 2 px of it.
    """
    channels = x.shape[1]
    pad = (kernel + 1) // 2
    # made where they are used: to copy numbers to a GPU would halt it
    taps = 0.5 - (torch.arange(4, dtype=x.dtype, device=x.device) - 1.5).abs() / 4
    filters = torch.outer(taps, taps).expand(channels, 1, 4, 4)
    return F.conv2d(x, filters, padding=pad, groups=channels)


def active(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the spread of its input."""
    return F.leaky_relu(x, 0.2) * 2**0.5


class Block(nn.Module):
    """Two convolutions and a skip, to half the sides."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = Conv(inputs, inputs, 3)
        self.conv2 = Conv(inputs, outputs, 3, down=True)
        self.skip = Conv(inputs, outputs, 1, down=True)

    def forward(self, x: Tensor) -> Tensor:
        y = active(self.conv2(active(self.conv1(x))))
        z: Tensor = (y + self.skip(x)) / 2**0.5
        return z


def minibatch_spread(x: Tensor) -> Tensor:
    """Add a channel with the standard deviation over a group of pictures (Karras et al. 2018).

    (B, C, H, W) -> (B, C + 1, H, W). It shows a network that makes all its pictures alike.
    """
    b, _, h, w = x.shape
    group = max(n for n in range(1, min(GROUP, b) + 1) if b % n == 0)
    y = x.float().view(group, b // group, *x.shape[1:])
    spread = (y.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    plane = spread.repeat(group).view(b, 1, 1, 1).expand(b, 1, h, w)
    return torch.cat((x, plane.to(x.dtype)), dim=1)


class Discriminator(nn.Module):
    """How real a picture looks, for pictures of 64 to 384 px a side.

    StyleGAN2's ends in a fixed number of pixels; training mixes sides, so the last feature map
    (2 to 12 px) is brought to 4 x 4 px by averaging.
    """

    def __init__(self, channels: int = 32, most: int = 256, blocks: int = 5) -> None:
        """`channels` of the first block double in every block, up to `most`."""
        super().__init__()
        widths = [min(most, channels * 2**k) for k in range(blocks + 1)]
        self.first = Conv(3, channels, 1)
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(widths)))
        self.last = Conv(widths[-1] + 1, widths[-1], 3)
        # linear layers, written as convolutions: one kind of equalised layer
        self.dense = Conv(widths[-1] * END**2, widths[-1], 1)
        self.out = Conv(widths[-1], 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W), 0..1, sides multiples of 32 -> (B, 1) float32, C(.) of the supplement."""
        x = self.blocks(active(self.first(pictures * 2 - 1)))
        x = active(self.last(minibatch_spread(x)))
        x = F.adaptive_avg_pool2d(x, END).reshape(len(x), -1, 1, 1)
        y: Tensor = self.out(active(self.dense(x))).flatten(1)
        return y.float()
