"""Variants of the ONNX files: the same pictures, other operators, types and borders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.onnx_variants import variants
from engines.onnx_variants.graph_surgery import fix_shapes
from engines.onnx_variants.variants import FEATURES, OnnxVariant, make_variant, ports
from engines.runtime import SCALES
from engines.runtimes.cpu import to_unit
from engines.tensorrt.bucket import probe_pictures
from engines.weights.manifest import HALVES, weights_files

Array = NDArray[Any]
LEAST_DB = {"fp32": 80.0, "fp16": 50.0}


@pytest.fixture(scope="module", params=["shipped", "lively"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """By scale: the shipped halves; and halves that move the exemplars' detail by several pixels,
    show it twice as strong, and make their own as strong as the picture, so that an error in them
    cannot hide."""
    halves = {scale: weights_files(scale) for scale in SCALES}
    if request.param == "shipped":
        return halves
    folder, rng = tmp_path_factory.mktemp("lively"), np.random.default_rng(0)
    for scale, paths in halves.items():
        for path in paths:
            model = onnx.load(path)
            for tensor in model.graph.initializer:
                value = numpy_helper.to_array(tensor)
                if tensor.name == "transfer.out.weight":
                    value = value + 0.1 * rng.standard_normal(value.shape).astype(np.float32)
                elif tensor.name == "transfer.out.bias":
                    value = value + rng.standard_normal(value.shape).astype(np.float32)
                elif tensor.name == "reconstruction.gain.bias":
                    value = value + np.float32(3)
                elif tensor.name == "reconstruction.last.weight":
                    value = value * np.float32(4)
                tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
            onnx.save(model, folder / path.name)
        halves[scale] = (folder / paths[0].name, folder / paths[1].name)
    return halves


def run(model: bytes, given: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return [np.asarray(result) for result in session.run(None, given)]


def unit(pictures: list[Any]) -> Array:
    return np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def psnr(a: Array, b: Array, peak: float = 1.0) -> float:
    error = float(np.square(a.astype(np.float64) - b).mean())
    return float(10 * np.log10(peak**2 / max(error, 1e-30)))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(("scale", "bucket"), [(4, 24), (8, 16)])
def test_forms_make_the_same_pictures(
    files: dict[int, tuple[Path, Path]], scale: int, bucket: int, precision: str
) -> None:
    crop, exemplars = probe_pictures(bucket, scale)
    whole = [path.read_bytes() for path in files[scale]]
    variants = [
        make_variant(path, OnnxVariant(half, scale, bucket, precision=precision, pixels=False))
        for half, path in zip(HALVES, files[scale], strict=True)
    ]
    features = run(whole[0], {"exemplars": unit(exemplars)})
    made = run(variants[0], {"exemplars": unit(exemplars)})
    for a, b in zip(made, features, strict=True):
        assert a.dtype == (np.float16 if precision == "fp16" else np.float32)
        assert psnr(a, b, float(np.abs(b).max())) > LEAST_DB[precision]
    for validity in ([1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]):
        slots = np.array([validity], np.float32)
        given = {"crop": unit([crop]), "validity": slots}
        wanted = run(whole[1], given | dict(zip(FEATURES, features, strict=True)))[0]
        picture = run(variants[1], given | dict(zip(FEATURES, made, strict=True)))[0]
        assert picture.dtype == np.float32
        assert psnr(picture, wanted) > LEAST_DB[precision]


def test_pictures_as_bytes(files: dict[int, tuple[Path, Path]]) -> None:
    """The scaling and rounding in the graph are those of the CPU runtime."""
    crop, exemplars = probe_pictures(16, 4)
    results = []
    for pixels in (False, True):
        encode, enhance = (
            make_variant(path, OnnxVariant(half, 4, 16, precision="fp32", pixels=pixels))
            for half, path in zip(HALVES, files[4], strict=True)
        )
        features = run(encode, {"exemplars": np.stack(exemplars) if pixels else to_unit(exemplars)})
        given = {
            "crop": crop[None] if pixels else to_unit([crop]),
            "validity": np.ones((1, 3), np.float32),
            **dict(zip(FEATURES, features, strict=True)),
        }
        results.append(run(enhance, given)[0])
    floats, made = results
    assert made.dtype == np.uint8
    rounded = (np.clip(floats, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)
    assert np.array_equal(made, rounded)


def test_a_form_is_static_and_strongly_typed() -> None:
    for half, path in zip(HALVES, weights_files(4), strict=True):
        made = make_variant(path, OnnxVariant(half, 4, 32))
        model = onnx.shape_inference.infer_shapes(
            onnx.load_from_string(made), strict_mode=True, check_type=True
        )
        kinds = {o.op_type for o in model.graph.node}
        assert not kinds & {"Shape", "Range", "Constant"}
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
            assert all(side.dim_value > 0 for side in value.type.tensor_type.shape.dim)
        convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
        types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
        wide = [n for n in convolutions if types[n.output[0]] == TensorProto.FLOAT]
        weights = {t.name: t for t in model.graph.initializer}
        # bicubic enlargement alone: of the exemplars' luma; of the camera's picture and of offsets
        assert [weights[n.input[1]].dims[2] for n in wide] == [5] * (2 if half == "enhance" else 1)
        quotients = [n for n in model.graph.node if n.op_type in ("Div", "ReduceSum", "Tanh")]
        assert {types[n.output[0]] for n in quotients} == {TensorProto.FLOAT}
        for node in model.graph.node:
            if node.op_type == "GridSample":
                assert {types[name] for name in node.input} == {TensorProto.FLOAT}
                modes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
                assert modes == {"mode": b"bilinear", "padding_mode": b"zeros", "align_corners": 0}
        assert make_variant(path, OnnxVariant(half, 4, 32)) == made, (
            "a cache needs the same bytes again"
        )


def test_ports_tell_shapes_types_and_directions() -> None:
    found = ports(make_variant(weights_files(8)[1], OnnxVariant("enhance", 8, 16)))
    assert found == {
        "crop": ((1, 16, 16, 3), np.uint8, True),
        "hr": ((3, 32, 16, 16), np.float16, True),
        "query": ((3, 97, 16, 16), np.float16, True),
        "validity": ((1, 3), np.float32, True),
        "picture": ((1, 128, 128, 3), np.uint8, False),
    }
    found = ports(make_variant(weights_files(4)[0], OnnxVariant("encode", 4, 16, 2, "fp32")))
    assert found == {
        "exemplars": ((2, 64, 64, 4), np.uint8, True),
        "hr": ((2, 32, 16, 16), np.float32, False),
        "query": ((2, 49, 16, 16), np.float32, False),
    }


def test_what_stays_in_float32_is_worth_it() -> None:
    """A variant that is float16 throughout is much further away, most with the largest crop."""
    files = weights_files(4)
    crop, exemplars = probe_pictures(160, 4)
    features = run(files[0].read_bytes(), {"exemplars": unit(exemplars)})
    given = {"crop": unit([crop]), "validity": np.ones((1, 3), np.float32)}
    given |= dict(zip(FEATURES, features, strict=True))
    wanted = run(files[1].read_bytes(), given)[0]
    halves = {name: given[name].astype(np.float16) for name in FEATURES}
    quality = []
    for throughout in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if throughout:
                patch.setattr(variants, "_kept", lambda model: set())
            made = make_variant(files[1], OnnxVariant("enhance", 4, 160, pixels=False))
        quality.append(psnr(run(made, given | halves)[0], wanted))
    assert quality[0] > quality[1] + 10


def test_another_network_has_no_half_precision() -> None:
    """One whose exemplars are not sampled once and weighed twice."""
    model = onnx.load(weights_files(4)[1])
    form = OnnxVariant("enhance", 4, 16)
    fixed = fix_shapes(model, form.sizes(variants.feature_channels(model)))
    for node in fixed.graph.node:
        if node.op_type == "Tanh":
            node.op_type = "Sigmoid"
    with pytest.raises(ValueError, match="not sampled and weighed as in HIME"):
        variants.with_half(fixed)


def with_qdq(
    model: ModelProto,
    names: list[str],
    kind: int = TensorProto.INT8,
    step: float = 0.02,
    zero: int = 0,
) -> ModelProto:
    """Q/DQ pairs around the inputs and weights of some convolutions: symmetric INT8 or FP8."""
    graph, nodes = model.graph, []
    scale = numpy_helper.from_array(np.array(step, np.float32), "q/scale")
    graph.initializer.extend([scale, helper.make_tensor("q/zero", kind, [], [zero])])
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in names:
            for i in range(2):
                q, dq = f"q/{i}/{node.output[0]}", f"dq/{i}/{node.output[0]}"
                rest = ["q/scale", "q/zero"]
                nodes.append(helper.make_node("QuantizeLinear", [node.input[i], *rest], [q]))
                nodes.append(helper.make_node("DequantizeLinear", [q, *rest], [dq]))
                node.input[i] = dq
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return model


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_quantised_file_stays_quantised(tmp_path: Path, precision: str) -> None:
    path = weights_files(4)[1]
    names = [f"reconstruction.body.{k}.conv1.weight" for k in range(5)]
    onnx.save(with_qdq(onnx.load(path), names), tmp_path / path.name)
    made = make_variant(tmp_path / path.name, OnnxVariant("enhance", 4, 16, precision=precision))
    kinds = [node.op_type for node in onnx.load_from_string(made).graph.node]
    assert kinds.count("QuantizeLinear") == kinds.count("DequantizeLinear") == 10


def test_unsigned_levels_are_read_as_signed_ones(tmp_path: Path) -> None:
    """The same picture; and what is not in the middle has no signed reading."""
    path = weights_files(4)[1]
    names = [f"reconstruction.body.{k}.conv1.weight" for k in range(3)]
    given = {v.name: np.ones((1, 3), np.float32) for v in onnx.load(path).graph.input}
    rng = np.random.default_rng(0)
    for name, channels in variants.feature_channels(onnx.load(path)).items():
        given[name] = rng.normal(0, 0.3, (3, channels, 16, 16)).astype(np.float32)
    # its last channel is the confidence, which a mean is divided by
    given["query"][:, -1] = rng.random((3, 16, 16), np.float32)
    given["crop"] = rng.random((1, 3, 16, 16), np.float32)
    made = []
    for kind, zero in ((TensorProto.INT8, 0), (TensorProto.UINT8, 128), (TensorProto.UINT8, 7)):
        model = with_qdq(onnx.load(path), names, kind, zero=zero)
        onnx.save(model, tmp_path / path.name)
        if zero == 7:
            with pytest.raises(ValueError, match=r"q/zero is not in the middle: 7"):
                make_variant(tmp_path / path.name, OnnxVariant("enhance", 4, 16))
        else:
            variant = OnnxVariant("enhance", 4, 16, precision="fp32", pixels=False)
            made.append(make_variant(tmp_path / path.name, variant))
    signed, unsigned = (run(one, given)[0] for one in made)
    assert np.array_equal(signed, unsigned)
    assert 20 < psnr(signed, run(path.read_bytes(), given)[0]) < 80


@pytest.mark.parametrize("content", [b"", b"\x08\x0ano network", "other"])
def test_another_file_is_one_line(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "hime_x4.enhance.onnx"
    other = weights_files(4)[0].read_bytes()
    path.write_bytes(other if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=r"^hime_x4.enhance.onnx is no half of the network: .+$"):
        make_variant(path, OnnxVariant("enhance", 4, 32))


@pytest.mark.parametrize(
    "variant",
    [
        {"half": "decode", "bucket": 32},
        {"half": "encode", "bucket": 31},
        {"half": "encode", "bucket": 32, "precision": "int4"},
        {"half": "encode", "bucket": 32, "slots": 0},
    ],
)
def test_a_form_that_does_not_exist(variant: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"half must be|no network of|precision must be"):
        OnnxVariant(scale=4, **variant)
