"""Personal weights: the shipped graphs with other numbers in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from engines.contract import Image
from engines.errors import WeightsError
from engines.personal.personal_runtime import FASTEST, open_personal
from engines.personal.personal_weights import PersonalWeights, shipped_digests, with_parameters
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.weights.manifest import weights_files

LAST = "reconstruction.last.bias"
RNG = np.random.default_rng(0)
CROP: Image = RNG.integers(0, 256, (32, 32, 3), np.uint8)
EXEMPLARS: list[Image] = [RNG.integers(0, 256, (128, 128, 4), np.uint8) for _ in range(2)]


@pytest.fixture
def brighter() -> PersonalWeights:
    """As shipped, but every picture is brighter by a tenth."""
    graph = onnx.load(weights_files(4)[1]).graph
    bias = next(numpy_helper.to_array(t) for t in graph.initializer if t.name == LAST)
    return PersonalWeights(4, {LAST: np.asarray(bias + 0.1, np.float32)}, shipped_digests(4))


@pytest.fixture
def shipped() -> Iterator[OnnxRuntimeCpu]:
    with OnnxRuntimeCpu(4) as runtime:
        yield runtime


@pytest.mark.parametrize("name", FASTEST)
def test_runtimes_run_them(name: str, brighter: PersonalWeights, shipped: OnnxRuntimeCpu) -> None:
    with open_personal(brighter, like=name) as own:
        assert own.name == name
        for pictures in ([], EXEMPLARS):
            features = [r.encode(pictures) if pictures else None for r in (shipped, own)]
            before = shipped.enhance(CROP, features[0]).astype(float)
            after = own.enhance(CROP, features[1]).astype(float)
            between = (before > 10) & (before < 220)
            assert np.median((after - before)[between]) == pytest.approx(25.5, abs=1.5)


def test_they_are_kept_and_read_back(brighter: PersonalWeights) -> None:
    again = PersonalWeights.from_bytes(brighter.to_bytes())
    assert (again.scale, again.of) == (brighter.scale, brighter.of)
    np.testing.assert_array_equal(again.parameters[LAST], brighter.parameters[LAST])
    for damaged in (b"", b"no zip", brighter.to_bytes()[:-40]):
        with pytest.raises(WeightsError, match="damaged personal weights"):
            PersonalWeights.from_bytes(damaged)


def test_of_other_shipped_weights_they_are_refused(brighter: PersonalWeights) -> None:
    with pytest.raises(WeightsError, match="other shipped weights"):
        replace(brighter, of=("0" * 64, "1" * 64)).halves()


def test_of_another_shape_they_are_refused() -> None:
    with pytest.raises(WeightsError, match=LAST):
        with_parameters(weights_files(4)[1], {LAST: np.zeros(3, np.float32)})


def test_wiping_leaves_nothing(brighter: PersonalWeights) -> None:
    brighter.wipe()
    assert not brighter.parameters[LAST].any()
