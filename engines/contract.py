"""Contract: what a runtime is, and what it may be asked. `engines.runtime` opens one.

The network is split for streams. `encode` turns exemplars into features and runs when the bank
changes; `enhance` turns a crop and those features into a patch and runs on every frame.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Features = tuple[NDArray[np.float32], ...]
"""Opaque to callers; the runtime that made it is the only one that reads it. Safe to keep."""

Halves = tuple[Path | bytes, Path | bytes]
"""The network as ONNX: encode and enhance, each a file or what would be in it."""

RESEARCH, OPEN = "research", "open"
WEIGHTS = (RESEARCH, OPEN)
"""What shipped weights were trained on: on footage for research, too, or on openly licensed
pictures alone."""
DEFAULT_WEIGHTS = OPEN
"""Those that everything takes where nobody says which: the only place that says so."""
FULL, SMALL = "full", "small"
NETWORKS = (FULL, SMALL)
"""Sizes in which weights are shipped: the best, and one that a call takes on a CPU that has no time
for it. There is the second for some scales and weights only."""
SCALES = (4, 8)
BUCKETS = {4: (32, 48, 64, 80, 96, 112, 128, 160), 8: (16, 24, 32)}
"""Sides of the crops that are asked for, px, by scale; multiples of 8, as the network wants them.
What is built, warmed up or measured for each size goes by this list."""


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
    """What the registry names: a class of runtimes."""

    name: str
    precisions: tuple[str, ...]
    """What it computes in, the best first: "fp32", "bf16", "fp16", "int8"."""

    def __call__(
        self,
        scale: int,
        precision: str | None = None,
        *,
        threads: int | None = None,
        weights: str = DEFAULT_WEIGHTS,
        files: Halves | None = None,
    ) -> Runtime:
        """Open it.

        Args:   precision: None for the best that this machine has.
                threads: of the processor; left out for what computes on a card.
                weights: one of `WEIGHTS`. files: another network, of this precision; left out for
                what takes none.
        Raises: UnavailableError: it cannot run here, or not in this precision. WeightsError.
        """
        ...
