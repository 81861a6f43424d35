"""Critics and the loss of WGAN-GP, which GWAInet and PWAve are trained against.

Source: Gulrajani et al. 2017; GWAInet, section 3.3, equation 8, and table 2 of its supplement
(Cnet). PWAve's critic is similar to that of StyleGAN (section 3.1): `engines.hime.discriminator`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PENALTY = 10.0
"""Weight of the gradient penalty, lambda_gp."""


class Cnet(nn.Module):
    """GWAInet's critic: DCGAN's discriminator without batch normalisation."""

    def __init__(self, side: int = 128, widths: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        """`side` of the pictures, px: a multiple of 2 for each of `widths`."""
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(a, b, 5, stride=2, padding=2) for a, b in pairwise((3, *widths)))
        )
        self.out = nn.Linear(widths[-1] * (side >> len(widths)) ** 2, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, side, side), 0..1 -> (B, 1)."""
        x = pictures * 2 - 1
        for layer in self.body:
            x = F.leaky_relu(layer(x), 0.2)
        y: Tensor = self.out(x.flatten(1))
        return y


def critic_loss(critic: nn.Module, real: Tensor, fake: Tensor, seed: int) -> Tensor:
    """What the critic minimises: L_fake - L_real + lambda_gp L_gp.

    PWAve's equation 5 has other signs; taken by the letter the critic would learn nothing.

    Args: real, fake: (B, 3, H, W), 0..1. seed: of the points between them, so that a resumed run
          draws the same.
    """
    random = torch.Generator().manual_seed(seed)
    share = torch.rand(len(real), 1, 1, 1, generator=random).to(real.device)
    between = (share * real + (1 - share) * fake.detach()).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    loss: Tensor = critic(fake.detach()).mean() - critic(real).mean() + PENALTY * penalty
    return loss


def generator_loss(critic: nn.Module, fake: Tensor) -> Tensor:
    """What the network minimises: -L_fake."""
    loss: Tensor = -critic(fake).mean()
    return loss
