"""Where a training computes."""

from __future__ import annotations

import torch

DEFAULT = "cuda" if torch.cuda.is_available() else "cpu"


def device_of(name: str) -> torch.device:
    """The device of --device: "cpu", "cuda", "cuda:1".

    Raises: ValueError: PyTorch knows no such device, or cannot use it here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter: built without CUDA
        why = str(error).splitlines()[0]
        raise ValueError(f"--device {name} cannot be used: {why}") from error
    return device
