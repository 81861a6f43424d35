"""One NVIDIA card through cuda-python: memory, one stream, graphs. No TensorRT, no torch.

cuda-python is a few megabytes of bindings that load the driver alone; torch would bring gigabytes
to people who run nothing but engines.
"""

from __future__ import annotations

import ctypes
import platform
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engines.errors import EngineError, UnavailableError

NEEDED_BYTES = 1000 << 20
"""Free memory without which a card is passed over: contexts, engines and buffers of all buckets.
Reckoned from their area; no card was there to measure it."""


FULL, NO_CARD = 2, 100
"""cudaErrorMemoryAllocation and cudaErrorNoDevice; these numbers are part of CUDA's interface."""


class CudaError(EngineError):
    """A call to the card failed: which, and why, in one line."""

    def __init__(self, code: int, name: str, text: str) -> None:
        self.code = code
        super().__init__(
            f"the card's memory is full ({name})" if code == FULL else f"{name} failed: {text}"
        )


class Block:
    """Memory that is freed with this object."""

    def __init__(self, address: int, size: int, free: Callable[[int], object]) -> None:
        self.address = address
        self.size = size
        self.free = weakref.finalize(self, free, address)
        self.free.atexit = False  # the driver frees what is left, and may be gone by then


class Pinned(Block):
    """Memory of the host that the card reads and writes by itself, as a numpy array."""

    def __init__(self, address: int, array: NDArray[Any], free: Callable[[int], object]) -> None:
        super().__init__(address, array.nbytes, free)
        self.array = array


class Card:
    """A device. Every method makes it the calling thread's current device by itself.

    Args:   device: number, as CUDA counts. runtime: `cuda.bindings.runtime`, or a stand-in.
    Raises: UnavailableError: no bindings, no driver, an old driver, no such card, a full card.
    """

    def __init__(self, device: int = 0, runtime: Any = None) -> None:
        self._cuda = cuda = runtime or _bindings()
        self.device = device
        driver = self._call("cudaDriverGetVersion")
        own = self._call("cudaRuntimeGetVersion")
        if not driver:
            raise UnavailableError("no NVIDIA driver is installed")
        try:
            count = self._call("cudaGetDeviceCount")
        except CudaError as error:
            if error.code == NO_CARD:
                raise UnavailableError("the NVIDIA driver finds no card") from error
            raise UnavailableError(
                f"the NVIDIA driver is for CUDA {_dotted(driver)}, cuda-bindings for "
                f"{_dotted(own)} ({error}): update the driver or install older bindings"
            ) from error
        if device >= count:
            raise UnavailableError(f"there is no NVIDIA card number {device}; cards: {count}")
        try:
            self._call("cudaSetDevice", device)
            properties = self._call("cudaGetDeviceProperties", device)
            free, total = self._call("cudaMemGetInfo")
        except CudaError as error:
            raise UnavailableError(f"the NVIDIA card cannot be used: {error}") from error
        self.name: str = properties.name.split(b"\0")[0].decode(errors="replace")
        self.capability: tuple[int, int] = (properties.major, properties.minor)
        if free < NEEDED_BYTES:
            raise UnavailableError(
                f"{self.name} has {free >> 20} of {total >> 20} MB free; "
                f"{NEEDED_BYTES >> 20} MB are needed"
            )
        self.facts: dict[str, str | int] = {
            # what an engine may depend on
            "card": self.name,
            "capability": f"{properties.major}.{properties.minor}",
            "processors": properties.multiProcessorCount,
            "memory": total,
            "driver": _driver_release() or driver,
            "cuda": own,
            "system": f"{platform.system()} {platform.machine()}",
        }
        self.stream = self.new_stream()
        self._thread_local = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._any_way = cuda.cudaMemcpyKind.cudaMemcpyDefault

    def use(self) -> None:
        """Make this the current device of the calling thread."""
        self._call("cudaSetDevice", self.device)

    def new_stream(self) -> Any:
        """A stream that does not wait for the default one."""
        self.use()
        return self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking)

    def end_stream(self, stream: Any) -> None:
        """Give a stream of `new_stream` back."""
        self.use()
        self._call("cudaStreamDestroy", stream)

    def memory(self, size: int) -> Block:
        """Memory on the card, bytes, filled with zeros. Raises: CudaError: the card is full."""
        self.use()
        block = Block(self._call("cudaMalloc", size), size, self._cuda.cudaFree)
        self._call("cudaMemset", block.address, 0, size)
        return block

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> Pinned:
        """An array of zeros in pinned memory of the host. Raises: CudaError."""
        self.use()
        kind: np.dtype[Any] = np.dtype(dtype)
        size = int(np.prod(shape)) * kind.itemsize
        address = int(self._call("cudaHostAlloc", size, 0))
        raw = (ctypes.c_uint8 * size).from_address(address)
        array: NDArray[Any] = np.frombuffer(memoryview(raw), np.uint8).view(kind).reshape(shape)
        array[...] = 0
        return Pinned(address, array, self._cuda.cudaFreeHost)

    def copy(self, target: Block, source: Block, stream: Any) -> None:
        """Copy all of `source`, in the stream's turn; host to card, card to host or within.

        Args: target: at least as large as `source`. stream: in which the copy is queued.
        """
        if target.size < source.size:
            raise ValueError(f"{source.size} bytes do not fit in {target.size}")
        size, kind = source.size, self._any_way
        self._call("cudaMemcpyAsync", target.address, source.address, size, kind, stream)

    def clear(self, target: Block, stream: Any) -> None:
        """Fill with zeros, in the stream's turn."""
        self._call("cudaMemsetAsync", target.address, 0, target.size, stream)

    def wait(self, stream: Any) -> None:
        """Until all work of the stream is done."""
        self._call("cudaStreamSynchronize", stream)

    def capture(self, work: Callable[[], None], stream: Any) -> Any:
        """Record what `work` puts on `stream`. Returns: a graph for `launch`.

        Other threads may go on using the card meanwhile.
        """
        self.use()
        self._call("cudaStreamBeginCapture", stream, self._thread_local)
        try:
            work()
        finally:
            # an open capture would make every later call on the stream fail
            graph = self._call("cudaStreamEndCapture", stream)
        ready = self._call("cudaGraphInstantiate", graph, 0)
        self._call("cudaGraphDestroy", graph)
        return ready

    def launch(self, graph: Any, stream: Any) -> None:
        """Replay a graph, in the stream's turn."""
        self._call("cudaGraphLaunch", graph, stream)

    def end_graph(self, graph: Any) -> None:
        """Free a graph of `capture`."""
        self.use()
        self._call("cudaGraphExecDestroy", graph)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call by name. Returns: its result, or None. Raises: CudaError."""
        code, *results = getattr(self._cuda, name)(*arguments)
        if int(code):
            _, text = self._cuda.cudaGetErrorString(code)
            raise CudaError(int(code), name, bytes(text).decode(errors="replace"))
        return (results[0] if len(results) == 1 else tuple(results)) if results else None


def _bindings() -> Any:
    try:
        from cuda.bindings import runtime
    except Exception as error:  # a half-installed package raises what its loader raises
        raise UnavailableError(
            f"cuda-python cannot be loaded ({type(error).__name__}): "
            "install it with pip install cuda-bindings"
        ) from error
    return runtime


def _dotted(version: int) -> str:
    """12040 -> "12.4"."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _driver_release() -> str:
    """The driver's full version, where the system tells it without a library."""
    try:
        return Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return ""
