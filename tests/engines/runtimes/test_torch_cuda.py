"""The PyTorch runtime: its logic on the CPU, its graphs where there is a card."""

from __future__ import annotations

import numpy as np
import pytest

from engines.runtime import Image, UnavailableError
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
