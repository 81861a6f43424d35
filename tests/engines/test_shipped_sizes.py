"""A second, small network beside the full one: exported, read back, and run by the CPU runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engines import runtime as runtimes
from engines.contract import FULL, OPEN, RESEARCH, SMALL
from engines.errors import WeightsError
from engines.hime.checkpoint import load_network
from engines.hime.export import export
from engines.hime.model import Config, Hime
from engines.hime.network_sizes import SHIPPED_SMALL, SIZES, sized_config
from engines.hime.release import size_of
from engines.runtime import ON_CPU, OpenedRuntime, check_network, open_small, runtime_class
from engines.runtimes.cpu import CpuRuntime
from engines.weights.manifest import network_name, weights_files


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hime, tuple[Path, Path]]:
    """An untrained network of the small size, and its halves: exporting takes 10 s."""
    torch.manual_seed(0)
    network = Hime(sized_config(Config(), SHIPPED_SMALL)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:  # fresh biases stay equal: the exporter merges them
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return network, export(network, tmp_path_factory.mktemp("small") / "made", "small")


def test_an_exported_network_is_read_back_in_its_size(
    small: tuple[Hime, tuple[Path, Path]],
) -> None:
    network, (_, enhance) = small
    read = load_network(enhance)
    assert read.config == network.config
    assert all(
        torch.equal(a, b) for a, b in zip(read.parameters(), network.parameters(), strict=True)
    )


@pytest.mark.parametrize("name", ON_CPU)
def test_the_runtimes_of_a_cpu_run_it_as_it_is(
    small: tuple[Hime, tuple[Path, Path]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"openvino-cpu": "openvino", "onnxruntime-cpu": "onnxruntime"}[name])
    network, files = small
    monkeypatch.setattr(runtimes, "has_small", lambda scale, *, weights: True)
    monkeypatch.setattr(runtimes, "weights_files", lambda scale, *, weights, network: files)
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (48, 48, 3), np.uint8)
    exemplars = [rng.integers(0, 256, (192, 192, 4), np.uint8) for _ in range(2)]
    full = runtime_class(name)(4)
    found = open_small(OpenedRuntime(name, full), 4, OPEN, threads=1)
    assert isinstance(found, CpuRuntime)

    def tensor(image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)

    with full, found, torch.inference_mode():
        pictures = torch.stack([tensor(one) for one in exemplars])
        for known in (pictures, pictures[:0]):
            expected = network(tensor(crop)[None], known[None], torch.ones(1, len(known)))[0]
            features = found.encode(exemplars) if len(known) else None
            made = torch.from_numpy(found.enhance_float(crop, features).copy())
            psnr = -10 * float(torch.log10((made - expected).square().mean()))
            assert psnr > (90 if found.precision == "fp32" else 42), (found.precision, psnr)


def test_there_is_a_small_network_for_what_was_shipped_and_on_a_cpu_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = OpenedRuntime("onnxruntime-cpu", runtime_class("onnxruntime-cpu")(4))
    monkeypatch.setattr(runtimes, "has_small", lambda scale, *, weights: False)
    assert open_small(opened, 4, RESEARCH) is None
    monkeypatch.setattr(runtimes, "has_small", lambda scale, *, weights: True)
    assert open_small(OpenedRuntime("tensorrt", opened.runtime), 4, OPEN) is None
    check_network(FULL, OPEN)
    check_network("auto", OPEN)
    with pytest.raises(WeightsError, match=r"^no small network for research weights, x4, is inst"):
        check_network(SMALL, RESEARCH)
    with pytest.raises(WeightsError, match=r"^no small network for research weights, x8, is inst"):
        weights_files(8, weights=RESEARCH, network=SMALL)


def test_sizes_have_the_names_that_they_are_shipped_under() -> None:
    assert network_name(4, weights=OPEN, network=SMALL) == "hime_x4_open_small"
    assert network_name(4, weights=RESEARCH, network=FULL) == "hime_x4"
    for name in SIZES:
        config = sized_config(Config(8), name)
        if name in (FULL, SHIPPED_SMALL):
            assert size_of(config) == (FULL if name == FULL else SMALL)
        else:
            with pytest.raises(ValueError, match=r"^shipped are networks of the sizes full and"):
                size_of(config)
