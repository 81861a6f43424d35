"""Where there is no card, TensorRT costs next to nothing to find that out."""

from __future__ import annotations

import pytest

from engines.runtime import UnavailableError
from engines.runtimes import tensorrt_gpu
from engines.runtimes.tensorrt_gpu import TensorrtRtx
from engines.tensorrt.build import Api
from engines.tensorrt.card import Card


def test_without_a_card_the_library_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT for RTX takes 90 MB, and calls on the CPU ask for it first."""
    loaded: list[str] = []

    def load(name: str) -> Api:
        loaded.append(name)
        raise UnavailableError("is too old")

    def no_card() -> Card:
        raise UnavailableError("no NVIDIA driver is installed")

    monkeypatch.setattr(tensorrt_gpu, "load_api", load)
    monkeypatch.setattr(tensorrt_gpu, "is_installed", lambda name: True)
    monkeypatch.setattr(tensorrt_gpu, "Card", no_card)
    with pytest.raises(UnavailableError, match="no NVIDIA driver"):
        TensorrtRtx(4)
    assert not loaded
    monkeypatch.setattr(tensorrt_gpu, "is_installed", lambda name: False)
    with pytest.raises(UnavailableError, match="is too old"):
        TensorrtRtx(4)
    assert loaded == ["tensorrt-rtx"], "which says what to install"
