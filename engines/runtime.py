"""Runtime: what runs the network, behind one small protocol.

The network is split for streams. `encode` turns exemplars into features and runs when the bank
changes; `enhance` turns a crop and those features into a patch and runs on every frame.

    EngineError                 base of the errors below; `str(error)` is one line
    ├── UnavailableError        the runtime cannot run here: why, and what to install
    └── WeightsError            a weights file is missing or is not the one the manifest names
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engines.speed_profile import Choice

Image = NDArray[np.uint8]
Features = tuple[NDArray[np.float32], ...]
"""Opaque to callers; the runtime that made it is the only one that reads it. Safe to keep."""

SCALES = (4, 8)
BUCKETS = {4: (32, 48, 64, 80, 96, 112, 128, 160), 8: (16, 24, 32)}
"""Sides of the crops that are asked for, px, by scale; multiples of 8, as the network wants them.
What is built, warmed up or measured for each size goes by this list."""
PROFILE = "speed profile"
_log = logging.getLogger(__name__)


class EngineError(Exception):
    """Base of the errors of this package."""


class UnavailableError(EngineError):
    """The runtime cannot run on this machine; says why and what to install."""


class WeightsError(EngineError):
    """A weights file is missing, damaged, or not the one that the manifest names."""


class Runtime(Protocol):
    """Runs HIME at one scale. A context manager; not thread-safe: one owner.

    Shapes: n exemplars, crop side b px (a multiple of 8), scale s.
    """

    name: str
    """For example "onnxruntime-cpu"."""
    scale: int
    """s: 4 or 8."""

    def encode(self, exemplars: list[Image]) -> Features:
        """Features of exemplars that are aligned to a crop, see `engines.alignment`.

        Args:    exemplars: RGBA uint8 (s*b, s*b, 4) each, at least one; A is the confidence.
        Returns: features for `enhance` with crops of side b.
        Raises:  ValueError: the list is empty or the sizes differ.
        """
        ...

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """False: for crops of this side something has to be compiled, and the background can do it.

        For calls, which show something else meanwhile; `enhance` would just take longer. From any
        thread.

        Args: soon: have that done in the background.
        """
        ...

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """Enlarge a crop s times with the help of exemplars; run on every frame.

        Args:    crop: RGB uint8 (b, b, 3).
                 features: from `encode` at the same b, or None for no exemplar.
        Returns: RGB uint8 (s*b, s*b, 3), a new array.
        Raises:  ValueError: the sizes do not fit.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def check_crop(crop: Image) -> int:
    """Side of a crop that a runtime can take.

    Raises: ValueError: it is not RGB uint8 (b, b, 3) with an even b of at least 8.
    """
    side = int(crop.shape[0])
    if crop.dtype != np.uint8 or crop.shape != (side, side, 3) or side < 8 or side % 2:
        raise ValueError(f"a crop must be RGB uint8 (b, b, 3), b even: {crop.dtype} {crop.shape}")
    return side


def check_exemplars(exemplars: list[Image], scale: int) -> None:
    """Raises: ValueError: not all are RGBA uint8 (s b, s b, 4) of one size with an even b."""
    shapes = {image.shape for image in exemplars}
    if len(shapes) != 1:
        raise ValueError(f"exemplars must be at least one and of one size: {sorted(shapes)}")
    (shape,) = shapes
    side = shape[0]
    if shape != (side, side, 4) or side % (2 * scale):
        raise ValueError(
            f"an aligned exemplar must be RGBA uint8 ({scale} b, {scale} b, 4), b even: {shape}"
        )


class RuntimeClass(Protocol):
    """What `RUNTIMES` names: a class of runtimes."""

    name: str
    precisions: tuple[str, ...]
    """What it computes in, the best first: "fp32", "bf16", "fp16", "int8"."""

    def __call__(
        self, scale: int, precision: str | None = None, *, threads: int | None = None
    ) -> Runtime:
        """Open it.

        Args:   precision: None for the best that this machine has.
                threads: of the processor; left out for what computes on a card.
        Raises: UnavailableError: it cannot run here, or not in this precision. WeightsError.
        """
        ...


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
    from engines.speed_profile import ProfileError, load

    try:
        choice = load().choices.get(scale)
    except ProfileError as error:
        report(f"{PROFILE} passed over: {error}")
        return None
    if choice is not None:
        report(f"{PROFILE}: {choice}")
    return choice
