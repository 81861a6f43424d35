"""What the CPU runtimes share: pictures in and out, checks, and one kind of error."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engines.contract import DEFAULT_WEIGHTS, Features, Halves, Image, check_crop, check_exemplars
from engines.errors import EngineError, UnavailableError
from engines.machine import cores
from engines.weights.manifest import quantised_files, weights_files

Array = NDArray[np.float32]
MOST_THREADS = 4
"""A face is little work: further threads wait for each other and take cores from the video."""


def default_threads() -> int:
    """How many threads a runtime uses: $OMP_NUM_THREADS, or one for each core that this process
    may use; at most 4."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isascii() and asked.isdigit() and int(asked) > 0:
        return min(int(asked), MOST_THREADS)
    return min(cores(), MOST_THREADS)


def files_for(
    scale: int, precision: str | None, files: Halves | None, weights: str = DEFAULT_WEIGHTS
) -> Halves:
    """The halves to load: those given, else the shipped ones for this precision.

    Args:   scale: 4 or 8. precision: "int8" or another. files: given by the caller, if any.
            weights: which of the shipped ones, of `engines.contract.WEIGHTS`.
    Raises: UnavailableError: there are none for INT8. WeightsError.
    """
    if files is not None:
        return files
    if precision != "int8":
        return weights_files(scale, weights=weights)
    quantised = quantised_files(scale, weights=weights)
    if quantised is None:
        raise UnavailableError(
            f"no {weights} weights are shipped in INT8 for x{scale}; "
            "python -m calibration.quantisation makes them"
        )
    return quantised


NOT_TELLING = ("Exception from ", "Check '")
"""How OpenVINO begins the lines in which it names its own source files."""


def first_line(error: BaseException) -> str:
    """The first line of an error that says something; bindings like to write pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(NOT_TELLING)]
    return next(iter(telling or lines), type(error).__name__)


class CpuRuntime(ABC):
    """A Runtime whose halves take and give float32 arrays. See `engines.contract.Runtime`."""

    name: str
    precisions: tuple[str, ...]
    """What it can compute in, the best first: "fp32", "bf16"."""

    def __init__(self, scale: int, precision: str) -> None:
        self.scale = scale
        self.precision = precision
        self._open = True

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`. Raises: EngineError: the runtime failed."""
        check_exemplars(exemplars, self.scale)
        self._check_open()
        try:
            return self._encode_half(to_unit(exemplars))
        except Exception as error:
            raise self._failure(error) from error

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`."""
        return True

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`. Raises: EngineError: the runtime failed."""
        return self._pixels(self.enhance_float(crop, features))

    def enhance_float(self, crop: Image, features: Features | None) -> Array:
        """As `enhance`, before clipping and rounding: what parity is measured on.

        Returns: RGB float32 (3, s*b, s*b), about 0..1; overwritten by the next call.
        Raises:  ValueError: the sizes do not fit. EngineError: the runtime failed.
        """
        side = check_crop(crop)
        if features is not None and features[0].shape[2:] != (side, side):
            raise ValueError(f"features for a crop of {features[0].shape[2]} px, crop of {side} px")
        self._check_open()
        try:
            picture: Array = self._enhance_half(to_unit([crop]), features)[0]
        except Exception as error:
            raise self._failure(error) from error
        return picture

    @abstractmethod
    def _encode_half(self, exemplars: Array) -> Features:
        """(S, 4, s*b, s*b) in 0..1 -> hr (S, C, b, b), query (S, C', b, b), which stay valid."""

    @abstractmethod
    def _enhance_half(self, crop: Array, features: Features | None) -> Array:
        """(1, 3, b, b) in 0..1 -> (1, 3, s*b, s*b)."""

    def _pixels(self, picture: Array) -> Image:
        """The picture that was made last, (3, H, W), as RGB uint8 (H, W, 3), a new array."""
        picture = np.clip(picture, 0, 1) * np.float32(255) + np.float32(0.5)
        return np.ascontiguousarray(picture.astype(np.uint8).transpose(1, 2, 0))

    @abstractmethod
    def _close(self) -> None:
        """Free the network and the memory in which it keeps faces."""

    def _check_open(self) -> None:
        if not self._open:
            raise EngineError(f"{self.name} is closed")

    def _failure(self, error: Exception) -> EngineError:
        return EngineError(f"{self.name} failed: {first_line(error)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._open = False
        self._close()


def to_unit(images: list[Image]) -> Array:
    """uint8 (H, W, C) each -> float32 (N, C, H, W), 0..1."""
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(stacked, dtype=np.float32) * np.float32(1 / 255)
