"""Runtime: what runs the network, opened by name: all that other packages need of the engines.

`engines.contract` says what a runtime is, `engines.errors` what can go wrong; both can be imported
from here. A new runtime is one file in `engines/runtimes` and one line in `RUNTIMES`.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable

from engines.contract import (
    BUCKETS,
    SCALES,
    Features,
    Image,
    Runtime,
    RuntimeClass,
    check_crop,
    check_exemplars,
)
from engines.errors import EngineError, UnavailableError, WeightsError
from engines.speed_profile import Choice, ProfileError, load

__all__ = [
    "BUCKETS",
    "BY_NAME_ONLY",
    "LIVE",
    "PROFILE",
    "RUNTIMES",
    "SCALES",
    "EngineError",
    "Features",
    "Image",
    "Runtime",
    "RuntimeClass",
    "UnavailableError",
    "WeightsError",
    "check_crop",
    "check_exemplars",
    "measured_choice",
    "measured_largest",
    "open_runtime",
    "runtime_class",
    "scales_in_int8",
]

PROFILE = "speed profile"
_log = logging.getLogger(__name__)

RUNTIMES = (
    ("tensorrt", "engines.runtimes.tensorrt_gpu:TensorrtGpu"),
    ("tensorrt-rtx", "engines.runtimes.tensorrt_gpu:TensorrtRtx"),
    ("torch-cuda", "engines.runtimes.torch_cuda:TorchCuda"),
    ("openvino-cpu", "engines.runtimes.openvino_cpu:OpenVinoCpu"),
    ("onnxruntime-cpu", "engines.runtimes.onnxruntime_cpu:OnnxRuntimeCpu"),
)
"""Name and "module:class" of each runtime, in the order in which "auto" tries them. A module is
imported when its runtime is tried, and imports its own packages only when it is opened."""

LIVE = {
    "tensorrt": "engines.runtimes.tensorrt_gpu:LiveTensorrt",
    "tensorrt-rtx": "engines.runtimes.tensorrt_gpu:LiveTensorrtRtx",
}
"""What "auto" opens under a name instead: with the CPU until the engines are built."""
BY_NAME_ONLY = ("torch-cuda",)
"""What "auto" leaves alone: a reference, which stops for seconds at each new bucket."""


def runtime_class(name: str) -> RuntimeClass:
    """The class behind a name of `RUNTIMES`.

    Raises: UnavailableError: no runtime has this name.
    """
    for known, place in RUNTIMES:
        if known == name:
            return _class_at(place)
    names = ", ".join(("auto", *(known for known, _ in RUNTIMES)))
    raise UnavailableError(f'no runtime is named "{name}"; choose one of {names}')


def _class_at(place: str) -> RuntimeClass:
    module, attribute = place.split(":")
    found: RuntimeClass = getattr(importlib.import_module(module), attribute)
    return found


def open_runtime(
    name: str = "auto",
    scale: int = 4,
    precision: str | None = None,
    report: Callable[[str], None] = _log.info,
) -> Runtime:
    """Open a runtime by name, or the best that this machine has.

    What `calibration.speed` found to be the fastest comes first, where it still holds.

    Args:   name: "auto" or a name of `RUNTIMES`. scale: 4 or 8. precision: None for the best.
            report: with "auto" gets a line on the speed profile, which begins with `PROFILE`, one
            for each runtime that was passed over, with the reason, and one for the choice; by
            default they go to the log.
    Raises: UnavailableError: it cannot run here, with the reason and the way out.
            WeightsError: the shipped weights are missing or damaged.
    """
    if name != "auto":
        return runtime_class(name)(scale, precision)
    reasons = []
    measured = _measured(scale, report) if precision is None else None
    names = [known for known, _ in RUNTIMES if known not in BY_NAME_ONLY]
    if measured is not None:  # first; without it as if nothing were measured
        names.insert(0, measured.runtime)
    for known in names:
        try:
            if measured is not None and known == measured.runtime:
                runtime = _open(known, scale, measured.precision, measured.threads)
            else:
                runtime = _open(known, scale, precision)
        except WeightsError:  # the same files for all
            raise
        except EngineError as error:
            measured = None
            reasons.append(f"{known} passed over: {error}")
            report(reasons[-1])
            continue
        report(f"{known} runs x{scale}")
        return runtime
    raise UnavailableError("no runtime can run here; " + "; ".join(reasons))


def measured_choice() -> str:
    """What "auto" begins with because it was measured to be the fastest, in words; "" without a
    measurement. For those whose results must not change on the way."""
    choices = [_measured(scale, lambda line: None) for scale in SCALES]
    return "" if not any(choices) else ", ".join(map(str, choices))


def measured_largest(name: str, scale: int = 4) -> int | None:
    """Side of the largest crop with which a runtime holds the frame rate, px, as measured on this
    machine; 0 for none. None: not measured, or it was another runtime that was the fastest."""
    choice = _measured(scale, lambda line: None)
    return choice.largest_px if choice is not None and choice.runtime == name else None


def scales_in_int8(name: str) -> tuple[int, ...]:
    """The scales whose INT8 weights `open_runtime(name)` begins with."""
    if name != "auto":
        return ()
    choices = {scale: _measured(scale, lambda line: None) for scale in SCALES}
    return tuple(scale for scale, one in choices.items() if one and one.precision == "int8")


def _open(name: str, scale: int, precision: str | None, threads: int | None = None) -> Runtime:
    """Open a runtime as "auto" does. Raises: EngineError."""
    found = _class_at(LIVE[name]) if name in LIVE else runtime_class(name)
    return found(scale, precision, threads=threads) if threads else found(scale, precision)


def _measured(scale: int, report: Callable[[str], None]) -> Choice | None:
    """What was measured to be the fastest; None, with the reason reported: nothing that holds."""
    try:
        choice = load().choices.get(scale)
    except ProfileError as error:
        report(f"{PROFILE} passed over: {error}")
        return None
    if choice is not None:
        report(f"{PROFILE}: {choice}")
    return choice
