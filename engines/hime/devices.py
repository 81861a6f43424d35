"""Where a training computes."""

from __future__ import annotations

import torch

DEFAULT = "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: torch.device) -> torch.autocast:
    """A context in which a network computes in bfloat16, where the processor can: one that cannot
    emulates it, and a step of learning takes 9 to 16 times as long as in float32 (16 px x8, AVX2).
    """
    native = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=bool(native))


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
