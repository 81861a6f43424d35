"""Personal weights on NVIDIA cards: engines are refit with them, and not built for them.

One pair of engines for each bucket is built with the shipped weights, so that their weights can be
changed (a refittable engine), and kept on disk like all others. For a person they are read, get the
personal weights on the card, and are tested against the CPU. Personal weights are biometric data:
they are in memory and on the card only, and no engine that has them is written.

Source: NVIDIA's TensorRT documentation, "Refitting an Engine", directly from ONNX.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engines.contract import Halves, Runtime
from engines.errors import EngineError, UnavailableError
from engines.runtimes.fallback_runtime import FallbackRuntime
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.openvino_cpu import OpenVinoCpu
from engines.runtimes.tensorrt_gpu import Ports, TensorrtGpu, TensorrtRtx
from engines.tensorrt.bucket import Bucket, answer_of
from engines.tensorrt.build import Options, Progress
from engines.tensorrt.engine import RefitError
from engines.tensorrt.engine_cache import Entry, RefusedError


class PersonalTensorrt(TensorrtGpu):
    """See `TensorrtGpu`.

    Args:   scale: 4 or 8. personal: the network with a person's weights.
            more: as of `TensorrtGpu`.
    Raises: UnavailableError, WeightsError: as `TensorrtGpu`.
    """

    def __init__(self, scale: int, personal: Halves, **more: Any) -> None:
        options = replace(more.pop("options", None) or Options(), refit=True)
        super().__init__(scale, options=options, **more)
        self._personal = personal

    def _open(self, side: int, progress: Progress) -> Bucket:
        """As of `TensorrtGpu`. What refuses other weights is not asked again, nor built again."""
        refused = {**self._general(), "refused": "weights"}
        known = self._cache.load(refused)
        if known is not None:
            raise EngineError(known["reason"].decode(errors="replace"))
        try:
            return super()._open(side, progress)
        except RefitError as error:
            self._cache.store(refused, {"reason": str(error).encode()})
            raise

    def _take(self, entry: Entry, ports: Ports, side: int) -> Bucket:
        weights = self._models(self._personal, side)
        with OnnxRuntimeCpu(self.scale, "fp32", files=self._personal) as reference:
            answer = answer_of(reference, side)
        bucket = Bucket(self._api, self._card, entry, ports, self.scale, weights)
        try:
            return self._tested(bucket, answer)
        except RefusedError as error:
            raise RefitError(f"with other weights {error}") from error


class PersonalTensorrtRtx(PersonalTensorrt):
    """The same with TensorRT for RTX."""

    name = TensorrtRtx.name


def _on_cpu(scale: int, personal: Halves) -> Runtime:
    try:
        return OpenVinoCpu(scale, files=personal)
    except UnavailableError:
        return OnnxRuntimeCpu(scale, files=personal)


def _live(opens: Callable[[int, Halves], PersonalTensorrt]) -> Callable[[int, Halves], Runtime]:
    """For calls: the CPU answers until the engines are there, and after they have failed."""

    def live(scale: int, personal: Halves) -> Runtime:
        better = opens(scale, personal)  # first: where there is no card, nothing else is opened
        return FallbackRuntime(_on_cpu(scale, personal), better)

    return live


live_tensorrt = _live(PersonalTensorrt)
live_tensorrt_rtx = _live(PersonalTensorrtRtx)
