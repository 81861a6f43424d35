"""Where a training computes, and in which types."""

from __future__ import annotations

from functools import cache

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


@cache
def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; without such instructions PyTorch imitates
    it, which takes ten times as long as float32 (a step at 16 px x8 on an AMD EPYC with AVX2)."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def mixed_precision(device: torch.device) -> torch.autocast:
    """A context in which convolutions run in bfloat16, where that is faster, else in float32."""
    wanted = device.type != "cpu" or has_bfloat16()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)
