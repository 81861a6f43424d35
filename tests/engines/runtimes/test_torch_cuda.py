"""The PyTorch runtime: its logic on the CPU, its graphs where there is a card."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from engines.runtime import EngineError, Image, UnavailableError
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.torch_cuda import TorchCuda
from engines.tensorrt.bucket import probe_pictures, psnr
from engines.weights.manifest import weights_files

torch = pytest.importorskip("torch", reason="the train extra is not installed")

BUCKET = 16
LEAST_DB = {"fp32": 80.0, "fp16": 50.0}


def network_picture(scale: int, crop: Image, exemplars: list[Image]) -> Image:
    """What the network itself makes, float32, before rounding to bytes; 0..255."""
    from engines.hime.checkpoint import load_network
    from engines.hime.data import to_tensor

    network = load_network(weights_files(scale)[1])
    given = to_tensor(exemplars)[None] if exemplars else torch.zeros(1, 0, 4, 1, 1)
    with torch.inference_mode():
        own = network(to_tensor([crop]), given, torch.ones(1, len(exemplars)))
    picture: Image = (own[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    return picture


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("scale", [4, 8])
def test_makes_the_picture_of_the_network(scale: int, precision: str) -> None:
    crop, exemplars = probe_pictures(BUCKET, scale)
    with TorchCuda(scale, precision, "cpu") as runtime:
        for count in (0, 1, 3):
            features = runtime.encode(exemplars[:count]) if count else None
            made = runtime.enhance(crop, features)
            assert made.dtype == np.uint8
            own = network_picture(scale, crop, exemplars[:count])
            rounding = 0.5 if precision == "fp32" else 1.0
            assert np.abs(made - own).max() < rounding + 0.01


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_before_rounding_it_is_as_near_as_its_type_allows(precision: str) -> None:
    crop, exemplars = probe_pictures(BUCKET, 4)
    runtime = TorchCuda(4, precision, "cpu")
    given = runtime._on_device(runtime.encode(exemplars))
    pixels = torch.from_numpy(crop[None])
    with torch.inference_mode():
        low = runtime._picture(pixels)
        made = runtime._network.enhance(low, runtime._encoded(*given), torch.ones(1, 3))
    assert made.dtype == torch.float32
    own = network_picture(4, crop, exemplars)
    assert psnr(made[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255, own) > LEAST_DB[precision]


def test_features_stay_usable_and_may_come_from_elsewhere() -> None:
    crop, exemplars = probe_pictures(BUCKET, 4)
    with TorchCuda(4, "fp32", "cpu") as runtime, OnnxRuntimeCpu(4) as other:
        first, second = runtime.encode(exemplars[:1]), runtime.encode(exemplars[1:2])
        a, b = runtime.enhance(crop, first), runtime.enhance(crop, second)
        assert not np.array_equal(a, b)
        assert np.array_equal(runtime.enhance(crop, first), a)
        foreign = runtime.enhance(crop, other.encode(exemplars[:1]))
        assert np.abs(foreign.astype(int) - a).max() <= 1
        with pytest.raises(ValueError, match="features for a crop of 16 px, crop of 24 px"):
            runtime.enhance(probe_pictures(24, 4)[0], first)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_without_a_card_it_says_so() -> None:
    with pytest.raises(UnavailableError, match=r"^PyTorch sees no NVIDIA card; .* CUDA$"):
        TorchCuda(4)


def test_a_card_or_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UnavailableError, match=r"^there is no NVIDIA card number 1; cards: 1$"):
        TorchCuda(4, device="cuda:1")
    with pytest.raises(UnavailableError, match=r'^PyTorch knows no device "cuda:x"$'):
        TorchCuda(4, device="cuda:x")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. 2 GiB\nmore"), "is full: CUDA out of memory"),
        (
            torch.AcceleratorError("CUDA error: unspecified launch failure\nmore"),
            "failed: CUDA err",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "failed: cuDNN error: CUDNN_STA"),
    ],
)
def test_what_goes_wrong_on_the_card_is_told_in_a_line(
    error: RuntimeError, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    crop, exemplars = probe_pictures(BUCKET, 4)
    with TorchCuda(4, "fp32", "cpu") as runtime:
        features = runtime.encode(exemplars)
        right = runtime.enhance(crop, features)
        for half, call in (
            ("encode", lambda: runtime.encode(exemplars)),
            ("enhance", lambda: runtime.enhance(crop, features)),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(runtime._network, half, fails)
                with pytest.raises(EngineError, match=rf"^the card {told}[^\n]*$"):
                    call()
        np.testing.assert_array_equal(runtime.enhance(crop, features), right)
    monkeypatch.setattr(torch.nn.Module, "to", fails)
    with pytest.raises(UnavailableError, match=rf"^the card {told}[^\n]*$"):
        TorchCuda(4, "fp32", "cpu")


def test_features_and_buffers_go_with_the_runtime() -> None:
    crop, exemplars = probe_pictures(BUCKET, 4)
    with TorchCuda(4, "fp32", "cpu") as runtime:
        features = runtime.encode(exemplars)
        runtime.enhance(crop, features)
        (run,) = runtime._runs.values()
        kept = [weakref.ref(one) for one in (run, run._pixels, *runtime._on_device(features))]
        del run
        gc.disable()  # it comes too late
    try:
        assert [one() for one in kept] == [None] * 4
    finally:
        gc.enable()


class FakeCuda:
    """Stands in for the parts of `torch.cuda` that record graphs, on the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.devices: list[Any] = []
        """Those that are current, innermost last."""
        self.recordings: list[tuple[Any, Any]] = []
        """Stream and current device of each."""
        self.at_once = self.most_at_once = 0
        self.works: dict[int, Any] = {}
        """What a thread computes."""
        for name in ("device", "stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
        monkeypatch.setattr(torch.cuda, "current_stream", FakeStream)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)

    def runtime(self) -> TorchCuda:
        """That records what it computes."""
        made = TorchCuda(4, "fp32", "cpu")
        made._graphs = True
        enhance = made._enhance

        def work(*given: Any) -> Any:
            picture = enhance(*given)
            self.works[threading.get_ident()] = lambda: picture.copy_(enhance(*given))
            return picture

        made._enhance = work  # type: ignore[method-assign, assignment]
        return made

    @contextlib.contextmanager
    def device(self, device: Any) -> Iterator[None]:
        self.devices.append(device)
        yield
        self.devices.pop()

    @contextlib.contextmanager
    def stream(self, stream: Any) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def graph(
        self, graph: FakeGraph, stream: Any = None, capture_error_mode: str = "global"
    ) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.recordings.append((stream, self.devices[-1]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.05)  # another thread would begin here
        yield
        self.at_once -= 1
        graph.work = self.works[threading.get_ident()]


class FakeStream:
    def __init__(self, device: Any) -> None:
        self.on = device

    def wait_stream(self, other: FakeStream) -> None:
        """Everything is done at once."""


class FakeGraph:
    def __init__(self) -> None:
        self.work: Any = None

    def replay(self) -> None:
        self.work()


def test_a_graph_is_recorded_on_the_card_and_stream_of_its_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crop, exemplars = probe_pictures(BUCKET, 4)
    with TorchCuda(4, "fp32", "cpu") as plain:
        right, moved = plain.enhance(crop, plain.encode(exemplars)), np.roll(crop, 3, axis=0)
        moved_right = plain.enhance(moved, plain.encode(exemplars))
    cuda = FakeCuda(monkeypatch)
    runtimes = [cuda.runtime() for _ in range(2)]
    made: list[Image] = []

    def frames(runtime: TorchCuda) -> None:
        features = runtime.encode(exemplars)
        made.extend(runtime.enhance(one, features) for one in (crop, moved))

    threads = [threading.Thread(target=frames, args=(one,)) for one in runtimes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.tobytes() for one in made) == sorted(
        one.tobytes() for one in (right, moved_right) * 2
    )
    assert cuda.most_at_once == 1, "a recording waits for the card, which ends all others"
    assert [device for _, device in cuda.recordings] == [one._device for one in runtimes]
    assert all(stream.on == device for stream, device in cuda.recordings)
    assert len({id(stream) for stream, _ in cuda.recordings}) == 2


def test_an_empty_graph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    runtime = cuda.runtime()
    monkeypatch.setattr(FakeGraph, "replay", lambda graph: None)
    with pytest.raises(EngineError, match=r"^the recorded graph makes another picture than its"):
        runtime.enhance(probe_pictures(BUCKET, 4)[0], None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no NVIDIA card")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("bucket", [32, 64])
def test_on_a_card(precision: str, bucket: int) -> None:
    crop, exemplars = probe_pictures(bucket, 4)
    with TorchCuda(4, precision) as runtime:
        for count in (0, 1, 3):
            features = runtime.encode(exemplars[:count]) if count else None
            made = runtime.enhance(crop, features)
            assert psnr(made, np.round(network_picture(4, crop, exemplars[:count]))) > 50
            other = np.roll(crop, 3, axis=0)
            assert not np.array_equal(runtime.enhance(other, features), made)
            assert np.array_equal(runtime.enhance(crop, features), made)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no NVIDIA card")
def test_a_closed_runtime_leaves_its_weights_alone_on_the_card() -> None:
    crop, exemplars = probe_pictures(32, 4)
    with TorchCuda(4) as runtime:
        weights = torch.cuda.memory_allocated()
        runtime.enhance(crop, runtime.encode(exemplars))
        assert torch.cuda.memory_allocated() > weights
    assert torch.cuda.memory_allocated() == weights
