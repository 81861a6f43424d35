"""A card made of Python, with the manners of the real ones that matter.

Memory by address, full of garbage at first; nothing put on a stream happens before somebody waits
for it; recorded work happens only when its graph is launched; memory, streams and the current
device of each thread belong together, and freed memory is an illegal address.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

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
