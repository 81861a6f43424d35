"""Engines are refit with personal weights, on a card and a TensorRT made of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.contract import Halves
from engines.errors import EngineError, UnavailableError
from engines.personal import personal_runtime
from engines.personal.personal_runtime import open_personal
from engines.personal.personal_weights import PersonalWeights, with_parameters
from engines.runtimes import tensorrt_personal
from engines.runtimes.fallback_runtime import FallbackRuntime
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.tensorrt_personal import PersonalTensorrt
from engines.tensorrt.bucket import psnr
from engines.tensorrt.build import Api
from engines.tensorrt.card import Card
from engines.tensorrt.engine_cache import EngineCache
from engines.weights.manifest import weights_files
from tests.engines.personal.test_personal_weights import brighter as brighter
from tests.engines.runtimes.test_tensorrt_gpu import BUCKET, Setup, pictures
from tests.fake_gpu import FakeCuda
from tests.fake_tensorrt import FakeTensorrt

NAME = "reconstruction.last.bias"


def halves(light: float) -> Halves:
    """Everything is brighter by so much, 0..1."""
    bias = {NAME: np.full(12, light, np.float32)}
    encode, enhance = (with_parameters(path, bias) for path in weights_files(4))
    return encode, enhance


@pytest.fixture(scope="module")
def personal() -> Halves:
    return halves(0.1)


class Personal:
    """A person's runtime of scale 4 on fakes, and what it told."""

    def __init__(self, folder: Path, weights: Halves, **fake: Any) -> None:
        cuda = FakeCuda()
        self.trt = FakeTensorrt(cuda, **fake)
        self.lines: list[str] = []
        self.runtime = PersonalTensorrt(
            4,
            weights,
            api=Api("tensorrt", self.trt),
            card=Card(1, cuda),
            cache=EngineCache(folder / "engines", self.lines.append),
        )


def test_a_person_has_their_own_weights_in_the_engines_of_all(
    tmp_path: Path, personal: Halves
) -> None:
    crop, exemplars = pictures(1)
    builds = 0
    for weights in (personal, halves(0.2)):
        one = Personal(tmp_path, weights)
        made, wanted = (
            runtime.enhance(crop, runtime.encode(exemplars))
            for runtime in (one.runtime, OnnxRuntimeCpu(4, files=weights))
        )
        assert psnr(made, wanted) > 50
        assert one.trt.refitted == 2, "both halves"
        builds += one.trt.builds
        assert not one.lines
    assert builds == 2, "built once, for everybody"
    plain = Setup(tmp_path)
    plain.runtime.prepare([BUCKET])
    assert plain.trt.builds == 2, "engines that can be refit are others"
    assert plain.trt.refitted == 0
    with_shipped = plain.runtime.enhance(crop, plain.runtime.encode(exemplars))
    assert psnr(with_shipped, wanted) < 30


def test_nothing_of_them_is_written(tmp_path: Path, personal: Halves) -> None:
    Personal(tmp_path, personal).runtime.prepare([BUCKET])
    shipped = {path.name: path.read_bytes() for path in tmp_path.glob("engines/*.e*")}
    assert len(shipped) == 2
    Personal(tmp_path, halves(0.3)).runtime.prepare([BUCKET])
    for path in tmp_path.glob("engines/*.e*"):
        assert path.read_bytes() == shipped[path.name]
    bias = np.full(12, 0.1, np.float16).tobytes()
    for path in tmp_path.rglob("*.*"):
        assert bias not in path.read_bytes()


@pytest.mark.parametrize(
    ("refits", "line"),
    [
        ("read", "it does not take other weights: no such initializer"),
        ("missing", "it lacks weights: head.weight"),
        ("take", "Weights have the wrong count"),
        ("never", "it was built to keep its weights"),
        ("old", r"with other weights its answer is off: [0-9.]+ dB"),
    ],
)
def test_what_takes_no_weights_is_not_built_again_and_again(
    tmp_path: Path, personal: Halves, refits: str, line: str
) -> None:
    first = Personal(tmp_path, personal, refits=refits)
    with pytest.raises(EngineError, match=line):
        first.runtime.prepare([BUCKET])
    assert first.trt.builds == 2
    again = Personal(tmp_path, personal, refits=refits)
    with pytest.raises(EngineError, match=line):
        again.runtime.prepare([BUCKET])
    assert again.trt.builds == 0
    newer = Personal(tmp_path, personal, version="11.5.0.1")
    newer.runtime.prepare([BUCKET])
    assert newer.trt.refitted == 2, "another version is asked anew"


def test_in_a_call_the_cpu_answers_before_and_after(
    tmp_path: Path, personal: Halves, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Personal(tmp_path, personal, refits="read")
    cpu = OnnxRuntimeCpu(4, files=personal)
    monkeypatch.setattr(tensorrt_personal, "OpenVinoCpu", lambda scale, files: cpu)
    crop, exemplars = pictures(1)
    with tensorrt_personal._live(lambda scale, given: one.runtime)(4, personal) as live:
        assert isinstance(live, FallbackRuntime)
        assert live.at_once(BUCKET, soon=True)
        features = live.encode(exemplars)
        first = live.enhance(crop, features)
        assert not live.wait(BUCKET, 60)
        assert np.array_equal(live.enhance(crop, features), first)
        assert live.name == "onnxruntime-cpu"


@pytest.mark.parametrize(
    ("like", "tried"),
    [
        ("tensorrt", ["tensorrt", "openvino-cpu"]),
        ("tensorrt-rtx", ["tensorrt-rtx", "openvino-cpu"]),
        ("onnxruntime-cpu", ["onnxruntime-cpu"]),
        ("", ["openvino-cpu"]),
    ],
)
def test_the_card_is_used_where_it_runs_the_shipped_weights(
    brighter: PersonalWeights, like: str, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def opens(name: str) -> Any:
        def runtime(scale: int, files: Halves) -> str:
            asked.append(name)
            if name.startswith("tensorrt"):
                raise UnavailableError("no card")
            return name

        return runtime

    for table in (personal_runtime.FASTEST, personal_runtime.ON_CARDS):
        for name in table:
            monkeypatch.setitem(table, name, opens(name))
    opened: object = open_personal(brighter, like)
    assert opened == tried[-1]
    assert asked == tried
