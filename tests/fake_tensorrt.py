"""A TensorRT made of Python: a plan is its ONNX file with a version in front, and ONNX Runtime runs
it on a fake card's memory (tests/fake_gpu.py), so that pictures are real pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from engines.onnx_variants import variants
from tests.fake_gpu import FakeCuda


class _Base:
    """Whatever has attributes that may be set, and methods that do nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("set_") or name in ("clear_flag", "create_timing_cache"):
            return lambda *args, **kwargs: True
        raise AttributeError(name)


class FakeTensorrt:
    """Stands in for the module `tensorrt`; everything on it that engines/ calls.

    Args: version: plans of another one are refused. spoil: bends each picture it makes.
          refits: what a refit does: takes the "new" weights, keeps the "old" ones although it says
          that it took them, "never" takes any, has weights "missing", or fails while it reads
          ("read") or takes them ("take").
    """

    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0)
    MemoryPoolType = SimpleNamespace(WORKSPACE=0)
    ProfilingVerbosity = SimpleNamespace(DETAILED=0)
    BuilderFlag = SimpleNamespace(TF32=0, REFIT=1)
    DataType = SimpleNamespace(FLOAT="float32", HALF="float16", UINT8="uint8")
    TensorIOMode = SimpleNamespace(INPUT=True, OUTPUT=False)

    class ILogger:
        ERROR, INTERNAL_ERROR = 1, 0

    class IProgressMonitor:
        pass

    def __init__(
        self,
        cuda: FakeCuda,
        version: str = "11.4.0.106",
        spoil: Callable[[Any], Any] | None = None,
        refits: str = "new",
    ) -> None:
        self.refits, self.refitted = refits, 0
        self.cuda, self.__version__, self.spoil = cuda, version, spoil
        self.builds = 0
        self.mark = f"{version}|".encode()
        fake = self

        class Builder(_Base):
            def __init__(self, log: Any) -> None:
                pass

            def create_network(self, flags: int) -> Any:
                return SimpleNamespace(num_layers=0, model=b"")

            def create_builder_config(self) -> Any:
                config: Any = _Base()
                blob = SimpleNamespace(serialize=lambda: b"timings")
                config.get_timing_cache = lambda: blob
                config.progress_monitor = None
                config.flags = []
                config.set_flag = config.flags.append
                return config

            def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
                fake.builds += 1
                watch = config.progress_monitor
                watch.phase_start("Building", None, 2)
                going = [watch.step_complete("Building", step) for step in range(2)]
                watch.phase_finish("Building")
                refittable = b"R" * (fake.BuilderFlag.REFIT in config.flags)
                return fake.mark + refittable + network.model if all(going) else None

        class OnnxParser:
            def __init__(self, network: Any, log: Any) -> None:
                self.network = network

            def parse(self, model: bytes) -> bool:
                self.network.model = model
                return True

        class Runtime:
            def __init__(self, log: Any) -> None:
                self.log = log

            def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
                if not plan.startswith(fake.mark):
                    self.log.log(1, "Version tag does not match")
                    return None
                return _Engine(fake, plan.removeprefix(fake.mark))

        class Refitter:
            def __init__(self, engine: _Engine, log: Any) -> None:
                self.engine, self.log, self.model = engine, log, b""

            def get_missing_weights(self) -> list[str]:
                return ["head.weight"] if fake.refits == "missing" else []

            def refit_cuda_engine(self) -> bool:
                assert not self.engine.contexts, "nothing may use the weights meanwhile"
                if fake.refits == "take":
                    self.log.log(1, "Weights have the wrong count")
                    return False
                fake.refitted += 1
                if fake.refits == "new":
                    self.engine.load(self.model)
                return True

        class OnnxParserRefitter:
            num_errors = 1

            def __init__(self, refitter: Refitter, log: Any) -> None:
                self.refitter = refitter

            def refit_from_bytes(self, model: bytes) -> bool:
                self.refitter.model = model
                return fake.refits != "read"

            def get_error(self, index: int) -> Any:
                return SimpleNamespace(desc=lambda: "no such initializer")

        self.Builder, self.OnnxParser, self.Runtime = Builder, OnnxParser, Runtime
        self.Refitter, self.OnnxParserRefitter = Refitter, OnnxParserRefitter


class _Engine:
    def __init__(self, fake: FakeTensorrt, model: bytes) -> None:
        self.fake = fake
        self.device = fake.cuda.current()
        self.refittable = model.startswith(b"R") and fake.refits != "never"
        self.contexts = 0
        self.load(model.removeprefix(b"R"))

    def load(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.ports = variants.ports(model)
        self.num_io_tensors = len(self.ports)

    def get_tensor_name(self, index: int) -> str:
        return list(self.ports)[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.ports[name][0]

    def get_tensor_dtype(self, name: str) -> str:
        return str(np.dtype(self.ports[name][1]))

    def get_tensor_mode(self, name: str) -> bool:
        return self.ports[name][2]

    def create_execution_context(self) -> _Context | None:
        self.contexts += 1
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def infer_shapes(self) -> list[str]:
        return []

    def execute_async_v3(self, stream: int) -> bool:
        cuda = self.engine.fake.cuda
        if self.addresses.keys() != self.engine.ports.keys():
            return False
        # another device's current than the engine's: nothing is recorded, nothing is run
        return cuda.current() != self.engine.device or cuda.put(stream, self._run) == 0

    def _run(self) -> None:
        engine, cuda = self.engine, self.engine.fake.cuda
        arrays = {}
        for name, (shape, dtype, _) in engine.ports.items():
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            arrays[name] = cuda.view(self.addresses[name], size).view(dtype).reshape(shape)
        given = {name: arrays[name].copy() for name in arrays if engine.ports[name][2]}
        results = engine.session.run(None, given)
        for output, result in zip(engine.session.get_outputs(), results, strict=True):
            spoil = engine.fake.spoil if output.name == "picture" else None
            arrays[output.name][...] = spoil(result) if spoil else result
