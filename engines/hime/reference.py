"""The network as PyTorch runs it: what every runtime is compared with, in answers and in speed."""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from engines.hime.checkpoint import load_network
from engines.hime.data import to_tensor
from engines.hime.measures import gmacs
from engines.weights.manifest import weights_files

Image = NDArray[np.uint8]
Array = NDArray[np.float32]


class Reference:
    """The shipped weights of one scale in PyTorch: eager, FP32, on the CPU.

    Raises: WeightsError: as `engines.weights.manifest.weights_files`.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self._network = load_network(weights_files(scale)[1])

    def enhance(self, crop: Image, exemplars: list[Image]) -> Image:
        """The baseline, from picture to picture: everything is computed again for each frame.

        Args:    crop: RGB uint8 (b, b, 3). exemplars: RGBA (s*b, s*b, 4) each, none works.
        Returns: RGB uint8 (s*b, s*b, 3).
        """
        picture = torch.from_numpy(self.enhance_float(crop, exemplars))
        pixels = (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0)
        image: Image = pixels.contiguous().numpy()
        return image

    @torch.inference_mode()
    def enhance_float(self, crop: Image, exemplars: list[Image]) -> Array:
        """As `enhance`, before clipping and rounding: float32 (3, s*b, s*b), about 0..1."""
        side = len(crop) * self.scale
        known = (
            to_tensor(exemplars) if exemplars else torch.zeros(0, self._network.inputs, side, side)
        )
        valid = torch.ones(1, len(exemplars))
        picture: Array = self._network(to_tensor([crop]), known[None], valid)[0].numpy()
        return picture

    @torch.inference_mode()
    def gmacs(self, side: int, exemplars: int) -> tuple[float, float]:
        """Multiply-accumulates of the convolutions in `encode` and in `enhance`, 1e9."""
        whole, encode = gmacs(self._network, side, exemplars), 0.0
        if exemplars:
            big = side * self.scale
            with FlopCounterMode(display=False) as counter:
                self._network.encode(torch.zeros(1, exemplars, self._network.inputs, big, big))
            encode = counter.get_total_flops() / 2e9
        return encode, whole - encode


def use_threads(count: int) -> None:
    """How many threads PyTorch may use."""
    torch.set_num_threads(count)


@torch.inference_mode()
def matmul_gflops(kind: str, size: int = 1024, repeat: int = 20) -> float:
    """Speed of a large square matrix product, best of several, 1e9 operations a second.

    Written as a 1x1 convolution: PyTorch's matrix product in FP32 is MKL's, which keeps half of the
    vector width of AMD processors idle.

    Args: kind: "fp32" or "bf16".
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[kind]
    a = torch.ones(1, size, size // 32, 32, dtype=dtype).to(memory_format=torch.channels_last)
    b = torch.ones(size, size, 1, 1, dtype=dtype).to(memory_format=torch.channels_last)
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        F.conv2d(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
