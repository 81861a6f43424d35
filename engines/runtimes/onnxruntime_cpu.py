"""HIME on the CPU with ONNX Runtime: installed everywhere, runs everywhere.

Measured, 48 px x4, three exemplars, two cores; kept as they are for it: threads that spin while
they wait gain 11 % and burn the cores that decode and encode the video; one session with fixed
sides for each bucket gains nothing; bound output buffers gain 3 %; without the arena it takes 13 %
longer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.contract import DEFAULT_WEIGHTS, Features, Halves
from engines.errors import UnavailableError
from engines.runtimes.cpu import Array, CpuRuntime, default_threads, files_for, first_line


class OnnxRuntimeCpu(CpuRuntime):
    """The two halves of the network as two sessions. See `engines.contract.Runtime`."""

    name = "onnxruntime-cpu"
    precisions = ("fp32", "int8")

    def __init__(
        self,
        scale: int,
        precision: str | None = None,
        threads: int | None = None,
        files: Halves | None = None,
        weights: str = DEFAULT_WEIGHTS,
    ) -> None:
        """Load the shipped weights for `scale` (4 or 8).

        Args:   precision: "int8", "fp32", or None for fp32. threads: None for one a core, at most
                4. files: other halves, encode and enhance, of this precision.
                weights: which of the shipped ones, of `engines.contract.WEIGHTS`.
        Raises: UnavailableError: ONNX Runtime is missing or too old, or has no such precision.
                WeightsError: a file is missing or is not the one in the manifest.
        """
        if precision not in (None, *self.precisions):
            known = ", ".join(self.precisions)
            raise UnavailableError(f"{self.name} computes in {known}, not {precision}")
        encode, enhance = files_for(scale, precision, files, weights)
        try:
            import onnxruntime
        except ImportError as error:
            raise UnavailableError(
                f"ONNX Runtime cannot be loaded ({error}); install it with: pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or default_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        try:
            self._encode: Any = onnxruntime.InferenceSession(encode, options, providers)
            self._enhance: Any = onnxruntime.InferenceSession(enhance, options, providers)
            self._channels = [int(given.shape[1]) for given in self._enhance.get_inputs()[1:3]]
        except Exception as error:  # the binding raises classes of its own, none of them public
            raise UnavailableError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run the network "
                f"({first_line(error)}); it needs 1.25 or newer: "
                'pip install -U "onnxruntime>=1.25"'
            ) from error
        super().__init__(scale, precision or "fp32")

    def _encode_half(self, exemplars: Array) -> Features:
        hr, query = self._encode.run(None, {"exemplars": exemplars})
        return hr, query

    def _enhance_half(self, crop: Array, features: Features | None) -> Array:
        if features is None:
            # no slot at all: everything about exemplars runs on empty arrays, in no time
            hr, query = (np.zeros((0, c, *crop.shape[2:]), np.float32) for c in self._channels)
        else:
            hr, query = features
        valid = np.ones((1, len(hr)), np.float32)
        given = {"crop": crop, "hr": hr, "query": query, "validity": valid}
        picture: Array = self._enhance.run(None, given)[0]
        return picture

    def _close(self) -> None:
        # the sessions keep their arenas, and faces in them, until they are freed
        self._encode = self._enhance = None
