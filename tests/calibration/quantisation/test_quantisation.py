"""INT8: the real shipped network, few layers of it, and what is said of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the calibration extra is not installed")

import onnx

from calibration.quantisation import __main__ as quantize
from calibration.quantisation import layers, material
from calibration.quantisation.int8_report import Report, markdown
from calibration.quantisation.int8_speed import Way, gain
from calibration.quantisation.layers import Exact, Layer, Measured, Quantiser
from calibration.quantisation.material import Sample, make_samples
from engines.hime.people import Person
from engines.onnx_variants.variants import OnnxVariant, make_variant
from engines.runtime import UnavailableError, WeightsError, open_runtime
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.tensorrt.build import load_api
from engines.weights import manifest
from engines.weights.manifest import WEIGHTS, network_name, quantised_files, sha256, weights_files
from stream.stages.tracking import detector_weights
from tests.calibration.quantisation.quantisation_material import recorded, three_people
from tests.engines.onnx_variants.test_variants import psnr

SEVEN_BITS = 64
"""255 * 64 * 2 is less than 2^15."""


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return three_people()


@pytest.fixture(scope="module")
def exact(people: list[Person]) -> Exact:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "SIZES", {4: (16, 24)})
        samples = make_samples(people, 4, 3, seed=1)
    bare = Sample(samples[0].crop, (), samples[0].truth)
    return Exact.of(4, weights_files(4), [*samples, bare])


@pytest.fixture(scope="module")
def quantiser(exact: Exact, tmp_path_factory: pytest.TempPathFactory) -> Quantiser:
    return Quantiser(exact, tmp_path_factory.mktemp("int8"), 99.99)


def all_layers() -> list[Layer]:
    return [
        layer
        for half, path in zip(manifest.HALVES, weights_files(4), strict=True)
        for layer in layers.convolutions(path, half, 4)
    ]


def body(number: int) -> list[Layer]:
    return [one for one in all_layers() if one.weight.startswith("reconstruction.body")][:number]


def head() -> Layer:
    """The first layer, which is no candidate."""
    weight = "lr_features.head.weight"
    nodes = onnx.load(weights_files(4)[1]).graph.node
    (node,) = (n for n in nodes if n.op_type == "Conv" and n.input[1] == weight)
    return Layer("enhance", node.name, weight, macs=48 * 48 * 32 * 3 * 9)


def test_all_learnt_convolutions_but_what_nothing_smooths_are_candidates() -> None:
    found = all_layers()
    assert len({(one.half, one.weight) for one in found}) == len(found)
    names = {one.weight for one in found}
    learnt = {
        node.input[1]
        for path in weights_files(4)
        for node in onnx.load(path).graph.node
        if node.op_type == "Conv" and node.input[1].endswith(".weight")
    }
    kept = learnt - names
    assert {one.split(".")[0] for one in kept} == {"lr_features", "transfer", "reconstruction"}
    assert {one for one in kept if not one.startswith("transfer.")} == {
        "lr_features.head.weight",
        "reconstruction.gain.weight",
        "reconstruction.last.weight",
    }
    assert not any(one.startswith("transfer.") for one in names), "positions stay exact"
    by_name = {one.weight: one.macs for one in found if one.half == "enhance"}
    assert by_name["reconstruction.body.0.conv1.weight"] == 48 * 48 * 32 * 32 * 9
    assert by_name["aggregation.g1.weight"] == 3 * 48 * 48 * 32 * 32 * 9


def test_quantised_layers_have_the_form_that_all_runtimes_take(
    exact: Exact, quantiser: Quantiser
) -> None:
    files = quantiser.files(body(3))
    assert files[0] == exact.files[0], "a half without quantised layers is the file itself"
    model = onnx.load(files[1])
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    points = {n.input[2] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    assert points
    for name in points:
        assert weights[name].dtype == np.uint8
        assert weights[name] == 128
    narrow = [w for w in weights.values() if w.dtype == np.int8 and w.ndim == 4]
    assert len(narrow) == 3
    assert max(np.abs(w).max() for w in narrow) <= SEVEN_BITS
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("GridSample") == 1
    near = layers.decibel(exact.mse(files))
    assert 40 < near < 90


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("*.int8.*.onnx")), ids=lambda path: path.name)
def test_two_products_of_shipped_weights_fit_into_16_bits(path: Path) -> None:
    """Processors without VNNI add them there, and cut off what is larger."""
    tensors = (onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer)
    narrow = [one for one in tensors if one.dtype == np.int8 and one.ndim == 4]
    assert narrow
    assert max(np.abs(one).max() for one in narrow) <= SEVEN_BITS


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_picture_that_is_shown_is_not_rounded(quantiser: Quantiser, precision: str) -> None:
    """The first layer reads the camera's picture in INT8; enlarged is the picture itself."""
    path = quantiser.files([head()])[1]
    nodes = onnx.load(path).graph.node
    readers = {n.op_type for n in nodes if "crop" in n.input}
    assert {"Pad", "QuantizeLinear"} <= readers
    rounded = {n.output[0] for n in nodes if n.input[0] == "crop_QuantizeLinear_Output"}
    assert len(rounded) == 1
    assert {n.op_type for n in nodes if rounded & set(n.input)} == {"Conv"}
    made = make_variant(path, OnnxVariant("enhance", 4, 16, precision=precision))
    kinds = [n.op_type for n in onnx.load_from_string(made).graph.node]
    assert kinds.count("QuantizeLinear") == 2


