"""The builder, for real: NVIDIA's own parser and builder, in TensorRT for RTX, need no card."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from engines.install import install_command
from engines.onnx_variants.variants import OnnxVariant, make_variant
from engines.runtime import SCALES, UnavailableError
from engines.tensorrt import build as module
from engines.tensorrt.build import (
    Api,
    BuildError,
    build,
    check_sampling,
    is_installed,
    load_api,
    parse,
)
from engines.weights.manifest import HALVES, quantised_files, weights_files
from tests.engines.onnx_variants.test_variants import with_qdq


@pytest.fixture(scope="module")
def api() -> Api:
    try:
        return load_api("tensorrt-rtx")
    except UnavailableError as error:
        pytest.skip(str(error))


def shipped(half: str, scale: int = 4, bucket: int = 32, precision: str = "fp16") -> bytes:
    path = weights_files(scale)[HALVES.index(half)]
    return make_variant(path, OnnxVariant(half, scale, bucket, precision=precision))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_shipped_file_builds(api: Api, scale: int, half: str, precision: str) -> None:
    shares: list[float] = []
    bucket = 64 if scale == 4 else 24
    model = shipped(half, scale, bucket, precision)

    def note(share: float) -> bool:
        shares.append(share)
        return True

    built = build(api, model, progress=note)
    assert len(built.plan) > 500_000
    assert built.timing == b""
    assert shares == sorted(shares)
    assert 0.0 < shares[0] < 0.5
    assert shares[-1] == 1.0


@pytest.mark.parametrize("kind", ["INT8", "FLOAT8E4M3FN"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_quantised_file_builds(api: Api, tmp_path: Path, precision: str, kind: str) -> None:
    path = weights_files(4)[1]
    names = [f"reconstruction.body.{k}.conv1.weight" for k in range(5)]
    onnx.save(
        with_qdq(onnx.load(path), names, onnx.TensorProto.DataType.Value(kind)),
        tmp_path / path.name,
    )
    variant = OnnxVariant("enhance", 4, 32, precision=precision)
    assert len(build(api, make_variant(tmp_path / path.name, variant)).plan) > 500_000


def test_what_the_parser_refuses_is_one_line(api: Api) -> None:
    with pytest.raises(BuildError, match=r"^tensorrt-rtx [0-9.]+ cannot read the network: .*ONNX"):
        build(api, b"junk")
    # an operator of the paper's deformable alignment
    model = onnx.load_from_string(shipped("encode"))
    model.graph.node[-1].op_type = "DeformConv"
    with pytest.raises(BuildError, match=r"cannot read the network: .*Plugin not found"):
        build(api, model.SerializeToString())


def test_a_build_can_be_stopped(api: Api) -> None:
    with pytest.raises(BuildError, match=r"built no engine: it was stopped$"):
        build(api, shipped("encode"), progress=lambda share: share < 0.3)


def test_other_threads_run_while_it_builds(api: Api) -> None:
    model, gaps = shipped("enhance"), [0.0]
    thread = threading.Thread(target=build, args=(api, model))
    thread.start()
    last = time.monotonic()
    while thread.is_alive():
        time.sleep(0.001)
        gaps.append(time.monotonic() - last)
        last += gaps[-1]
    assert len(gaps) > 20
    assert sum(gap for gap in gaps if gap > 0.1) < 0.5 * sum(gaps)


def test_the_guard_sees_what_the_parser_made_of_sampling(api: Api) -> None:
    """The real parser's layers, then with another mode, as other versions have read it."""
    trt = api.module
    log = module.make_logger(api)
    builder = trt.Builder(log)
    network = parse(api, builder, log, shipped("enhance"))
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    (layer,) = [layer for layer in layers if layer.type == trt.LayerType.GRID_SAMPLE]
    check_sampling(api, network)
    layer.__class__ = trt.IGridSampleLayer
    layer.interpolation_mode = trt.InterpolationMode.NEAREST
    with pytest.raises(BuildError, match=r"misreads GridSample: interpolation_mode is .*NEAREST"):
        check_sampling(api, network)
    layer.interpolation_mode = trt.InterpolationMode.LINEAR
    layer.align_corners = True
    with pytest.raises(BuildError, match=r"misreads GridSample: align_corners is True, not False"):
        check_sampling(api, network)


def test_a_network_that_samples_otherwise_is_not_built(api: Api) -> None:
    model = onnx.load_from_string(shipped("enhance"))
    (node,) = [node for node in model.graph.node if node.op_type == "GridSample"]
    for attribute in node.attribute:
        if attribute.name == "mode":
            attribute.s = b"nearest"
    with pytest.raises(BuildError, match="misreads GridSample"):
        build(api, model.SerializeToString())


def test_without_a_driver_a_plan_is_refused_and_not_a_crash(api: Api) -> None:
    from engines.tensorrt.card import Card

    try:
        Card()
    except UnavailableError:
        log = module.make_logger(api)
        runtime = api.module.Runtime(log)
        assert runtime.deserialize_cuda_engine(build(api, shipped("encode")).plan) is None
        assert log.errors
    else:
        pytest.skip("this machine has a card")


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            ImportError("no such thing\nsecond line"),
            r"cannot be loaded \(ImportError: no such thing\)",
        ),
        (OSError("libnvinfer.so.11: cannot open"), r"\(OSError: libnvinfer.so.11: cannot open\)"),
        (SimpleNamespace(__version__="10.0.1"), r"tensorrt 10.0.1 is older than 10.13"),
    ],
)
def test_a_missing_module_says_what_to_install(
    found: Any, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(UnavailableError, match=line) as raised:
        load_api("tensorrt")
    commands = [install_command("tensorrt", upgrade=upgrade) for upgrade in (False, True)]
    assert any(command in str(raised.value) for command in commands)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("scale", SCALES)
def test_every_shipped_int8_file_builds(api: Api, scale: int, half: str) -> None:
    files = quantised_files(scale)
    if files is None:
        pytest.skip("no INT8 weights are shipped for these float32 ones")
    variant = OnnxVariant(half, scale, 32 if scale == 4 else 16)
    model = make_variant(files[HALVES.index(half)], variant)
    kinds = [node.op_type for node in onnx.load_from_string(model).graph.node]
    assert kinds.count("DequantizeLinear") > 20
    assert len(build(api, model).plan) > 100_000


def test_whether_a_module_is_installed_is_found_without_loading_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorrt_rtx_bindings.py").write_text("raise ImportError('loaded')")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    assert is_installed("tensorrt-rtx")
    assert not is_installed("tensorrt")
