"""The benchmark: its contract in JSON and Markdown, with and without PyTorch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines import benchmark, runtime
from engines.runtime import UnavailableError, WeightsError

SHORT = ["--scales", "4", "--buckets", "16", "--exemplars", "0", "2", "--repeat", "2"]
CONTRACT = {
    "runtime",
    "precision",
    "scale",
    "bucket",
    "exemplars",
    "align_ms",
    "encode_ms",
    "enhance_ms",
    "naive_ms",
    "ratio",
    "psnr_to_fp32",
}


class Missing:
    """A runtime whose package is not installed."""

    name = "abacus"
    precisions = ("fp32",)

    def __init__(self, scale: int, precision: str | None = None) -> None:
        raise UnavailableError("no beads; install them with: pip install beads")


@pytest.fixture(autouse=True)
def two_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = (
        ("abacus", "tests.engines.test_benchmark:Missing"),
        ("onnxruntime-cpu", "engines.runtimes.onnxruntime_cpu:OnnxRuntimeCpu"),
    )
    for module in (benchmark, runtime):
        monkeypatch.setattr(module, "RUNTIMES", choices)


def test_rows_hold_what_the_contract_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="the train extra is not installed")
    path = tmp_path / "bench.json"
    assert benchmark.main([*SHORT, "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert min(written["peak_gflops"][kind] for kind in ("fp32", "bf16")) > 0
    notes = written["not_measured"]
    assert notes[0] == "abacus fp32: no beads; install them with: pip install beads"
    assert all(line.startswith("onnxruntime-cpu int8: no INT8 weights") for line in notes[1:])
    none, two = (row for row in written["rows"] if row["precision"] == "fp32")
    assert none.keys() >= CONTRACT
    assert none["encode_ms"] is none["align_ms"] is None
    assert two["encode_ms"] > 0 < two["align_ms"]
    assert (two["runtime"], two["precision"], two["scale"], two["bucket"]) == (
        "onnxruntime-cpu",
        "fp32",
        4,
        16,
    )
    for row in (none, two):
        assert row["ratio"] == pytest.approx(row["enhance_ms"] / row["naive_ms"])
        assert row["enhance_ms"] <= row["enhance_p95_ms"] <= row["enhance_p99_ms"]
        assert row["psnr_to_fp32"] >= 80
        assert row["gmacs_per_s"] > 0
    out = capsys.readouterr().out
    assert "| onnxruntime-cpu | fp32 | 16 px x4 | 2 |" in out
    assert "not measured: abacus fp32: no beads" in out


def test_without_pytorch_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "engines.hime.reference", None)
    path = tmp_path / "bench.json"
    assert benchmark.main([*SHORT, "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert written["peak_gflops"]["fp32"] > 0
    assert written["peak_gflops"]["bf16"] is None
    for row in written["rows"]:
        assert row["naive_ms"] is row["ratio"] is row["psnr_to_fp32"] is None
        assert row["enhance_ms"] > 0
    assert "PyTorch is not installed" in capsys.readouterr().out


def test_arithmetic_is_counted() -> None:
    pytest.importorskip("torch", reason="the train extra is not installed")
    from engines.hime.reference import Reference

    encode, enhance = Reference(4).gmacs(32, 3)
    assert Reference(4).gmacs(64, 3) == pytest.approx((4 * encode, 4 * enhance))
    assert encode + enhance == pytest.approx(1.02, abs=0.05)  # of docs/architecture.md
    assert Reference(4).gmacs(32, 0)[0] == 0


def test_exemplars_are_aligned_to_the_crop() -> None:
    crop, moved = benchmark.unaligned(32, 4, 2)
    crop, aligned = benchmark.pictures(32, 4, 2)
    assert [one.shape for one in aligned] == [(128, 128, 4)] * 2

    def apart(exemplar: runtime.Image) -> float:
        small = cv2.resize(exemplar[..., :3], crop.shape[:2], interpolation=cv2.INTER_AREA)
        return float(np.abs(small.astype(float) - crop).mean())

    for before, after in zip(moved, aligned, strict=True):
        assert apart(after) < 0.7 * apart(before)
        assert 100 < float(after[..., 3].mean()) < 255
    assert benchmark.pictures(32, 4, 0)[1] == []


def test_floats_and_pictures_are_compared() -> None:
    class Same:
        name, scale = "same", 4

        def __init__(self, levels: int) -> None:
            self.levels = levels

        def encode(self, exemplars: list[runtime.Image]) -> runtime.Features:
            return ()

        def at_once(self, bucket: int, *, soon: bool = False) -> bool:
            return True

        def enhance(self, crop: runtime.Image, features: object) -> runtime.Image:
            return np.full((64, 64, 3), 100 + self.levels, np.uint8)

        def __enter__(self) -> Same:
            return self

        def __exit__(self, *_: object) -> None: ...

    reference = np.full((3, 64, 64), 100.2 / 255, np.float32)
    crop, known = benchmark.pictures(16, 4, 1)
    assert benchmark.psnr_to(reference, Same(0), crop, known) == benchmark.SAME_DB
    assert benchmark.psnr_to(reference, Same(1), crop, known) == pytest.approx(48.13, abs=0.01)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--buckets", "15"], "must be even"),
        (["--repeat", "0"], "--repeat must be at least 1"),
        (["--exemplars", "-1"], "--exemplars at least 0"),
        (["--runtimes", "sliderule"], "invalid choice"),
        (["--json", "nowhere/b.json"], "no folder nowhere"),
    ],
)
def test_wrong_options_are_refused(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        benchmark.parse(argv)
    assert words in capsys.readouterr().err


def test_missing_weights_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(scale: int) -> None:
        raise WeightsError("no manifest of weights")

    monkeypatch.setattr(benchmark, "open_reference", missing)
    assert benchmark.main(SHORT) == 2
    assert capsys.readouterr().err == "error: no manifest of weights\n"