def test_more_layers_cost_more_and_the_first_one_most(exact: Exact, quantiser: Quantiser) -> None:
    """It reads the camera's picture itself: what it loses, nothing after it can know."""
    few, many = (exact.mse(quantiser.files(body(n))) for n in (1, 12))
    assert many > few
    one = body(1)
    alone = {m.layer.weight: m.price for m in layers.scan(exact, quantiser, [*one, head()])}
    assert alone[head().weight] > 10 * alone[one[0].weight]


def test_layers_are_chosen_as_long_as_the_truth_allows(exact: Exact, quantiser: Quantiser) -> None:
    measured = list(layers.scan(exact, quantiser, [*body(3), head()]))
    ordered = layers.by_price(measured)
    assert ordered[-1] == head()
    whole = layers.truth_loss(exact, quantiser.files(ordered))
    assert layers.choose(exact, quantiser, measured, whole) == (ordered, whole)
    fewer, loss = layers.choose(exact, quantiser, measured, whole - 1e-4)
    assert fewer == ordered[: len(fewer)] != ordered
    assert loss <= max(whole - 1e-4, 0.0)
    assert layers.choose(exact, quantiser, measured, -99.0) == ([], 0.0)


def test_runtimes_and_the_real_builder_take_the_files(exact: Exact, quantiser: Quantiser) -> None:
    encode = [one for one in all_layers() if one.half == "encode"][1:4]
    files = quantiser.files([*body(4), *encode], "whole")
    sample = exact.samples[0]
    pictures = []
    for name in ("onnxruntime-cpu", "openvino-cpu"):
        try:
            kind: type[OnnxRuntimeCpu] = engine_class(name)
            runtime = kind(4, "int8", 1, files)
        except UnavailableError as error:
            pytest.skip(str(error))
        with runtime:
            features = runtime.encode(list(sample.exemplars))
            pictures.append(np.array(runtime.enhance_float(sample.crop, features)))
    assert psnr(pictures[0], pictures[1]) > 40, "the same levels in both"
    assert psnr(pictures[0], exact.pictures[0]) > 40
    try:
        load_api("tensorrt-rtx")
    except UnavailableError as error:
        pytest.skip(str(error))
    assert "built by tensorrt-rtx" in quantize.try_tensorrt(files, 4)


def engine_class(name: str) -> type[OnnxRuntimeCpu]:
    from engines.runtime import runtime_class

    found: type[OnnxRuntimeCpu] = runtime_class(name)  # type: ignore[assignment]
    return found


def report() -> Report:
    ways = [
        Way("onnxruntime-cpu", "fp32", 30.0, 46.0, 13.0),
        Way("onnxruntime-cpu", "int8", 17.0, 26.0, 8.0),
        Way("openvino-cpu", "bf16", 16.0, 25.0, 13.0),
        Way("openvino-cpu", "int8", 16.0, 25.0, 13.0),
    ]
    measured = {"half": "enhance", "node": "n", "weight": "a.weight", "macs": 1}
    made = Report(
        *(4, "research", {"a": "1"}, {"b": "2"}, (3.6, 1.0), 4, 24, 50.0, 26.0, 25.98, 0.1, ways),
        *("built", ["tensorrt: no card"], 0.05),
    )
    made.layers = [measured | {"alone_db": 60.0, "int8": True}]
    return made


def test_int8_pays_where_it_is_faster_and_near_enough() -> None:
    one = report()
    assert one.pays()
    assert [one.pays_for(name) for name in one.runtimes()] == [True, False]
    assert gain(one.ways, "tensorrt") is None
    text = markdown(one)
    assert "- onnxruntime-cpu: pays; 0.57 of the time" in text
    assert "- openvino-cpu: does not pay; 1.00 of the time" in text
    assert "- not measured: tensorrt: no card" in text
    far = replace(one, truth_db_int8=25.94)
    assert not far.pays()


