"""The card: what is missing is said in one line, and memory and streams are used by the rules."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from engines.runtime import UnavailableError
from engines.tensorrt.card import Card, CudaError
from tests.fake_gpu import FakeCuda


@pytest.mark.parametrize(
    ("cuda", "line"),
    [
        (FakeCuda(driver=0), "no NVIDIA driver is installed"),
        (FakeCuda(driver=12040), r"the NVIDIA driver is for CUDA 12\.4, cuda-bindings for 13\.0"),
        (FakeCuda(devices=0), "the NVIDIA driver finds no card"),
        (FakeCuda(devices=1), "there is no NVIDIA card number 1; cards: 1"),
        (FakeCuda(room=100 << 20), "Fake Card has 100 of 100 MB free; 1000 MB are needed"),
    ],
)
def test_what_is_missing_is_said_in_one_line(cuda: FakeCuda, line: str) -> None:
    with pytest.raises(UnavailableError, match=line):
        Card(1, cuda)


def test_the_real_bindings_know_these_calls() -> None:
    """Without a driver each of them answers with an error code; a wrong call would raise."""
    try:
        from cuda.bindings import runtime as real
    except ImportError:
        pytest.skip("cuda-bindings is not installed")
    if real.cudaDriverGetVersion()[1]:
        pytest.skip("this machine has a driver: test_on_a_card makes these calls")
    kind = real.cudaMemcpyKind.cudaMemcpyDefault
    mode = real.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    stream, graph = real.cudaStream_t(), real.cudaGraph_t()
    assert int(stream) == 0
    for name, *given in (
        ("cudaSetDevice", 0),
        ("cudaGetDeviceProperties", 0),
        ("cudaMemGetInfo",),
        ("cudaStreamCreateWithFlags", real.cudaStreamNonBlocking),
        ("cudaMalloc", 64),
        ("cudaMemset", 0, 0, 64),
        ("cudaHostAlloc", 64, 0),
        ("cudaMemcpyAsync", 0, 0, 64, kind, stream),
        ("cudaMemsetAsync", 0, 0, 64, stream),
        ("cudaStreamSynchronize", stream),
        ("cudaStreamBeginCapture", stream, mode),
        ("cudaStreamEndCapture", stream),
        ("cudaGraphInstantiate", graph, 0),
        ("cudaGraphLaunch", real.cudaGraphExec_t(), stream),
        ("cudaFree", 64),
        ("cudaFreeHost", 64),
    ):
        code, *_ = getattr(real, name)(*given)
        assert int(code) == 35, name
        assert b"driver" in real.cudaGetErrorString(code)[1]


def test_memory_is_empty_at_first_and_goes_with_its_object() -> None:
    cuda = FakeCuda()
    card = Card(1, cuda)
    block, array = card.memory(64), card.pinned((4, 8), np.float16)
    assert not cuda.view(block.address, 64).any()
    assert not array.array.any()
    assert array.size == 64
    assert len(cuda.blocks) == 2
    del block, array
    gc.collect()
    assert not cuda.blocks


def test_nothing_is_copied_before_somebody_waits() -> None:
    card = Card(1, FakeCuda())
    block, array = card.memory(12), card.pinned((3,), np.float32)
    array.array[...] = [1, 2, 3]
    card.copy(block, array, card.stream)
    array.array[...] = 0  # too early: what arrives is this
    card.copy(array, block, card.stream)
    card.wait(card.stream)
    assert not array.array.any()
    with pytest.raises(ValueError, match="12 bytes do not fit in 4"):
        card.copy(card.memory(4), array, card.stream)


def test_a_capture_that_fails_is_closed() -> None:
    cuda = FakeCuda()
    card = Card(1, cuda)

    def work() -> None:
        raise CudaError(700, "cudaLaunchKernel", "illegal")

    with pytest.raises(CudaError, match=r"^cudaLaunchKernel failed: illegal$"):
        card.capture(work, card.stream)
    assert not cuda.capturing
