"""Losses of HIME: Charbonnier, correlation, relativistic average GAN, perceptual.

Source: Xiang et al., "HIME: Efficient Headshot Image Super-Resolution with Multiple Exemplars",
sections 4 and 5.1, and its supplementary material, section A.2. Weights there: 1.0 Charbonnier and
0.1 correlation for `rec`; for `p` also 0.1 adversarial and 0.01 perceptual.

Pictures are (B, 3, H, W), RGB in 0..1; every loss is a mean, so its size does not depend on theirs.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.state_files import read_state

LOSSES = ("loss", "charbonnier", "correlation", "adversarial", "perceptual", "discriminator")
"""As the log of a training run names them; `loss` is their weighted sum without the last one."""
EPSILON = 1e-3


def charbonnier(made: Tensor, truth: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + eps^2), eps = 1e-3 (HIME, section 5.1)."""
    return (made - truth).square().add(EPSILON**2).sqrt().mean()


def correlation(pictures: Tensor, window: int = 3, dilation: int = 1) -> Tensor:
    """Inner products of every pixel with its neighbours, the mean of each channel taken away.

    Args:    pictures: (B, C, H, W). window: k, odd. dilation: d, pixels between neighbours.
    Returns: (B, k^2, H, W), divided by k^2; a neighbour outside the picture counts as the mean.
    Raises:  ValueError: an even or negative window, a dilation below one.
    Source:  HIME, equation 8.
    """
    if window < 1 or window % 2 == 0 or dilation < 1:
        raise ValueError(f"needs an odd window and a dilation of 1 or more: {window}, {dilation}")
    height, width = pictures.shape[-2:]
    x = pictures - pictures.mean(dim=(2, 3), keepdim=True)
    reach = window // 2 * dilation
    wide = F.pad(x, (reach, reach, reach, reach))
    steps = range(0, 2 * reach + 1, dilation)
    # shifted views: unfold would first write k^2 copies of the picture
    maps = [(x * wide[..., i : i + height, j : j + width]).sum(1) for i in steps for j in steps]
    # I(x - i, y - j): the list runs over the negated displacements
    return torch.stack(maps[::-1], dim=1) / window**2


def correlation_loss(made: Tensor, truth: Tensor, window: int = 3, dilation: int = 1) -> Tensor:
    """Mean L1 distance of the two correlation maps (HIME, equation 9).

    Args: made, truth: (B, 3, H, W), 0..1. window: side of the neighbourhood, cells. dilation:
          between its cells, px.
    """
    return F.l1_loss(correlation(made, window, dilation), correlation(truth, window, dilation))


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises: truths look more real than the average made picture.

    Args:   real, fake: (B, 1) outputs C(.) for truths and for made pictures, before any sigmoid.
    Source: HIME, supplement, equations 6 and 7 (Jolicoeur-Martineau 2018).
    """
    # -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), without overflow
    return F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()


def adversarial_loss(real: Tensor, fake: Tensor) -> Tensor:
    """What the network minimises: its pictures look more real than the average truth.

    Args:   as for `discriminator_loss`.
    Source: HIME, supplement, equation 5.
    """
    return discriminator_loss(fake, real)


class Perceptual(nn.Module):
    """Mean L1 distance of VGG-19 features before the ReLU (HIME, supplement, equation 4).

    The paper does not say which layer; this is the last convolution, as in ESRGAN, which brought
    the features before the ReLU into use (Wang et al. 2018, section 3.3).
    """

    PLAN = (
        64,
        64,
        0,
        128,
        128,
        0,
        256,
        256,
        256,
        256,
        0,
        512,
        512,
        512,
        512,
        0,
        512,
        512,
        512,
        512,
    )
    """Channels of the convolutions of VGG-19; 0 is a pooling."""
    mean: Tensor
    spread: Tensor

    def __init__(self, path: Path) -> None:
        """Read the weights of the convolutions.

        Args:   path: a state dict (.pth) with torchvision's names, `features.N.weight` and `.bias`.
        Raises: ValueError: the file lacks one of them or holds another shape. FileNotFoundError.
        """
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels in self.PLAN:
            if channels:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])  # without the last ReLU
        given = read_state(path)
        state = {}
        for name, value in self.state_dict().items():
            if name not in given:
                raise ValueError(f"{path}: no {name}; expected VGG-19 with torchvision's names")
            if given[name].shape != value.shape:
                shapes = f"{tuple(given[name].shape)}, not {tuple(value.shape)}"
                raise ValueError(f"{path}: {name} is {shapes}; expected VGG-19")
            state[name] = given[name]
        self.load_state_dict(state)
        # what the photos were normalised with that these weights were trained on (ImageNet)
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(shape))
        self.register_buffer("spread", torch.tensor((0.229, 0.224, 0.225)).view(shape))
        self.eval().requires_grad_(False)

    def forward(self, made: Tensor, truth: Tensor) -> Tensor:
        """made, truth (B, 3, H, W), 0..1, sides of 16 px or more -> a number."""
        a, b = (self.features((x - self.mean) / self.spread) for x in (made, truth))
        return F.l1_loss(a.float(), b.float())
