"""The default runtime on the shipped weights: shapes, use of exemplars, damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engines import manifest
from engines.manifest import WEIGHTS, read_manifest, sha256, weights_files
from engines.runtime import SCALES, Runtime, UnavailableError, WeightsError, open_runtime

Image = NDArray[np.uint8]


def smooth(side: int, seed: int) -> Image:
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module", params=SCALES)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return open_runtime("auto", request.param)


@pytest.mark.parametrize("side", [16, 32, 48])
def test_enlarges_with_any_number_of_exemplars(runtime: Runtime, side: int) -> None:
    big = side * runtime.scale
    crop = smooth(side, 0)
    plain = cv2.resize(crop, (big, big), interpolation=cv2.INTER_CUBIC).astype(float)
    for count in (0, 1, 3, 5):
        features = runtime.encode([smooth(big, 1 + k) for k in range(count)]) if count else None
        made = runtime.enhance(crop, features)
        assert made.shape == (big, big, 3)
        assert made.dtype == np.uint8
        assert made.flags.c_contiguous
        # other detail, the same picture
        assert np.abs(made - plain).mean() < 12


def test_exemplars_change_the_picture_and_stay_usable(runtime: Runtime) -> None:
    crop, big = smooth(32, 0), 32 * runtime.scale
    features = runtime.encode([smooth(big, 1)])
    first = runtime.enhance(crop, features)
    runtime.enhance(smooth(32, 5), features)
    assert np.array_equal(runtime.enhance(crop, features), first)
    assert not np.array_equal(runtime.enhance(crop, None), first)


def test_equals_the_network_it_was_exported_from(runtime: Runtime) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    from engines.hime.checkpoint import load_network
    from engines.hime.data import to_tensor

    network = load_network(weights_files(runtime.scale)[1])
    crop, big = smooth(32, 0), 32 * runtime.scale
    exemplars = [smooth(big, 1), smooth(big, 2), smooth(big, 3)]
    made = runtime.enhance(crop, runtime.encode(exemplars)).astype(float)
    with torch.inference_mode():
        own = network(to_tensor([crop]), to_tensor(exemplars)[None], torch.ones(1, 3))
    picture = (own[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
    assert np.abs(made - picture).max() < 0.51


def test_wrong_pictures_are_refused(runtime: Runtime) -> None:
    features = runtime.encode([smooth(32 * runtime.scale, 1)])
    for crop in (smooth(31, 0), smooth(32, 0)[:16], smooth(32, 0).astype(np.float32)):
        with pytest.raises(ValueError, match="a crop must be RGB uint8"):
            runtime.enhance(crop, features)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="features for a crop of 32 px, crop of 48 px"):
        runtime.enhance(smooth(48, 0), features)
    with pytest.raises(ValueError, match="at least one and of one size"):
        runtime.encode([])
    with pytest.raises(ValueError, match="an exemplar must be RGB"):
        runtime.encode([smooth(33 * runtime.scale, 1)])


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(UnavailableError, match='no runtime is named "abacus"'):
        open_runtime("abacus")


def test_the_manifest_names_what_is_shipped() -> None:
    networks = read_manifest()["networks"]
    assert set(networks) == {f"hime_x{scale}" for scale in SCALES}
    shipped = {path.name for path in WEIGHTS.glob("*.onnx")}
    assert shipped == {name for entry in networks.values() for name in entry["files"]}
    for entry in networks.values():
        assert {"data", "device", "minutes", "samples", "degradation"} <= entry["training"].keys()
        for name, checksum in entry["files"].items():
            assert sha256(WEIGHTS / name) == checksum
            assert (WEIGHTS / name).stat().st_size < 5_000_000


def test_missing_and_foreign_weights_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no manifest of weights; install Closeup again"):
        weights_files(4, tmp_path)
    (tmp_path / manifest.MANIFEST).write_text(json.dumps({"networks": {}}))
    with pytest.raises(WeightsError, match="names no network that enlarges 4 times"):
        weights_files(4, tmp_path)
    shutil.copytree(WEIGHTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "hime_x4.enhance.onnx").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="is not the file in the manifest"):
        weights_files(4, tmp_path)
    (tmp_path / "hime_x4.encode.onnx").unlink()
    with pytest.raises(WeightsError, match=r"hime_x4.encode.onnx is missing"):
        weights_files(4, tmp_path)
    with pytest.raises(ValueError, match="scale must be one of"):
        weights_files(3, tmp_path)
