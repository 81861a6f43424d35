"""A recording by a camera whose blur, noise, clock and exposure are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream.camera_profile import CameraProfile
from stream.frame import Image
from tests.pictures import scene_with_face

CLOCK = Fraction(1, 90_000)


@dataclass(frozen=True)
class MadeCamera:
    """What is known of it."""

    size: tuple[int, int] = (480, 270)
    frames: int = 60
    rate: int = 30
    blur_px: float = 1.2
    noise: tuple[float, float] = (2.0, 4.5)
    """Deviation at 0 and at 255; the variance grows evenly."""
    jitter_ms: float = 3.0
    """Standard deviation of the time between two frames."""
    settling_s: float = 0.0
    """Until 90 % of the exposure's answer to the light, which falls by 40 % in the middle; 0: the
    light stays."""
    widths_px: tuple[float, float] = (120.0, 50.0)
    """Of the face, at the beginning and at the end."""

    def times_s(self) -> list[float]:
        """When the frames were taken."""
        rng = np.random.default_rng(1)
        # An interval is the difference of two times, each of which trembles.
        tremble = rng.normal(0.0, self.jitter_ms / math.sqrt(2.0), self.frames)
        return [index / self.rate + (10.0 + one) / 1e3 for index, one in enumerate(tremble)]

    def gain(self, time_s: float) -> float:
        """Light times exposure, as it reaches the picture."""
        since_s = time_s - self.frames / self.rate / 2.0
        if not self.settling_s or since_s < 0.0:
            return 1.0
        return 1.0 - 0.4 * math.exp(-since_s * math.log(10.0) / self.settling_s)

    def pictures(self) -> list[Image]:
        """Every frame, before any codec."""
        rng = np.random.default_rng(2)
        noise = CameraProfile(noise=self.noise)
        made = []
        for index, time_s in enumerate(self.times_s()):
            part = index / max(self.frames - 1, 1)
            width = math.exp((1.0 - part) * math.log(self.widths_px[0])
                             + part * math.log(self.widths_px[1]))  # fmt: skip
            # Lens first, then pixels: drawn twice as large.
            drawn = scene_with_face(2.0 * width, (2 * self.size[0], 2 * self.size[1]))
            drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), 2.0 * self.blur_px), np.uint8)
            scene = np.asarray(
                cv2.resize(drawn, self.size, interpolation=cv2.INTER_AREA), np.float32
            )
            scene *= self.gain(time_s)
            scene += noise.noise_at(scene) * rng.standard_normal(scene.shape, np.float32)
            made.append(np.clip(np.rint(scene), 0, 255).astype(np.uint8))
        return made

    def write(self, path: Path, bit_rate: int | None = None, codec: str = "libx264") -> None:
        """Args: bit_rate: of a call, bits a second; None: nearly lossless, with all its colours."""
        write(path, self.pictures(), self.times_s(), self.size, self.rate, bit_rate, codec)


def write(
    path: Path,
    pictures: Sequence[Image],
    times_s: Sequence[float],
    size: tuple[int, int],
    rate: int,
    bit_rate: int | None,
    codec: str,
) -> None:
    """Encode pictures, each with its time."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv444p" if bit_rate is None else "yuv420p"
        stream.codec_context.time_base = CLOCK
        if bit_rate is None:
            stream.codec_context.options = {"preset": "ultrafast", "qp": "2"}
        else:
            stream.codec_context.bit_rate = bit_rate
            stream.codec_context.options = {"preset": "veryfast", "tune": "zerolatency"}
        for image, time_s in zip(pictures, times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time_s / CLOCK), CLOCK
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
