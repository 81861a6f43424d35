"""The default runtime on the shipped weights: shapes, use of exemplars, damaged files."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import engines.runtime
from engines.contract import RESEARCH
from engines.runtime import (
    SCALES,
    EngineError,
    NoRuntimeError,
    PassedOver,
    ProfileState,
    Runtime,
    UnavailableError,
    WeightsError,
    open_runtime,
)
from engines.speed_profile import HOW
from engines.weights import manifest
from engines.weights.manifest import (
    WEIGHTS,
    best_weights,
    network_name,
    quantised_files,
    read_manifest,
    sha256,
    weights_files,
    weights_used,
)
from stream.telemetry.report import passed_over_lines

Image = NDArray[np.uint8]


def smooth(side: int, seed: int, channels: int = 3) -> Image:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, channels)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def exemplar(side: int, seed: int) -> Image:
    """RGBA: as sure here and there as its picture is bright."""
    return smooth(side, seed, 4)


@pytest.fixture(scope="module", params=SCALES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return open_runtime("auto", request.param).runtime


@pytest.mark.parametrize("side", [16, 32, 48])
def test_enlarges_with_any_number_of_exemplars(runtime: Runtime, side: int) -> None:
    big = side * runtime.scale
    crop = smooth(side, 0)
    plain = cv2.resize(crop, (big, big), interpolation=cv2.INTER_CUBIC).astype(float)
    for count in (0, 1, 3, 5):
        features = runtime.encode([exemplar(big, 1 + k) for k in range(count)]) if count else None
        made = runtime.enhance(crop, features)
        assert made.shape == (big, big, 3)
        assert made.dtype == np.uint8
        assert made.flags.c_contiguous
        # other detail, the same picture
        assert np.abs(made - plain).mean() < 12


def test_exemplars_change_the_picture_and_stay_usable(runtime: Runtime) -> None:
    crop, big = smooth(32, 0), 32 * runtime.scale
    features = runtime.encode([exemplar(big, 1)])
    first = runtime.enhance(crop, features)
    runtime.enhance(smooth(32, 5), features)
    assert np.array_equal(runtime.enhance(crop, features), first)
    assert not np.array_equal(runtime.enhance(crop, None), first)


def test_wrong_pictures_are_refused(runtime: Runtime) -> None:
    features = runtime.encode([exemplar(32 * runtime.scale, 1)])
    for crop in (smooth(31, 0), smooth(32, 0)[:16], smooth(32, 0).astype(np.float32)):
        with pytest.raises(ValueError, match="a crop must be RGB uint8"):
            runtime.enhance(crop, features)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="features for a crop of 32 px, crop of 48 px"):
        runtime.enhance(smooth(48, 0), features)
    with pytest.raises(ValueError, match="at least one and of one size"):
        runtime.encode([])
    with pytest.raises(ValueError, match="an aligned exemplar must be RGBA"):
        runtime.encode([exemplar(33 * runtime.scale, 1)])
    with pytest.raises(ValueError, match="an aligned exemplar must be RGBA"):
        runtime.encode([smooth(32 * runtime.scale, 1)])


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(
        UnavailableError, match='no runtime is named "abacus"; choose one of auto, '
    ):
        open_runtime("abacus")


class Broken:
    """A runtime that cannot run here."""

    name = "broken"
    precisions = ("fp32",)

    def __init__(self, scale: int, precision: str | None = None) -> None:
        raise EngineError("no driver; install one")


CPU = ("onnxruntime-cpu", "engines.runtimes.onnxruntime_cpu:OnnxRuntimeCpu")


def test_auto_says_why_others_were_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        engines.runtime, "RUNTIMES", (("broken", "tests.engines.test_runtime:Broken"), CPU)
    )
    opened = open_runtime("auto", 4)
    assert opened.name == opened.runtime.name == "onnxruntime-cpu"
    assert opened.passed_over == (PassedOver("broken", "no driver; install one"),)
    assert opened.profile == ProfileState(None, f"none of this machine; {HOW}")
    assert passed_over_lines(opened) == [
        "speed profile passed over: none of this machine; the next start measures one, "
        "python -m calibration.speed more thoroughly",
        "broken passed over: no driver; install one",
    ]
    with caplog.at_level("WARNING"):
        open_runtime()  # quiet unless somebody wants to know
    assert not caplog.messages
    with pytest.raises(EngineError, match="no driver"):
        open_runtime("broken")


def test_auto_gives_up_with_all_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (
        ("broken", "tests.engines.test_runtime:Broken"),
        ("bad", "tests.engines.test_runtime:Broken"),
    )
    monkeypatch.setattr(engines.runtime, "RUNTIMES", broken)
    with pytest.raises(NoRuntimeError, match=r"no driver.*; bad passed over") as caught:
        open_runtime("auto")
    assert [one.name for one in caught.value.passed_over] == ["broken", "bad"]
    assert caught.value.profile is not None


def test_auto_does_not_pass_over_missing_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        engines.runtime, "RUNTIMES", (CPU, ("b", "tests.engines.test_runtime:Broken"))
    )
    monkeypatch.setattr(manifest.weights_files, "__defaults__", (Path("nowhere"),))
    with pytest.raises(WeightsError, match="no manifest"):
        open_runtime("auto")


@pytest.mark.parametrize("package", ["onnxruntime", "engines.runtimes.openvino_graph"])
def test_a_missing_package_is_passed_over(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    name, place = {"onnxruntime": CPU}.get(
        package, ("openvino-cpu", "engines.runtimes.openvino_cpu:OpenVinoCpu")
    )
    monkeypatch.setattr(engines.runtime, "RUNTIMES", ((name, place),))
    with pytest.raises(UnavailableError, match=f"{name} passed over: .* pip install"):
        open_runtime("auto")


def test_the_manifest_names_what_is_shipped() -> None:
    networks = read_manifest()["networks"]
    research = {network_name(s, kind, RESEARCH) for s in SCALES for kind in ("call", "clean")}
    openly = {network_name(s, weights="open") for s in SCALES}
    openly.add(network_name(4, weights="open", network="small"))
    assert set(networks) - openly == research
    quantised = read_manifest().get("quantised", {})
    assert quantised.keys() <= networks.keys()
    entries = [*networks.values(), *quantised.values()]
    shipped = {path.name for path in WEIGHTS.glob("*.onnx")}
    assert shipped == {name for entry in entries for name in entry["files"]}
    for entry in networks.values():
        assert {"data", "device", "minutes", "samples", "degradation"} <= entry["training"].keys()
        for name, checksum in entry["files"].items():
            assert sha256(WEIGHTS / name) == checksum
            assert (WEIGHTS / name).stat().st_size < 5_000_000


def test_each_damage_is_measured_with_the_weights_made_for_it() -> None:
    assert best_weights(4, "clean").name == "hime_x4_clean.enhance.onnx"
    assert best_weights(4, "call") == weights_files(4)[1]
    assert best_weights(8, "clean").name == "hime_x8_clean.enhance.onnx"
    assert best_weights(8, "call") == weights_files(8)[1]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "[" * 100_000),
        *('{"networks": []}', '{"networks": {"x": {}}}', '{"networks": {"x": []}}'),
        *('{"networks": {"x": {"files": []}}}', '{"networks": {}, "quantised": {"x": 1}}'),
    ],
)
def test_a_damaged_manifest_is_one_clear_line(text: str, tmp_path: Path) -> None:
    (tmp_path / manifest.MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=r"no manifest of weights; install Closeup again"):
        read_manifest(tmp_path)


def test_missing_and_foreign_weights_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no manifest of weights; install Closeup again"):
        weights_files(4, tmp_path)
    (tmp_path / manifest.MANIFEST).write_text(json.dumps({"networks": {}}))
    with pytest.raises(WeightsError, match="enlarge 4 times are installed; install Clo"):
        weights_files(4, tmp_path)
    shutil.copytree(WEIGHTS, tmp_path, dirs_exist_ok=True)
    encode, enhance = (path.name for path in weights_files(4))
    (tmp_path / enhance).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="is not the file in the manifest"):
        weights_files(4, tmp_path)
    (tmp_path / encode).unlink()
    with pytest.raises(WeightsError, match=f"{encode} is missing"):
        weights_files(4, tmp_path)
    with pytest.raises(ValueError, match="scale must be one of"):
        weights_files(3, tmp_path)


def test_open_weights_that_are_not_installed_are_missed_in_one_line(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    path = tmp_path / "weights" / manifest.MANIFEST
    found = json.loads(path.read_text())
    found["networks"] = {k: v for k, v in found["networks"].items() if "open" not in k}
    path.write_text(json.dumps(found))
    words = r"^no open weights that enlarge 4 times are installed; there are: research$"
    with pytest.raises(WeightsError, match=words):
        weights_files(4, tmp_path / "weights", weights="open")
    with pytest.raises(WeightsError, match=words):
        weights_used(folder=tmp_path / "weights", weights="open")
    research = weights_used(folder=tmp_path / "weights", weights=RESEARCH)
    assert research == weights_used(weights=RESEARCH)


def test_with_the_small_network_both_are_named() -> None:
    full, small = weights_used(), weights_used(network="small")
    assert full.items() < small.items(), "x8 and what runs on a card have the full one alone"
    assert set(small) - set(full) == {path.name for path in weights_files(4, network="small")}
    assert weights_used(network="full") == full


def test_open_weights_have_files_of_their_own(tmp_path: Path) -> None:
    """The shipped ones under another name stand in for open ones that differ from them."""
    found = json.loads((WEIGHTS / manifest.MANIFEST).read_text())
    for half in manifest.HALVES:
        path = tmp_path / f"hime_x8_open.{half}.onnx"
        shutil.copy(WEIGHTS / f"hime_x8.{half}.onnx", path)
    files = {path.name: sha256(path) for path in tmp_path.glob("*.onnx")}
    found["networks"] = {"hime_x8_open": {"files": files}}
    (tmp_path / manifest.MANIFEST).write_text(json.dumps(found))
    paths = weights_files(8, tmp_path, weights="open")
    assert [path.name for path in paths] == [
        f"hime_x8_open.{half}.onnx" for half in manifest.HALVES
    ]
    assert quantised_files(8, tmp_path, weights="open") is None


def test_runtimes_open_the_weights_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def files(scale: int, *, weights: str) -> tuple[Path, Path]:
        asked.append(weights)
        return weights_files(scale)

    monkeypatch.setattr("engines.runtimes.cpu.weights_files", files)
    for weights in ("open", "research"):
        with open_runtime("onnxruntime-cpu", 8, "fp32", weights).runtime as runtime:
            assert runtime.scale == 8
        assert asked[-1] == weights
