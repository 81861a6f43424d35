"""The Python API: pictures in, pictures out, whatever they come from.

    from stream import Enhancer

    with Enhancer() as enhancer:
        sharp = enhancer(image)

This drives an `stream.session.EnhancementSession`, one picture at a time, in the caller's thread.
(The stage that runs the network is called the same, `stream.stages.enhancement.enhancer.Enhancer`;
it is a part.)
"""

from __future__ import annotations

import math
import time
from fractions import Fraction
from typing import Self

import numpy as np

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.errors import ConfigError
from stream.frame import Frame, Image
from stream.graph import Stages
from stream.option_table import NETWORK, RUNTIME, WEIGHTS
from stream.picture_options import API_SCALE, DETAIL, FRAMING, RATE, SPEED, STRENGTH, Speed
from stream.picture_settings import PictureSettings
from stream.session import EnhancementSession
from stream.stages.framing.framing import Mode

CLOCK = Fraction(1, 90_000)


class Enhancer(PictureSettings):
    """Makes the faces of one person after another sharp, in the pictures of one camera or call.

    One for each camera: it follows the people from picture to picture and remembers, in memory
    alone, what they look like close up. Not thread-safe, except `forget`. A context manager.

    Args:   framing: "auto", a virtual camera follows the people and the size of the pictures
            stays; "fixed", the whole picture, `scale` times as large.
            scale: 0.25 to 8; other than 1 needs "fixed", where 1 restores faces in place.
            strength: of the enhancement, 0..1; may be set later, as `strength`.
            detail: how much fine detail is shown: 0 what is surest, 1 about as sharp as the truth;
            may be set later, as `detail`.
            runtime: what runs the network: "auto" or a name of `engines.runtime.RUNTIMES`.
            weights: of the network: "open" (CC BY 4.0) or "research" (research only), see
            `engines/weights/README.md`.
            network: of these weights: "full"; "small", which is faster on a CPU; "auto": the full
            one, unless speed is "fast".
            speed: "best": the network runs in every picture; "fast": in every other one, and its
            detail is carried along the motion.
            rate: nominal pictures a second.
            camera: what it gives, where that was measured.
    Raises: ConfigError: an argument is out of range or no number, or scale contradicts framing.
    """

    def __init__(
        self,
        *,
        framing: Mode = FRAMING.default,
        scale: float = 1.0,
        strength: float = STRENGTH.default,
        detail: float = DETAIL.default,
        runtime: str = RUNTIME.default,
        weights: str = WEIGHTS.default,
        network: str = NETWORK.default,
        speed: Speed = SPEED.default,
        rate: float = RATE.default,
        camera: CameraProfile = ANY_CAMERA,
    ) -> None:
        super().__init__(strength, detail)
        FRAMING.check(framing)
        API_SCALE.check(scale)
        scale, rate = float(scale), RATE.check(rate)
        WEIGHTS.check(weights)
        NETWORK.check(network)
        self._speed = SPEED.check(speed)
        if framing == "auto" and scale != 1.0:
            raise ConfigError(f'scale {scale:g} needs framing "fixed"; "auto" keeps the size')
        self._framing: Mode = framing
        self._scale = scale
        self._rate = Fraction(rate).limit_denominator(1001)
        self._runtime, self._weights, self._network = runtime, weights, network
        self._camera = camera
        self._session: EnhancementSession | None = None
        self._size = (0, 0)
        self._frames = 0
        self._started_s = time.monotonic()
        self._closed = False

    def __call__(self, image: Image, time_s: float | None = None) -> Image:
        """Enhance the next picture.

        The first call loads the models, and the first far-away face opens the runtime.

        Args:    image: RGB uint8 (H, W, 3), H and W from 16 px; never written to. Its size may
                 change on the way: people are followed and remembered across the change.
                 time_s: when it was taken, seconds on any clock that goes forward; by default now.
        Returns: RGB uint8 of the same size, or with framing "fixed" `scale` times as large (sides
                 rounded to even numbers); a new array.
        Raises:  ValueError: the picture is not RGB uint8, or time_s is not finite.
                 ConfigError: it is too small. ModelError: the detector's models cannot be had.
                 EngineError: the runtime cannot be opened.
                 RuntimeError: it was closed.
        """
        if self._closed:
            raise RuntimeError("the enhancer was closed; make a new one")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"a picture must be RGB uint8 (H, W, 3): {image.dtype} {image.shape}")
        now_s = time.monotonic() - self._started_s if time_s is None else time_s
        if not math.isfinite(now_s):
            raise ValueError(f"time_s must be a finite number of seconds, not {now_s}")
        session = self._session_for((image.shape[1], image.shape[0]))
        frame = Frame(image, self._frames, round(now_s / CLOCK), CLOCK, time.monotonic_ns())
        self._frames += 1
        frame = session.process(frame)
        session.hand_on(frame)
        assert frame.output is not None
        # The caller may use the picture's memory again for the next one.
        return frame.output.copy() if np.may_share_memory(frame.output, image) else frame.output

    def forget(self) -> None:
        """Wipe what is remembered of everybody; from any thread."""
        if self._session is not None:
            self._session.forget()

    def close(self) -> None:
        """Wipe what is remembered and give everything back. May be called again."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _settings_changed(self) -> None:
        if self._session is not None:
            self._session.strength, self._session.detail = self.strength, self.detail

    def _session_for(self, size: tuple[int, int]) -> EnhancementSession:
        if self._session is None:
            stages = Stages.build(
                size,
                self._rate,
                framing=self._framing,
                scale=self._scale,
                strength=self.strength,
                detail=self.detail,
                runtime=self._runtime,
                weights=self._weights,
                network=self._network,
                speed=self._speed,
                camera=self._camera,
            )
            self._session = EnhancementSession(stages)
        elif size != self._size:
            self._session.reframe(size, self._rate, self._framing, self._scale)
        self._size = size
        return self._session
