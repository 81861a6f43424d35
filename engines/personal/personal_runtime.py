"""Opens personal weights in a runtime."""

from __future__ import annotations

from collections.abc import Callable

from engines.contract import Halves, Runtime
from engines.errors import UnavailableError
from engines.personal.personal_weights import PersonalWeights
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.openvino_cpu import OpenVinoCpu

FASTEST: dict[str, Callable[[int, Halves], Runtime]] = {
    "openvino-cpu": lambda scale, halves: OpenVinoCpu(scale, files=halves),
    "onnxruntime-cpu": lambda scale, halves: OnnxRuntimeCpu(scale, files=halves),
}
"""What runs them, the fastest first. Not in INT8, which is calibrated for the shipped weights; not
by TensorRT, whose engines are built for them."""


def open_personal(weights: PersonalWeights, like: str = "") -> Runtime:
    """Open personal weights, in bfloat16 where the processor computes in it, else in float32.

    Args:   like: name of the runtime that runs the shipped weights; the same one is taken where it
            can run others.
    Raises: UnavailableError: no runtime can. WeightsError: they do not fit the shipped ones.
    """
    halves = weights.halves()
    names = sorted(FASTEST, key=lambda name: name != like)
    reasons = []
    for name in names:
        try:
            return FASTEST[name](weights.scale, halves)
        except UnavailableError as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(reasons))
