"""Features of a small face network, for the perceptual loss where VGG-19 cannot be had.

HIME compares features of VGG-19 before the ReLU (supplement, equation 4). Its weights come from a
server alone; those of MTCNN's O-Net, which finds the keypoints of a face, are part of the package
facenet-pytorch (`facenet_pytorch/data/onet.pt`, MIT licence, 1.6 MB). This is its last 3x3
convolution, before the PReLU: 64 channels at about a quarter of the resolution.

Source: Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", figure 2.
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.losses import Perceptual
from engines.hime.state_files import read_state

WIDTHS = (32, 64, 64)


class FaceFeatures(nn.Module):
    """Mean L1 distance of O-Net's features."""

    def __init__(self, path: Path) -> None:
        """Read the weights.

        Args:   path: a state dict (.pt) with facenet-pytorch's names.
        Raises: ValueError: the file lacks one of them or holds another shape. FileNotFoundError.
        """
        super().__init__()
        inputs = (3, *WIDTHS)
        for k, width in enumerate(WIDTHS):
            setattr(self, f"conv{k + 1}", nn.Conv2d(inputs[k], width, 3))
            if k < len(WIDTHS) - 1:
                setattr(self, f"prelu{k + 1}", nn.PReLU(width))
        given = read_state(path)
        own = self.state_dict()
        for name, value in own.items():
            if name not in given or given[name].shape != value.shape:
                raise ValueError(f"{path}: no {name} of {tuple(value.shape)}; expected O-Net")
        self.load_state_dict({name: given[name] for name in own})
        self.eval().requires_grad_(False)

    def features(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W), 0..1, sides of 12 px or more -> (B, 64, about H / 4, about W / 4)."""
        x = pictures * 2 - 1  # 0..255, minus 127.5, by 128
        for k in range(len(WIDTHS) - 1):
            x = self.get_submodule(f"prelu{k + 1}")(self.get_submodule(f"conv{k + 1}")(x))
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        y: Tensor = self.get_submodule(f"conv{len(WIDTHS)}")(x)
        return y

    def forward(self, made: Tensor, truth: Tensor) -> Tensor:
        """made, truth (B, 3, H, W), 0..1 -> a number."""
        a, b = self.features(made), self.features(truth)
        return F.l1_loss(a.float(), b.float())


def load_features(path: Path) -> Perceptual | FaceFeatures:
    """The perceptual loss of a file: VGG-19 of torchvision, or O-Net of facenet-pytorch.

    Raises: ValueError: it holds neither. OSError.
    """
    return FaceFeatures(path) if "prelu1.weight" in read_state(path) else Perceptual(path)
