"""SmallNetwork: a TensorFlow Lite network on one thread of the CPU, for what stands beside HIME.

OpenVINO reads these files as they are. A second thread gains little at a few million
multiplications and takes a core from the video.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import UnavailableError
from engines.runtimes.cpu import first_line

Array = NDArray[np.float32]
OPTIONS: dict[str, Any] = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",
    # Bound threads all begin at the first core: several networks, and several processes, would
    # share it, and wait for whatever else runs there, while other cores are idle.
    "ENABLE_CPU_PINNING": False,
}


SHARED_BY = 4
"""So many users of the same file share its compiled form (10 MB of each of the two that detect
faces). It runs for one at a time; more would wait for each other. One is kept when nobody uses it:
the next call, or the next recording of an archive, begins sooner."""


@dataclass(eq=False)
class _Compiled:
    """A compiled network and how many use it."""

    model: Any
    users: int = 0


_lock = threading.RLock()  # a network may be forgotten, and freed, while it is held
_compiled: dict[bytes, list[_Compiled]] = {}
"""By the SHA-256 of the file; guarded by the lock."""


class SmallNetwork:
    """One network, compiled. Not for use by several threads at once.

    In float32: bfloat16, a third faster, moved boxes of face detection by up to 15 px of 1280.

    Args:   data: the .tflite file.
    Raises: UnavailableError: OpenVINO is missing, cannot be loaded, or cannot run it.
    """

    def __init__(self, data: bytes) -> None:
        try:
            import engines.runtimes.openvino_graph as graph
        except (ImportError, OSError) as error:
            raise UnavailableError(f"OpenVINO cannot be loaded ({error})") from error
        try:
            compiled = _take(graph, data)
            self._let_go = weakref.finalize(self, _leave, compiled)
            self._request: Any = compiled.model.create_infer_request()
            self.input: Array = np.zeros(tuple(compiled.model.input().shape), np.float32)
            """What the network is given; write into it before `run`."""
            self._request.set_input_tensor(graph.share(self.input))
            self._outputs = len(compiled.model.outputs)
        except Exception as error:  # the binding raises classes of its own
            raise UnavailableError(
                f"OpenVINO {graph.VERSION} cannot run the network ({first_line(error)})"
            ) from error

    def run(self) -> list[Array]:
        """Run it on `input`. Returns: its outputs, overwritten by the next run."""
        self._request.infer()
        return [self._request.get_output_tensor(index).data for index in range(self._outputs)]

    def close(self) -> None:
        """Free it, and the picture of faces in its memory. May be called again."""
        self.input.fill(0.0)
        if self._request is not None:
            self._request.infer()  # others may go on with the compiled network
        self._request = None
        self._let_go()


def _take(graph: Any, data: bytes) -> _Compiled:
    """The compiled form of a file, for one more user."""
    key = hashlib.sha256(data).digest()
    with _lock:
        if (one := _with_room(key)) is not None:
            one.users += 1
            return one
    new = _Compiled(_compile(graph, data))  # others are compiled meanwhile, in other threads
    with _lock:
        if (one := _with_room(key)) is None:
            one = new
            _compiled.setdefault(key, []).append(one)
        one.users += 1
        return one


def _with_room(key: bytes) -> _Compiled | None:
    """The compiled form of a file that one more may use; the caller holds the lock."""
    return next((one for one in _compiled.get(key, ()) if one.users < SHARED_BY), None)


def _compile(graph: Any, data: bytes) -> Any:
    with _lock:
        core = graph.open_core()
    # It reads this kind of file from a disk alone, and may still need it to compile.
    with tempfile.TemporaryDirectory(prefix="closeup-") as folder:
        path = Path(folder) / "network.tflite"
        path.write_bytes(data)
        return core.compile_model(core.read_model(path), "CPU", OPTIONS)


def _leave(compiled: _Compiled) -> None:
    """One user less; without any it is kept if it is the only one of its file."""
    with _lock:
        compiled.users -= 1
        if not compiled.users:
            for known in _compiled.values():
                if compiled in known and len(known) > 1:
                    known.remove(compiled)
