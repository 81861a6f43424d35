"""HIME on the CPU with ONNX Runtime: the default everywhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engines.manifest import weights_files
from engines.runtime import Features, Image, UnavailableError, check_crop, check_exemplars


def _picture(images: list[Image]) -> NDArray[np.float32]:
    """RGB uint8 (H, W, 3) each -> float32 (N, 3, H, W), 0..1."""
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked, dtype=np.float32) * np.float32(1 / 255)


class OnnxRuntimeCpu:
    """The two halves of the network as two sessions. See `engines.runtime.Runtime`."""

    name = "onnxruntime-cpu"

    def __init__(self, scale: int) -> None:
        """Load the shipped weights for `scale` (4 or 8).

        Raises: UnavailableError: ONNX Runtime is missing or too old.
                WeightsError: a file is missing or is not the one in the manifest.
        """
        encode, enhance = weights_files(scale)
        try:
            import onnxruntime
        except ImportError as error:
            raise UnavailableError(
                f"ONNX Runtime cannot be loaded ({error}); install it with: pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # threads that spin while they wait steal the cores from decoding and encoding
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        try:
            self._encode: Any = onnxruntime.InferenceSession(encode, options, providers)
            self._enhance: Any = onnxruntime.InferenceSession(enhance, options, providers)
        except Exception as error:  # the binding raises classes of its own, none of them public
            line = str(error).splitlines()[0]
            raise UnavailableError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run the network ({line}); "
                'it needs 1.25 or newer: pip install -U "onnxruntime>=1.25"'
            ) from error
        self.scale = scale
        self._channels = int(self._enhance.get_inputs()[1].shape[1])

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`."""
        check_exemplars(exemplars, self.scale)
        hr, query = self._encode.run(None, {"exemplars": _picture(exemplars)})
        return hr, query

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`."""
        side = check_crop(crop)
        if features is None:
            nothing = np.zeros((1, self._channels, side, side), np.float32)
            hr, query, valid = nothing, nothing, np.zeros((1, 1), np.float32)
        else:
            hr, query = features
            valid = np.ones((1, len(hr)), np.float32)
        if hr.shape[2:] != (side, side):
            raise ValueError(f"features for a crop of {hr.shape[2]} px, crop of {side} px")
        given = {"crop": _picture([crop]), "hr": hr, "query": query, "validity": valid}
        picture = self._enhance.run(None, given)[0][0]
        rounded = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
        return np.ascontiguousarray(rounded.transpose(1, 2, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # the sessions keep their arenas, and faces in them, until they are freed
        self._encode = self._enhance = None
