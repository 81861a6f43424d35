"""The GPU runtime's own part, on a card and a TensorRT made of Python (tests/fake_gpu.py).

What only a real card can show is marked `gpu`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from engines.onnx_variants import variants
from engines.runtime import EngineError, Features, Image, UnavailableError
from engines.runtimes import tensorrt_gpu
from engines.runtimes.fallback_runtime import FallbackRuntime
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.tensorrt_gpu import LiveTensorrt, LiveTensorrtRtx, TensorrtGpu, TensorrtRtx
from engines.tensorrt.bucket import probe_pictures, psnr
from engines.tensorrt.build import Api
from engines.tensorrt.card import Card, CudaError
from engines.tensorrt.engine import Engine, Port
from engines.tensorrt.engine_cache import EngineCache, RefusedError
from engines.weights.manifest import weights_files
from tests.engines.onnx_variants.test_variants import with_qdq
from tests.fake_gpu import FakeCuda
from tests.fake_tensorrt import FakeTensorrt

BUCKET = 16


class Setup:
    """A runtime of scale 4 on fakes, and what it told."""

    def __init__(
        self,
        folder: Path,
        cuda: FakeCuda | None = None,
        files: tuple[Path, Path] | None = None,
        **fake: Any,
    ) -> None:
        self.cuda = cuda or FakeCuda()
        self.trt = FakeTensorrt(self.cuda, **fake)
        self.lines: list[str] = []
        self.card = Card(1, self.cuda)
        self.runtime = TensorrtGpu(
            4,
            files=files,
            api=Api("tensorrt", self.trt),
            card=self.card,
            cache=EngineCache(folder / "engines", self.lines.append),
        )


@pytest.fixture(scope="module")
def cpu() -> OnnxRuntimeCpu:
    return OnnxRuntimeCpu(4)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(tmp_path_factory.mktemp("gpu"))


def pictures(seed: int, bucket: int = BUCKET) -> tuple[Image, list[Image]]:
    crop, exemplars = probe_pictures(bucket, 4)
    turned = [np.roll(image, 5 * seed + 3 * k, axis=1) for k, image in enumerate(exemplars)]
    return np.roll(crop, seed, axis=0), turned


def note(shares: list[float], share: float) -> bool:
    shares.append(share)
    return True


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_makes_the_picture_of_the_cpu(setup: Setup, cpu: OnnxRuntimeCpu, count: int) -> None:
    crop, exemplars = pictures(count)
    made, wanted = (
        r.enhance(crop, r.encode(exemplars[:count]) if count else None)
        for r in (setup.runtime, cpu)
    )
    assert made.shape == wanted.shape == (4 * BUCKET, 4 * BUCKET, 3)
    assert made.dtype == np.uint8
    assert psnr(made, wanted) > 50
    assert np.abs(made.astype(int) - wanted).max() <= 1


def test_of_more_exemplars_the_first_three_count(setup: Setup) -> None:
    crop, exemplars = pictures(1)
    runtime = setup.runtime
    five = runtime.encode([*exemplars, exemplars[0], exemplars[1]])
    assert len(five[0]) == 3
    made = runtime.enhance(crop, five)
    assert np.array_equal(made, runtime.enhance(crop, runtime.encode(exemplars)))


def test_features_stay_usable_and_stay_on_the_card(setup: Setup) -> None:
    runtime, cuda = setup.runtime, setup.cuda
    crop, exemplars = pictures(0)
    first, second = runtime.encode(exemplars), runtime.encode(exemplars[:1])
    a, b = runtime.enhance(crop, first), runtime.enhance(crop, second)
    assert not np.array_equal(a, b)
    assert np.array_equal(runtime.enhance(crop, first), a)
    cuda.copies.clear()
    launches = cuda.launches
    assert np.array_equal(runtime.enhance(crop, first), a)
    # the same face again: the crop, the validity and the picture travel, no features
    assert cuda.copies == [crop.nbytes, 12, a.nbytes]
    assert cuda.launches == launches + 1
    held = cuda.on_card()
    runtime.enhance(crop, second)  # the other's are in the engine's inputs no longer
    del first
    assert cuda.on_card() < held


def test_takes_features_that_were_made_elsewhere(setup: Setup, cpu: OnnxRuntimeCpu) -> None:
    crop, exemplars = pictures(2)
    runtime = setup.runtime
    features = cpu.encode(exemplars[:2])
    copied: Features = tuple(np.array(part) for part in features)
    made = runtime.enhance(crop, copied)
    assert psnr(made, runtime.enhance(crop, runtime.encode(exemplars[:2]))) > 50
    # and of several faces in one call
    others = [cpu.encode(pictures(seed)[1]) for seed in (3, 4)]
    together = runtime.enhance_all([(crop, other) for other in others])
    for other, picture in zip(others, together, strict=True):
        assert np.array_equal(picture, runtime.enhance(crop, other))


def test_works_from_any_thread(setup: Setup) -> None:
    crop, exemplars = pictures(2)
    features = setup.runtime.encode(exemplars)
    made = setup.runtime.enhance(crop, features)
    with ThreadPoolExecutor(1) as pool:  # there the current device is another one
        again = pool.submit(setup.runtime.enhance, crop, features).result()
        assert np.array_equal(again, made)
        assert len(pool.submit(setup.runtime.encode, exemplars).result()[0]) == 3


def test_several_faces_of_several_sizes_share_one_wait(setup: Setup) -> None:
    runtime = setup.runtime
    faces = []
    for seed, bucket in ((1, BUCKET), (2, 24), (3, BUCKET)):
        crop, exemplars = pictures(seed, bucket)
        faces.append((crop, runtime.encode(exemplars[:seed])))
    together = runtime.enhance_all(faces)
    for (crop, features), picture in zip(faces, together, strict=True):
        assert np.array_equal(picture, runtime.enhance(crop, features))


def test_refuses_what_does_not_fit(setup: Setup) -> None:
    crop, exemplars = pictures(0)
    features = setup.runtime.encode(exemplars)
    with pytest.raises(ValueError, match="a crop must be RGB uint8"):
        setup.runtime.enhance(crop[:8], features)
    with pytest.raises(ValueError, match="features for a crop of 16 px, crop of 24 px"):
        setup.runtime.enhance(pictures(0, 24)[0], features)
    with pytest.raises(ValueError, match="at least one and of one size"):
        setup.runtime.encode([])


def test_engines_are_kept_for_the_next_start(tmp_path: Path) -> None:
    shares: list[float] = []
    first = Setup(tmp_path)
    first.runtime.prepare([BUCKET], lambda share: note(shares, share))
    assert first.trt.builds == 2
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    again = Setup(tmp_path)
    with again.runtime as runtime:
        runtime.prepare([BUCKET])
        assert runtime.ready(BUCKET)
        assert again.trt.builds == 0
    assert again.cuda.on_card() == 0
    other = Setup(tmp_path, version="11.5.0.1")
    other.runtime.prepare([BUCKET])
    assert other.trt.builds == 2
    assert not first.lines + again.lines + other.lines


def test_a_changed_network_is_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Setup(tmp_path).runtime.prepare([BUCKET])
    encode, enhance = weights_files(4)
    model = onnx.load(enhance)
    for tensor in model.graph.initializer:
        if tensor.name == "reconstruction.last.bias":
            value = numpy_helper.to_array(tensor) + np.float32(1e-3)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    changed = tmp_path / enhance.name
    onnx.save(model, changed)
    monkeypatch.setattr(tensorrt_gpu, "weights_files", lambda scale, weights: (encode, changed))
    setup = Setup(tmp_path)
    setup.runtime.prepare([BUCKET])
    assert setup.trt.builds == 2
    assert not setup.lines


def test_quantised_files_can_be_given(tmp_path: Path, cpu: OnnxRuntimeCpu) -> None:
    encode, enhance = weights_files(4)
    names = [f"reconstruction.body.{k}.conv1.weight" for k in range(5)]
    quantised = tmp_path / enhance.name
    onnx.save(with_qdq(onnx.load(enhance), names, step=0.01), quantised)
    setup = Setup(tmp_path, files=(encode, quantised))
    crop, exemplars = pictures(1)
    made, wanted = (r.enhance(crop, r.encode(exemplars)) for r in (setup.runtime, cpu))
    assert psnr(made, wanted) > 40
    assert setup.runtime.ready(BUCKET)


def test_live_the_cpu_answers_until_the_engines_are_there(tmp_path: Path) -> None:
    setup, lines = Setup(tmp_path), list[str]()
    crop, exemplars = pictures(1)
    with FallbackRuntime(OnnxRuntimeCpu(4), setup.runtime, lines.append) as live:
        features = live.encode(exemplars)
        first = live.enhance(crop, features)
        assert live.wait(BUCKET, 60)
        launches = setup.cuda.launches
        second = live.enhance(crop, features)
        assert setup.cuda.launches == launches + 1
        assert np.abs(first.astype(int) - second).max() <= 1
        # the card fails in the middle of the call: nobody upstairs notices
        setup.cuda.streams.clear()
        assert np.array_equal(live.enhance(crop, features), first)
    assert [line.split(": ")[1] for line in lines] == [
        f"building the engines for crops of {BUCKET} px; onnxruntime-cpu answers meanwhile",
        f"ready for crops of {BUCKET} px",
        "cudaMemcpyAsync failed",
    ]


def test_a_stopped_build_leaves_nothing(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    with pytest.raises(EngineError, match="built no engine: it was stopped"):
        setup.runtime.prepare([BUCKET], lambda share: share == 0.0)
    assert not setup.runtime.ready(BUCKET)
    assert not list((tmp_path / "engines").glob("*.json"))


def test_a_damaged_plan_is_built_again(tmp_path: Path) -> None:
    Setup(tmp_path).runtime.prepare([BUCKET])
    plan = next(iter(tmp_path.glob("engines/*.enhance")))
    plan.write_bytes(b"11.4.0.106|junk")
    setup = Setup(tmp_path)
    setup.runtime.prepare([BUCKET])
    assert setup.trt.builds == 2
    assert len(setup.lines) == 1
    assert "enhance is damaged" in setup.lines[0]


def test_a_whole_plan_that_does_not_load_is_built_again(tmp_path: Path) -> None:
    """As after an update of the driver that no version number tells."""
    Setup(tmp_path).runtime.prepare([BUCKET])
    setup = Setup(tmp_path)
    setup.trt.mark = b"11.4.0.106 for another driver|"
    setup.runtime.prepare([BUCKET])
    assert setup.trt.builds == 2
    assert len(setup.lines) == 1
    assert "is refused (Version tag does not match); it is made again" in setup.lines[0]


def test_a_plan_of_another_network_is_refused(tmp_path: Path) -> None:
    small, large = Setup(tmp_path), Setup(tmp_path)
    small.runtime.prepare([BUCKET])
    entry = {path.suffix[1:]: path for path in tmp_path.glob("engines/*.e*")}
    plans = {name: path.read_bytes() for name, path in entry.items()}
    ports = {half: variants.ports(plan.split(b"|", 1)[1]) for half, plan in plans.items()}
    wanted = {name: Port(*port) for name, port in ports["enhance"].items()}
    api = Api("tensorrt", large.trt)
    with pytest.raises(RefusedError, match="other inputs or outputs: crop, exemplars, hr, picture"):
        Engine(api, large.card, plans["encode"], wanted)
    Engine(api, large.card, plans["enhance"], wanted).close()


def test_an_engine_that_answers_otherwise_is_not_used(tmp_path: Path) -> None:
    Setup(tmp_path).runtime.prepare([BUCKET])
    wrong = Setup(tmp_path, spoil=lambda picture: np.roll(picture, 2, axis=1))
    with pytest.raises(RefusedError, match=r"its answer is off: [0-9.]+ dB"):
        wrong.runtime.prepare([BUCKET])
    assert wrong.trt.builds == 2, "the kept one is built again before anybody gives up"
    assert not wrong.runtime.ready(BUCKET)
    assert not list(tmp_path.glob("engines/*.enhance"))


def test_an_empty_graph_is_noticed(tmp_path: Path) -> None:
    setup = Setup(tmp_path, FakeCuda(records=False))
    with pytest.raises(RefusedError, match="recorded as a graph, its answer is off"):
        setup.runtime.prepare([BUCKET])


def test_a_full_card_is_one_line(tmp_path: Path) -> None:
    cuda = FakeCuda()
    setup = Setup(tmp_path, cuda)
    cuda.room = cuda.on_card() + 100_000
    with pytest.raises(CudaError, match=r"^the card's memory is full \(cudaMalloc\)$"):
        setup.runtime.prepare([BUCKET])
    assert not setup.runtime.ready(BUCKET)


def test_rtx_passes_over_cards_that_it_does_not_know(tmp_path: Path) -> None:
    cuda = FakeCuda(capability=(9, 0))
    with pytest.raises(UnavailableError, match=r"does not run on Fake Card \(compute cap.* 9\.0\)"):
        TensorrtRtx(4, api=Api("tensorrt-rtx", None), card=Card(0, cuda))


def test_this_machine_runs_it_or_says_why_not() -> None:
    """Nothing is faked here: whatever this machine has or lacks ends in one line or a runtime."""
    for kind in (TensorrtGpu, TensorrtRtx, LiveTensorrt, LiveTensorrtRtx):
        try:
            runtime = kind(4)
        except UnavailableError as error:
            said = str(error)
        else:
            said = runtime.name
            runtime.__exit__(None, None, None)
        assert len(said.splitlines()) == 1


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [TensorrtGpu, TensorrtRtx])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_on_a_card(
    kind: type[TensorrtGpu], precision: str, tmp_path: Path, cpu: OnnxRuntimeCpu
) -> None:
    try:
        runtime = kind(4, precision, cache=EngineCache(tmp_path / "engines"))
    except UnavailableError as error:
        pytest.skip(str(error))
    with runtime:
        for bucket in (32, 64):
            for count in (0, 1, 3):
                crop, exemplars = pictures(count, bucket)
                made, wanted = (
                    r.enhance(crop, r.encode(exemplars[:count]) if count else None)
                    for r in (runtime, cpu)
                )
                assert psnr(made, wanted) > 50
