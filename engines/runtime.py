"""Runtime: what runs the network, opened by name: all that other packages need of the engines.

`engines.contract` says what a runtime is, `engines.errors` what can go wrong; both can be imported
from here. A new runtime is one file in `engines/runtimes` and one line in `RUNTIMES`.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from typing import Any

from engines.contract import (
    BUCKETS,
    DEFAULT_WEIGHTS,
    FULL,
    NETWORKS,
    SCALES,
    SMALL,
    WEIGHTS,
    Features,
    Image,
    Runtime,
    RuntimeClass,
    check_crop,
    check_exemplars,
)
from engines.errors import EngineError, UnavailableError, WeightsError
from engines.speed_profile import Choice, ProfileError, load
from engines.weights.manifest import (
    has_small,
    installed,
    quantised_files,
    weights_files,
    weights_used,
)

__all__ = [
    "BUCKETS",
    "BY_NAME_ONLY",
    "DEFAULT_WEIGHTS",
    "FULL",
    "LIVE",
    "NETWORKS",
    "RUNTIMES",
    "SCALES",
    "SMALL",
    "WEIGHTS",
    "EngineError",
    "Features",
    "Image",
    "NoRuntimeError",
    "OpenedRuntime",
    "PassedOver",
    "ProfileState",
    "Runtime",
    "RuntimeClass",
    "UnavailableError",
    "WeightsError",
    "check_crop",
    "check_exemplars",
    "check_network",
    "has_small",
    "measured_choice",
    "measured_largest",
    "open_runtime",
    "open_small",
    "runtime_class",
    "scales_in_int8",
    "weights_in_words",
]

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
ON_CPU = ("openvino-cpu", "onnxruntime-cpu")
"""Those that take a number of threads."""
BY_NAME_ONLY = ("torch-cuda",)
"""What "auto" leaves alone: a reference, which stops for seconds at each new bucket."""


@dataclass(frozen=True)
class PassedOver:
    """A runtime that "auto" tried in vain."""

    name: str
    reason: str
    """Why it cannot run here, and what to install; may have several lines."""


@dataclass(frozen=True)
class ProfileState:
    """Whether the speed profile of `calibration.speed` is in use."""

    choice: Choice | None
    """What was measured to be the fastest; None: there is no profile that holds."""
    reason: str = ""
    """Why none holds."""


@dataclass(frozen=True)
class OpenedRuntime:
    """A runtime, and why it is this one. Its owner leaves `runtime` when it is done."""

    name: str
    """As in `RUNTIMES`; the runtime may call itself otherwise while its engines are built."""
    runtime: Runtime
    passed_over: tuple[PassedOver, ...] = ()
    """What "auto" tried first, in that order."""
    profile: ProfileState | None = None
    """None: nobody asked for the speed profile, or it says nothing of this scale."""


class NoRuntimeError(UnavailableError):
    """None of the runtimes that "auto" may take can run here: which were tried, and why not."""

    def __init__(
        self, passed_over: tuple[PassedOver, ...], profile: ProfileState | None = None
    ) -> None:
        self.passed_over, self.profile = passed_over, profile
        reasons = "; ".join(f"{one.name} passed over: {one.reason}" for one in passed_over)
        super().__init__(f"no runtime can run here; {reasons}")


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
    weights: str = DEFAULT_WEIGHTS,
    threads: int | None = None,
) -> OpenedRuntime:
    """Open a runtime by name, or the best that this machine has.

    What `calibration.speed` found to be the fastest comes first, where it still holds.

    Args:    name: "auto" or a name of `RUNTIMES`. scale: 4 or 8. precision: None for the best.
             weights: one of `WEIGHTS`. threads: of a runtime on the CPU; None: as measured, or its
             own choice.
    Returns: the runtime, already open, and why others were not taken.
    Raises:  UnavailableError: it cannot run here, with the reason and the way out;
             NoRuntimeError with "auto".
             WeightsError: the shipped weights are missing or damaged.
    """
    if name != "auto":
        threads = threads if name in ON_CPU else None
        return OpenedRuntime(name, _opened(runtime_class(name), scale, precision, weights, threads))
    passed_over: list[PassedOver] = []
    profile = _profile_state(scale) if precision is None else None
    measured = profile.choice if profile is not None else None
    if profile is not None:
        _log.info("speed profile: %s", measured or f"passed over: {profile.reason}")
    names = [known for known, _ in RUNTIMES if known not in BY_NAME_ONLY]
    if measured is not None:  # first; without it as if nothing were measured
        names.insert(0, measured.runtime)
    for known in names:
        asked = threads if known in ON_CPU else None
        try:
            if measured is not None and known == measured.runtime:
                asked = asked or measured.threads
                runtime = _open(known, scale, measured.precision, weights, asked)
            else:
                runtime = _open(known, scale, precision, weights, asked)
        except WeightsError:  # the same files for all
            raise
        except EngineError as error:
            measured = None
            passed_over.append(PassedOver(known, str(error)))
            _log.info("%s passed over: %s", known, error)
            continue
        _log.info("%s runs x%d", known, scale)
        return OpenedRuntime(known, runtime, tuple(passed_over), profile)
    raise NoRuntimeError(tuple(passed_over), profile)


def open_small(
    like: OpenedRuntime, scale: int, weights: str, threads: int | None = None
) -> Runtime | None:
    """The small network in the runtime that runs the full one.

    Args:    like: the runtime of the full one. scale: 4 or 8. weights: one of `WEIGHTS`.
             threads: as of `open_runtime`.
    Returns: None: none is shipped, or the full one runs on something faster than a CPU.
    Raises:  UnavailableError, WeightsError: as `open_runtime`.
    """
    if like.name not in ON_CPU or not has_small(scale, weights=weights):
        return None
    measured = like.profile.choice if like.profile is not None else None
    files = weights_files(scale, weights=weights, network=SMALL)
    threads = threads or (measured.threads if measured is not None else None)
    more: dict[str, Any] = {"threads": threads} if threads else {}
    # in the best precision: INT8 weights are made of the full network alone
    return runtime_class(like.name)(scale, None, files=files, **more)


def check_network(network: str, weights: str) -> None:
    """Whether the network that a call may take is there and whole, for x4.

    Args:   network: of `NETWORKS`, or "auto": both where there are both. weights: of `WEIGHTS`.
    Raises: WeightsError: it is not.
    """
    if network == "auto":
        network = SMALL if has_small(SCALES[0], weights=weights) else FULL
    weights_files(SCALES[0], weights=weights, network=network)


def measured_choice() -> str:
    """What "auto" begins with because it was measured to be the fastest, in words; "" without a
    measurement. For those whose results must not change on the way."""
    choices = [_measured(scale) for scale in SCALES]
    return "" if not any(choices) else ", ".join(map(str, choices))


def measured_largest(name: str, scale: int = 4) -> int | None:
    """Side of the largest crop with which a runtime holds the frame rate, px, as measured on this
    machine; 0 for none. None: not measured, or it was another runtime that was the fastest."""
    choice = _measured(scale)
    return choice.largest_px if choice is not None and choice.runtime == name else None


def scales_in_int8(name: str) -> tuple[int, ...]:
    """The scales whose INT8 weights `open_runtime(name)` begins with."""
    if name != "auto":
        return ()
    choices = {scale: _measured(scale) for scale in SCALES}
    return tuple(scale for scale, one in choices.items() if one and one.precision == "int8")


def weights_in_words() -> str:
    """Which weights there are, of which those that are taken by default are whole.

    Raises: WeightsError: they are not.
    """
    weights_used()
    names = [one for one in WEIGHTS if all(one in installed(scale) for scale in SCALES)]
    text = ", ".join(f"{one} (default)" if one == DEFAULT_WEIGHTS else one for one in names)
    quantised = [f"x{scale}" for scale in SCALES if quantised_files(scale)]
    return f"{text}; {' and '.join(quantised)} in INT8, too" if quantised else text


def _open(
    name: str, scale: int, precision: str | None, weights: str, threads: int | None = None
) -> Runtime:
    """Open a runtime as "auto" does. Raises: EngineError."""
    found = _class_at(LIVE[name]) if name in LIVE else runtime_class(name)
    return _opened(found, scale, precision, weights, threads)


def _opened(
    found: RuntimeClass,
    scale: int,
    precision: str | None,
    weights: str,
    threads: int | None = None,
) -> Runtime:
    more: dict[str, Any] = {"threads": threads} if threads else {}
    if weights != DEFAULT_WEIGHTS:  # which runtimes take by themselves
        more["weights"] = weights
    return found(scale, precision, **more)


def _measured(scale: int) -> Choice | None:
    """What was measured to be the fastest; None: nothing that holds."""
    state = _profile_state(scale)
    return None if state is None else state.choice


def _profile_state(scale: int) -> ProfileState | None:
    """What the speed profile says of a scale; None: it holds, and says nothing of this one."""
    try:
        choice = load().choices.get(scale)
    except ProfileError as error:
        return ProfileState(None, str(error))
    return None if choice is None else ProfileState(choice)
