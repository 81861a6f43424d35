"""DemoSource: a call of ten seconds that knows what it should look like.

The scene of `demo_scene`, seen by a webcam (noise that grows with the light) and sent through a
real H.264 encoder and decoder at the bit rate of a call. Every run gives the same frames.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Frame, Image
from stream.media.codec_line import CodecLine
from stream.media.demo.demo_scene import DURATION_S, DemoScene, DemoTruth
from stream.media.demo.demo_sound import SOUND_RATE_HZ, make_sound

RATE = Fraction(25)
BIT_RATE = 1_200_000
"""Bits a second: what a 720p call gets on an ordinary line."""
READ_NOISE = 1.3
SHOT_NOISE = 0.042
"""Noise variance in 8-bit levels: READ_NOISE² + SHOT_NOISE x level."""


class DemoSource:
    """A call with sound, 1280x720 at 25 frames a second; iterate it for frames.

    Each frame carries a `DemoTruth` as `frame.truth`. Iterating again starts again.

    Args:   duration_s: stop earlier than the ten seconds of the whole call.
    Raises: InputError: the portrait is not there (matplotlib is missing).
            ValueError: the duration is not within 0..10 s.
    """

    live = False
    rate = RATE
    time_base = 1 / RATE
    sound_rate = SOUND_RATE_HZ

    def __init__(self, duration_s: float = DURATION_S) -> None:
        if not 0.0 < duration_s <= DURATION_S:
            raise ValueError(f"the demo lasts up to {DURATION_S:g} s, not {duration_s:g}")
        self.scene = DemoScene()
        self.width, self.height = self.scene.size
        self.frames_total = round(duration_s * RATE)
        self.sound: Floats = make_sound(self.frames_total / float(RATE))
        """float32 (n,), mono, -1..1, at `sound_rate`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __iter__(self) -> Iterator[Frame]:
        camera = Sensor()
        line = CodecLine((self.width, self.height), RATE, BIT_RATE)
        waiting: deque[int] = deque()
        for index in range(self.frames_total):
            waiting.append(index)
            captured_ns = time.monotonic_ns()
            for image in line.send(camera.take(self._clean(index)), index):
                yield self._frame(image, waiting.popleft(), captured_ns)
        for image in line.end():
            yield self._frame(image, waiting.popleft(), time.monotonic_ns())

    def truth_at(self, index: int) -> DemoTruth:
        """What the scene looks like in the frame `index`."""
        return DemoTruth(self.scene, float(index / RATE))

    def _clean(self, index: int) -> Image:
        whole = (0.0, 0.0, float(self.width), float(self.height))
        return self.truth_at(index).render(whole, (self.width, self.height))

    def _frame(self, image: Image, index: int, captured_ns: int) -> Frame:
        return Frame(
            image=image,
            index=index,
            pts=index,
            time_base=self.time_base,
            captured_ns=captured_ns,
            truth=self.truth_at(index),
        )


class Sensor:
    """A webcam's noise: a grainy tile drawn once, moved to a random place in every frame.

    Args: seed: of the noise. gain: how much stronger it is; 2 to 3 in bad light.
    """

    _margin = 96

    def __init__(self, seed: int = 5, gain: float = 1.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._tile: NDArray[np.float32] | None = None
        levels = np.arange(256, dtype=np.float32)
        deviation = gain * np.sqrt(READ_NOISE**2 + SHOT_NOISE * levels)
        self._deviation = deviation.astype(np.float32)

    def take(self, clean: Image) -> Image:
        """RGB uint8 (H, W, 3) with noise, a new array; pictures of one size only."""
        height, width = clean.shape[:2]
        if self._tile is None:
            shape = (height + self._margin, width + self._margin, 3)
            tile = self._rng.standard_normal(shape, np.float32)
            # A sensor measures one colour a pixel; the others come from neighbours.
            tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), 0.6), np.float32)
            self._tile = tile / tile.std()
        top, left = self._rng.integers(0, self._margin, 2)
        grain = self._tile[top : top + height, left : left + width]
        if self._rng.integers(2):
            grain = grain[:, ::-1]
        noisy = clean + grain * cv2.LUT(clean, self._deviation)
        return np.asarray(np.clip(np.rint(noisy), 0, 255), np.uint8)
