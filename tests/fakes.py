"""Fakes: stand-ins with the manners of the real thing, for tests of the parts around them."""

from __future__ import annotations

from typing import Any, Self

import cv2
import numpy as np

from engines.runtime import Features, OpenedRuntime
from stream.frame import Image
from stream.image.detection import Detection
from tests.pictures import detection


class BicubicRuntime:
    """A Runtime that enlarges bicubically and keeps a diary.

    It refuses what a real one refuses: empty lists, wrong sizes, use outside `with`.
    """

    def __init__(self, scale: int) -> None:
        self.name = "bicubic"
        self.scale = scale
        self.encoded: list[list[Image]] = []
        self.enhanced: list[tuple[Image, Features | None]] = []
        self.is_open = False
        self.opened = 0

    def encode(self, exemplars: list[Image]) -> Features:
        assert self.is_open, "used outside of `with`"
        if not exemplars:
            raise ValueError("no exemplars")
        sides = {image.shape for image in exemplars}
        side = exemplars[0].shape[0]
        if sides != {(side, side, 4)}:
            raise ValueError(f"exemplars of different or wrong sizes: {sides}")
        self.encoded.append(exemplars)
        return (np.array([exemplars[0].shape[0] // self.scale], np.float32),)

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        return True

    def enhance(self, crop: Image, features: Features | None) -> Image:
        assert self.is_open, "used outside of `with`"
        side = crop.shape[0]
        if crop.shape != (side, side, 3) or side % 8 or crop.dtype != np.uint8:
            raise ValueError(f"a crop of {crop.shape} {crop.dtype}")
        if features is not None and int(features[0][0]) != side:
            raise ValueError("features of another crop size")
        self.enhanced.append((crop, features))
        size = (side * self.scale, side * self.scale)
        return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)

    def __enter__(self) -> Self:
        self.is_open = True
        self.opened += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.is_open = False


class OneFace:
    """A detector that sees the face where it is: a large one, then a far one."""

    def __init__(self, *, later: bool = False) -> None:
        self.width = 170.0
        self.closed = False
        self.loaded = not later
        self.made_later: list[bool] = []

    def made(self, *, later: bool = False) -> OneFace:
        """In the place of the class, whose arguments it takes: itself, again and again."""
        self.made_later.append(later)
        self.loaded = not later
        return self

    def load(self) -> None:
        self.loaded = True

    def detect(
        self, image: Image, region: tuple[int, int, int, int] | None = None, model: str = "short"
    ) -> list[Detection]:
        face = detection(image.shape[1] / 2, image.shape[0] / 2, self.width, 0.95)
        left, top, right, bottom = region or (0, 0, image.shape[1], image.shape[0])
        x, y = image.shape[1] / 2, image.shape[0] / 2
        return [face] if left <= x < right and top <= y < bottom else []

    def close(self) -> None:
        self.closed = True


class OpenedRuntimes:
    """In the place of `open_runtime`: keeps what was opened."""

    def __init__(self) -> None:
        self.runtimes: list[BicubicRuntime] = []
        self.names: list[str] = []
        self.weights: list[str] = []
        self.threads: list[int | None] = []

    def __call__(
        self, name: str, scale: int, *, weights: str, threads: int | None = None
    ) -> OpenedRuntime:
        self.threads.append(threads)
        self.weights.append(weights)
        self.names.append(name)
        self.runtimes.append(BicubicRuntime(scale))
        return OpenedRuntime("bicubic", self.runtimes[-1])


class Loopback:
    """pyvirtualcam.Camera, which counts."""

    device = "/dev/video9"
    opened: list[Any] = []  # noqa: RUF012

    def __init__(self, width: int, height: int, fps: float, *, fmt: str) -> None:
        self.size = (width, height, fps, fmt)
        self.sent = 0
        self.is_open = True
        Loopback.opened.append(self)

    def send(self, image: Any) -> None:
        self.sent += 1

    def close(self) -> None:
        self.is_open = False
