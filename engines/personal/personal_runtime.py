"""Opens personal weights in a runtime."""

from __future__ import annotations

from collections.abc import Callable

from engines.contract import Halves, Runtime
from engines.errors import UnavailableError
from engines.personal.personal_weights import PersonalWeights
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.openvino_cpu import OpenVinoCpu
from engines.runtimes.tensorrt_personal import live_tensorrt, live_tensorrt_rtx

FASTEST: dict[str, Callable[[int, Halves], Runtime]] = {
    "openvino-cpu": lambda scale, halves: OpenVinoCpu(scale, files=halves),
    "onnxruntime-cpu": lambda scale, halves: OnnxRuntimeCpu(scale, files=halves),
}
"""What runs them on a processor, the fastest first. Not in INT8, which is calibrated for the
shipped weights."""
ON_CARDS: dict[str, Callable[[int, Halves], Runtime]] = {
    "tensorrt": live_tensorrt,
    "tensorrt-rtx": live_tensorrt_rtx,
}
"""What runs them on a card, where it runs the shipped weights, too."""


def open_personal(weights: PersonalWeights, like: str = "") -> Runtime:
    """Open personal weights: on the card where the shipped ones run there, else on the processor,
    in bfloat16 where it computes in it, else in float32.

    Args:   like: name of the runtime that runs the shipped weights, as in
            `engines.runtime.RUNTIMES`; the same one is taken where it can run others.
    Raises: UnavailableError: no runtime can. WeightsError: they do not fit the shipped ones.
    """
    halves = weights.halves()
    ways = {name: ON_CARDS[name] for name in ON_CARDS if name == like}
    ways |= {name: FASTEST[name] for name in sorted(FASTEST, key=lambda one: one != like)}
    reasons = []
    for opens in ways.values():
        try:
            return opens(weights.scale, halves)
        except UnavailableError as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(reasons))
