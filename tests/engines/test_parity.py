"""Every runtime, in every precision, gives the picture that PyTorch gives in FP32.

A runtime that cannot run here skips with its own reason. Sampling positions are where precision is
lost, so besides the shipped weights there are shaken ones, which move detail by several pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

pytest.importorskip("torch", reason="the train extra is not installed")
pytest.importorskip("onnx", reason="the train extra is not installed")

import onnx
from onnx import numpy_helper

from engines.benchmark import pictures, psnr_to
from engines.hime.reference import Reference
from engines.runtime import BUCKETS as ASKED_FOR
from engines.runtime import RUNTIMES, SCALES, Runtime, UnavailableError, runtime_class
from engines.weights.manifest import (
    HALVES,
    MANIFEST,
    WEIGHTS,
    network_name,
    quantised_files,
    sha256,
    weights_files,
)

LEAST_DB = {"fp32": 80.0, "fp16": 50.0, "bf16": 45.0, "int8": 40.0}
MOST_LEVELS = {"fp32": 1, "fp16": 4, "bf16": 12, "int8": 16}
"""Largest difference between 8-bit pictures."""
KINDS = [(name, kind) for name, _ in RUNTIMES for kind in runtime_class(name).precisions]
BUCKETS = {4: (16, 32, 48), 8: (16, 24, 32)}
CASES = [(s, b, n) for s in SCALES for b in BUCKETS[s] for n in (0, 1, 3)]
CASES += [(scale, max(sides), 3) for scale, sides in ASKED_FOR.items()]

OPERATORS = {
    "encode": "Add AveragePool Concat Conv Div LeakyRelu Mul Pad ReduceMean ReduceSum Relu Reshape "
    "Shape Slice Squeeze Sub Transpose Unsqueeze",
    "enhance": "Add Cast Concat Conv DepthToSpace Div Gather GridSample LeakyRelu Mul Pad Range "
    "ReduceSum Relu Reshape Shape Sigmoid Split Squeeze Sub Tanh Transpose Unsqueeze",
}
ATTRIBUTES: dict[tuple[str, str], list[object]] = {
    ("DepthToSpace", "mode"): [b"CRD"],
    ("Pad", "mode"): [b"edge"],
    ("AveragePool", "ceil_mode"): [0],
    ("AveragePool", "auto_pad"): [b"NOTSET"],
    ("AveragePool", "pads"): [[0, 0, 0, 0]],
    ("Conv", "auto_pad"): [b"NOTSET"],
    ("Conv", "dilations"): [[1, 1]],
    # anything else takes ONNX Runtime seven times as long
    ("GridSample", "mode"): [b"bilinear"],
    ("GridSample", "padding_mode"): [b"zeros"],
    ("GridSample", "align_corners"): [0],
    # of sizes alone: whole numbers that become float32
    ("Cast", "to"): [onnx.TensorProto.FLOAT],
}


def shake(folder: Path) -> None:
    """Copy the shipped networks with larger weights and offsets of several pixels.

    They stay within their bound, a tanh: at the bound a position is the same in any precision.
    """
    networks: dict[str, dict[str, dict[str, str]]] = {}
    for scale in SCALES:
        files = {}
        for path in weights_files(scale, WEIGHTS):
            model = onnx.load(path)
            for tensor in model.graph.initializer:
                if not tensor.name.endswith((".weight", ".bias")):
                    continue
                rng = np.random.default_rng(crc32(tensor.name.encode()))  # the halves share some
                value = numpy_helper.to_array(tensor)
                spread = 0.05 if tensor.name.startswith("transfer.out.") else 0.03
                shaken = value + rng.normal(0, spread, value.shape).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(shaken, tensor.name))
            onnx.save(model, folder / path.name)
            files[path.name] = sha256(folder / path.name)
        networks[network_name(scale)] = {"files": files}
    (folder / MANIFEST).write_text(json.dumps({"networks": networks}))


class Bench:
    """Opened runtimes and right answers, each made once."""

    def __init__(self) -> None:
        self._runtimes: dict[tuple[str, str, int], Runtime | UnavailableError] = {}
        self._references: dict[int, Reference] = {}
        self._right: dict[tuple[int, int, int], np.ndarray] = {}

    def runtime(self, name: str, precision: str, scale: int) -> Runtime:
        """Skips the test where it cannot run."""
        key = (name, precision, scale)
        if key not in self._runtimes:
            try:
                self._runtimes[key] = runtime_class(name)(scale, precision)
            except UnavailableError as error:
                self._runtimes[key] = error
        opened = self._runtimes[key]
        if isinstance(opened, UnavailableError):
            pytest.skip(f"{name} {precision}: {opened}")
        return opened

    def right(self, scale: int, bucket: int, exemplars: int) -> np.ndarray:
        """The FP32 network's picture, float32 (3, H, W)."""
        key = (scale, bucket, exemplars)
        if key not in self._right:
            if scale not in self._references:
                self._references[scale] = Reference(scale)
            crop, known = pictures(bucket, scale, exemplars)
            self._right[key] = self._references[scale].enhance_float(crop, known)
        return self._right[key]

    def close(self) -> None:
        for runtime in self._runtimes.values():
            if not isinstance(runtime, UnavailableError):
                runtime.__exit__(None, None, None)


@pytest.fixture(scope="module", params=["shipped", "shaken"])
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    made = Bench()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "shaken":
            folder = tmp_path_factory.mktemp("shaken")
            shake(folder)
            for shipped in (weights_files, quantised_files):
                patch.setattr(shipped, "__defaults__", (folder,))
        yield made
        made.close()


@pytest.mark.parametrize(("scale", "bucket", "exemplars"), dict.fromkeys(CASES))
@pytest.mark.parametrize(("name", "precision"), KINDS)
def test_parity(
    bench: Bench, name: str, precision: str, scale: int, bucket: int, exemplars: int
) -> None:
    runtime = bench.runtime(name, precision, scale)
    right = bench.right(scale, bucket, exemplars)
    crop, known = pictures(bucket, scale, exemplars)
    assert psnr_to(right, runtime, crop, known) >= LEAST_DB[precision]
    picture = runtime.enhance(crop, runtime.encode(known) if known else None)
    levels = np.clip(right, 0, 1).transpose(1, 2, 0) * 255
    assert np.abs(picture - levels).max() <= MOST_LEVELS[precision]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("scale", SCALES)
def test_exported_graphs_use_only_what_the_runtimes_document(scale: int, half: str) -> None:
    model = onnx.load(WEIGHTS / f"{network_name(scale)}.{half}.onnx")
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 19)}
    assert {node.op_type for node in model.graph.node} <= set(OPERATORS[half].split())
    assert {node.domain for node in model.graph.node} == {""}
    # one type for what is computed and one for sizes
    types = {tensor.data_type for tensor in model.graph.initializer}
    assert types <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    for node in model.graph.node:
        for attribute in node.attribute:
            allowed = ATTRIBUTES.get((node.op_type, attribute.name))
            value: object = onnx.helper.get_attribute_value(attribute)
            assert allowed is None or value in allowed, f"{node.name}: {attribute.name} = {value}"