@pytest.mark.parametrize("kind", ["research", "open"])
def test_shipped_files_are_taken_until_the_float_ones_change(
    quantiser: Quantiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    weights, out = tmp_path / "weights", tmp_path / "out"
    shutil.copytree(WEIGHTS, weights)
    name = network_name(4, weights=kind)
    for half in manifest.HALVES:  # the research weights stand in for open ones
        path = weights / f"{name}.{half}.onnx"
        path.write_bytes((WEIGHTS / f"hime_x4.{half}.onnx").read_bytes())
    files = {path.name: sha256(path) for path in weights.glob(f"{name}.en*.onnx")}
    card = json.loads((weights / manifest.MANIFEST).read_text())
    card.pop("quantised", None)
    card["networks"][name] = {"files": files}
    (weights / manifest.MANIFEST).write_text(json.dumps(card))
    assert quantised_files(4, weights, weights=kind) is None
    out.mkdir()
    made = quantize._keep(quantiser.files(body(2)), name, out)
    one = replace(
        report(), weights=kind, files={path.name: sha256(path) for path in made}, of=files
    )
    quantize.ship([one], out, weights)
    found = quantised_files(4, weights, weights=kind)
    assert found is not None
    assert [path.name for path in found] == [path.name for path in made]
    monkeypatch.setattr(quantised_files, "__defaults__", (weights,))
    with open_runtime("onnxruntime-cpu", 4, "int8", kind).runtime as runtime:
        assert runtime.enhance(np.zeros((16, 16, 3), np.uint8), None).shape == (64, 64, 3)
    found[0].write_bytes(b"other")
    with pytest.raises(WeightsError, match="is not the file in the manifest"):
        quantised_files(4, weights, weights=kind)
    card = json.loads((weights / manifest.MANIFEST).read_text())
    card["networks"][name]["files"][f"{name}.enhance.onnx"] = "0"
    (weights / manifest.MANIFEST).write_text(json.dumps(card))
    with pytest.raises(
        UnavailableError, match=rf"no {kind} weights .* INT8 for x4; .*quantisation"
    ):
        open_runtime("onnxruntime-cpu", 4, "int8", kind)


def test_wrong_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quantize.main(["--data", str(tmp_path / "nobody")])
    assert "nobody does not exist" in capsys.readouterr().err
    out = ["--out", str(tmp_path / "out")]
    assert quantize.main(["--data", str(tmp_path), *out]) == 2
    (tmp_path / "call.mp4").write_bytes(b"no recording")
    assert quantize.main(["--data", str(tmp_path / "call.mp4"), *out]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") for line in lines)
    assert not (tmp_path / "out").exists()


def test_measured_price_is_error_for_work() -> None:
    layer = Layer("enhance", "n", "w", 1000)
    assert Measured(layer, 0.5).price == pytest.approx(0.0005)
    assert layers.decibel(0.01) == pytest.approx(20.0)


def test_a_recording_and_people_become_files_and_a_report(
    people: list[Person], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the command but for most layers, of which there are 81."""
    if not detector_weights.cached():
        pytest.skip("the face detection models are not in the cache")
    recorded(tmp_path / "call.mp4")
    for one in people:
        home = tmp_path / "others" / one.name
        home.mkdir(parents=True)
        for number, photo in enumerate(one.photos):
            cv2.imwrite(str(home / f"{number}.png"), photo[:, :, ::-1])
    real = layers.convolutions
    monkeypatch.setattr(layers, "convolutions", lambda *given: real(*given)[4:6])
    monkeypatch.setattr(layers, "PERCENTILES", (99.99,))
    monkeypatch.setattr(quantize, "QUICK", quantize.Effort(2, 1, 2, 1))
    monkeypatch.setattr(material, "SIZES", {4: (16, 24)})
    out = tmp_path / "out"
    command = ["--data", str(tmp_path / "call.mp4"), "--held-out", str(tmp_path / "others")]
    assert quantize.main([*command, "--scales", "4", "--quick", "--out", str(out)]) == 0
    (made,) = json.loads((out / "report.json").read_text())["reports"]
    # Two samples of the exemplars, and what the network was given in the recording.
    assert made["samples"] > 2
    assert (made["held_out_people"], made["held_out_samples"]) == (3, 2)
    assert made["db_to_float32"] > 40
    assert made["truth_db_float32"] > 15
    ran = {(way["runtime"], way["precision"]) for way in made["ways"]}
    assert {("onnxruntime-cpu", "fp32"), ("onnxruntime-cpu", "int8")} <= ran
    assert all(way["enhance_ms"] > 0 < way["encode_cpu_ms"] for way in made["ways"])
    text = (out / "report.md").read_text()
    for runtime, precision in ran:
        assert f"| {runtime} | {precision} | " in text
    for name, checksum in made["files"].items():
        assert sha256(out / name) == checksum
        onnx.checker.check_model(str(out / name))
