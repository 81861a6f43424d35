"""SmallNetwork: a TensorFlow Lite network on one thread of the CPU, for what stands beside HIME.

OpenVINO reads these files as they are. A second thread gains little at a few million
multiplications and takes a core from the video.
"""

from __future__ import annotations

import tempfile
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
            core = graph.open_core()
            # It reads this kind of file from a disk alone, and may still need it to compile.
            with tempfile.TemporaryDirectory(prefix="closeup-") as folder:
                path = Path(folder) / "network.tflite"
                path.write_bytes(data)
                model = core.read_model(path)
                compiled = core.compile_model(model, "CPU", OPTIONS)
            self._request: Any = compiled.create_infer_request()
            self.input: Array = np.zeros(tuple(model.input().shape), np.float32)
            """What the network is given; write into it before `run`."""
            self._request.set_input_tensor(graph.share(self.input))
            self._outputs = len(model.outputs)
        except Exception as error:  # the binding raises classes of its own
            raise UnavailableError(
                f"OpenVINO {graph.VERSION} cannot run the network ({first_line(error)})"
            ) from error

    def run(self) -> list[Array]:
        """Run it on `input`. Returns: its outputs, overwritten by the next run."""
        self._request.infer()
        return [self._request.get_output_tensor(index).data for index in range(self._outputs)]

    def close(self) -> None:
        """Free it, and the picture of faces in its memory. May be called twice."""
        self._request = None
        self.input.fill(0.0)
