"""Framing: which part of the scene the output shows, and how large.

`fixed` shows the whole picture, on a canvas `scale` times larger. `auto` is a virtual camera: it
moves only when there is a reason to, and then smoothly.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from stream.errors import ConfigError
from stream.frame import Frame, View
from stream.image.resample import Rect, Size
from stream.picture_options import API_SCALE
from stream.protocols import Stage
from stream.stages.framing.camera_controller import CameraController

Mode = Literal["auto", "fixed"]
SMALLEST_PX: dict[Mode, int] = {"auto": 16, "fixed": 2}
"""Sides: a camera that moves needs room, and no encoder writes 4:2:0 of a single line."""


class Framing(Stage):
    """Sets `frame.view`.

    Args:   mode: "auto" or "fixed". source_size: (width, height) of the camera's picture, px.
            scale: output over source size, for "fixed". rate: nominal frames a second.
            odd: a picture whose size stays may keep an odd side.
    Raises: ConfigError: the scale or the size is out of range.
    """

    name = "framing"

    def __init__(
        self, mode: Mode, source_size: Size, scale: float, rate: Fraction, *, odd: bool = False
    ) -> None:
        width, height = source_size
        if min(width, height) < SMALLEST_PX[mode]:
            raise ConfigError(f"a picture of {width}x{height} is too small to work with")
        API_SCALE.check(scale)
        factor = scale if mode == "fixed" else 1.0
        self.source_size = source_size
        self.output_size: Size = (_even(width * factor), _even(height * factor))
        if odd and factor == 1.0:
            self.output_size = source_size
        self._whole = _largest(source_size, self.output_size)
        self._in_place = mode == "fixed"
        self._nominal_s = float(1 / rate)
        self._operator = (
            None
            if mode == "fixed"
            else CameraController(self._whole, source_size, self.output_size)
        )
        self._last_s: float | None = None
        self._last_rect = self._whole

    @property
    def whole(self) -> View:
        """As much of the picture as the output can show."""
        return View(self._whole, self.output_size, in_place=self._in_place)

    def __call__(self, frame: Frame) -> Frame:
        """Choose the view of this frame.

        Raises: ValueError: the picture does not have the size that was announced.
        """
        height, width = frame.image.shape[:2]
        if (width, height) != self.source_size:
            raise ValueError(f"a picture of {width}x{height} in a run of {self.source_size}")
        rect = self._whole
        if self._operator is not None:
            step_s = self._nominal_s if self._last_s is None else frame.time_s - self._last_s
            self._last_s = frame.time_s
            # A clock that stands still or jumps (a pause, a new stream) must not fling the view.
            step_s = self._nominal_s if step_s <= 0.0 else min(step_s, 1.0)
            rect = self._operator.follow(frame.faces, step_s)
        moving, self._last_rect = rect != self._last_rect, rect
        return replace(frame, view=View(rect, self.output_size, moving, self._in_place))


def _even(length: float) -> int:
    """An even number of pixels: 4:2:0 pictures need it. Not a larger one: a picture that is to
    stay as it is would have to be resampled."""
    return max(2, 2 * math.floor(length / 2.0 + 1e-6))


def _largest(source_size: Size, output_size: Size) -> Rect:
    """The largest rectangle with the output's aspect, in the middle of the source."""
    width, height = float(source_size[0]), float(source_size[1])
    if all(0 <= s - o < 2 for s, o in zip(source_size, output_size, strict=True)):
        # An odd side loses its last line; resampling would change every pixel for it.
        return (0.0, 0.0, float(output_size[0]), float(output_size[1]))
    if source_size[0] * output_size[1] == source_size[1] * output_size[0]:
        return (0.0, 0.0, width, height)
    factor = min(width / output_size[0], height / output_size[1])
    wide, high = output_size[0] * factor, output_size[1] * factor
    left, top = (width - wide) / 2.0, (height - high) / 2.0
    return (left, top, left + wide, top + high)
