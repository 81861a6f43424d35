"""A card and a TensorRT made of Python, with the manners of the real ones that matter.

The card: memory by address, full of garbage at first; nothing put on a stream happens before
somebody waits for it; recorded work happens only when its graph is launched; memory, streams and
the current device of each thread belong together, and freed memory is an illegal address.

TensorRT: a plan is its ONNX file with a version in front, and ONNX Runtime runs it on the fake
card's memory, so that pictures are real pictures.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from engines.onnx_variants import variants

Operation = Callable[[], None]
NAMES = {
    0: b"no error",
    2: b"out of memory",
    35: b"driver version is insufficient",
    700: b"illegal",
}


class FakeCuda:
    """Stands in for `cuda.bindings.runtime`.

    Args: room: bytes of memory on the card. driver: as cudaDriverGetVersion; 0 for none.
          records: whether capturing records anything (on the wrong device it does not).
    """

    cudaStreamNonBlocking = 1  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)  # noqa: N815
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyDefault=4)  # noqa: N815

    def __init__(
        self,
        room: int = 1 << 30,
        driver: int = 13000,
        devices: int = 2,
        capability: tuple[int, int] = (8, 9),
        records: bool = True,
    ) -> None:
        self.room, self.driver, self.devices = room, driver, devices
        self.capability, self.records = capability, records
        self.blocks: dict[int, tuple[ctypes.Array[ctypes.c_uint8], int | None]] = {}
        self.streams: dict[int, tuple[int, list[Operation]]] = {}
        self.capturing: dict[int, list[Operation]] = {}
        self.launches = 0
        self.copies: list[int] = []
        """Bytes of each copy that was asked for."""
        self._numbers = iter(range(100, 100_000))
        self._thread = threading.local()

    def current(self) -> int:
        return getattr(self._thread, "device", 0)

    def put(self, stream: int, operation: Operation) -> int:
        """Queue or record work. Returns: an error code."""
        device, queue = self.streams.get(stream, (None, []))
        if device != self.current():
            return 700
        if stream in self.capturing:
            if self.records:
                self.capturing[stream].append(operation)
        else:
            queue.append(operation)
        return 0

    def view(self, address: int, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Memory by address, bytes. Raises: MemoryError: freed, or too small."""
        block, _ = self.blocks.get(address, (None, None))
        if block is None or len(block) < size:
            raise MemoryError(f"illegal address {address}")
        return np.frombuffer(memoryview(block), np.uint8)[:size]

    def on_card(self) -> int:
        return sum(len(block) for block, device in self.blocks.values() if device is not None)

    def _allocate(self, size: int, device: int | None) -> tuple[int, int]:
        block = (ctypes.c_uint8 * size)()
        ctypes.memset(block, 0xFF, size)  # as float16 or float32 that is no number
        address = ctypes.addressof(block)
        self.blocks[address] = block, device
        return 0, address

    def cudaDriverGetVersion(self) -> tuple[int, int]:  # noqa: N802
        return 0, self.driver

    def cudaRuntimeGetVersion(self) -> tuple[int, int]:  # noqa: N802
        return 0, 13000

    def cudaGetDeviceCount(self) -> tuple[int, int]:  # noqa: N802
        if self.driver < 13000:
            return 35, 0
        return (0, self.devices) if self.devices else (100, 0)

    def cudaSetDevice(self, device: int) -> tuple[int]:  # noqa: N802
        self._thread.device = device
        return (0,)

    def cudaGetDeviceProperties(self, device: int) -> tuple[int, Any]:  # noqa: N802
        major, minor = self.capability
        return 0, SimpleNamespace(
            name=b"Fake Card", major=major, minor=minor, multiProcessorCount=7
        )

    def cudaMemGetInfo(self) -> tuple[int, int, int]:  # noqa: N802
        return 0, self.room - self.on_card(), self.room

    def cudaGetErrorString(self, code: int) -> tuple[int, bytes]:  # noqa: N802
        return 0, NAMES.get(code, b"unknown")

    def cudaMalloc(self, size: int) -> tuple[int, int]:  # noqa: N802
        if size > self.room - self.on_card():
            return 2, 0
        return self._allocate(size, self.current())

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, int]:  # noqa: N802
        return self._allocate(size, None)

    def cudaFree(self, address: int) -> tuple[int]:  # noqa: N802
        return (0 if self.blocks.pop(address, None) else 700,)

    cudaFreeHost = cudaFree  # noqa: N815

    def cudaMemset(self, address: int, value: int, size: int) -> tuple[int]:  # noqa: N802
        self.view(address, size)[...] = value
        return (0,)

    def cudaMemsetAsync(  # noqa: N802
        self, address: int, value: int, size: int, stream: int
    ) -> tuple[int]:
        return (self.put(stream, lambda: self.view(address, size).fill(value)),)

    def cudaMemcpyAsync(  # noqa: N802
        self, target: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[int]:
        def copy() -> None:
            self.view(target, size)[...] = self.view(source, size)

        self.copies.append(size)
        return (self.put(stream, copy),)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, int]:  # noqa: N802
        number = next(self._numbers)
        self.streams[number] = self.current(), []
        return 0, number

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:  # noqa: N802
        return (0 if self.streams.pop(stream, None) else 700,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:  # noqa: N802
        if stream not in self.streams:
            return (700,)
        _, queue = self.streams[stream]
        while queue:
            queue.pop(0)()
        return (0,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[int]:  # noqa: N802
        self.capturing[stream] = []
        return (0,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, list[Operation]]:  # noqa: N802
        return 0, self.capturing.pop(stream)

    def cudaGraphInstantiate(  # noqa: N802
        self, graph: list[Operation], flags: int
    ) -> tuple[int, list[Operation]]:
        return 0, list(graph)

    def cudaGraphLaunch(self, graph: list[Operation], stream: int) -> tuple[int]:  # noqa: N802
        self.launches += 1
        return (max([0, *(self.put(stream, operation) for operation in graph)]),)

    def cudaGraphDestroy(self, graph: list[Operation]) -> tuple[int]:  # noqa: N802
        graph.clear()
        return (0,)

    cudaGraphExecDestroy = cudaGraphDestroy  # noqa: N815


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
