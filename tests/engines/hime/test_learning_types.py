"""Learning computes in bfloat16 where the processor has it, and in float32 where it has not."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

import torch

from engines.hime import devices


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ({"avx2": True, "amx_bf16": False, "avx512_bf16": False}, torch.float32),
        ({"avx512_f": True, "avx512_vnni": True}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16),
    ],
)
def test_a_processor_computes_in_bfloat16_only_if_it_can(
    known: dict[str, bool], wanted: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    monkeypatch.setattr(devices, "has_bfloat16", devices.has_bfloat16.__wrapped__)
    layer = torch.nn.Conv2d(3, 4, 3)
    with devices.mixed_precision(torch.device("cpu")):
        assert layer(torch.zeros(1, 3, 8, 8)).dtype == wanted
