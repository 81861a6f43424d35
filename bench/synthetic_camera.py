"""SyntheticCamera: a simulated camera in real time, with faces close and far, without end.

The scene of `stream.media.demo.demo_scene` is drawn once and kept as MJPEG, which is what a webcam
sends: a frame costs its decoding, as with a real camera, and nothing of the drawing. The pictures,
all of a drawn scene, lie in a temporary file: no call has them in its memory.
"""

from __future__ import annotations

import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, cycle, repeat
from threading import Event

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from stream.frame import Frame, Image
from stream.image.resample import Rect, Size
from stream.media.demo.demo_scene import DURATION_S, FAR_S, DemoScene, DemoTruth
from stream.media.demo.demo_source import Sensor

JPEG_QUALITY = 90
"""What webcams send at 720p: 100 to 200 KB a picture."""
MOST_PEOPLE = 3


class SyntheticCamera:
    """A live source. Rounds of: close for 4 s, rolling back, far for `far_s`, and to the front.

    What the worker does not take in time is left out, as by a camera. Iterate once.

    Args:   size: (width, height) px; the scene is cut to its shape and resized. rate: per second.
            people: 1 to 3. far_s: of each round. duration_s: of all; None for ever.
            drawn: told how much of the scene is drawn, 0..1; it takes up to half a minute.
    Raises: InputError: the portrait is not there. ValueError: people is out of range.
    """

    live = True
    frames_total = None
    time_base = Fraction(1, 90_000)

    def __init__(
        self,
        size: Size,
        rate: Fraction,
        *,
        people: int = 1,
        far_s: float = 50.0,
        duration_s: float | None = None,
        drawn: Callable[[float], None] = lambda part: None,
    ) -> None:
        if not 1 <= people <= MOST_PEOPLE:
            raise ValueError(f"the synthetic camera has 1 to {MOST_PEOPLE} people, not {people}")
        self.width, self.height = size
        self.rate = rate
        self._people = people
        self._far_s = far_s
        self._duration_s = duration_s
        self._stopped = Event()
        self._pictures = self._draw(drawn)

    def stop(self) -> None:
        """Let the iteration end soon; from any thread."""
        self._stopped.set()

    def __iter__(self) -> Iterator[Frame]:
        """The frames, each at its time."""
        decoder = av.CodecContext.create("mjpeg", "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.thread_count = 1
        started_ns = time.monotonic_ns()
        for index, place in enumerate(self.places()):
            time_s = float(index / self.rate)
            if self._duration_s is not None and time_s >= self._duration_s:
                return
            late_s = (time.monotonic_ns() - started_ns) / 1e9 - time_s
            if late_s > 1.0 / self.rate:
                continue
            if self._stopped.wait(max(-late_s, 0.0)):
                return
            image, captured_ns = _decode(decoder, self._pictures.read(place))
            yield Frame(image, index, round(time_s / self.time_base), self.time_base, captured_ns)

    def places(self) -> Iterator[int]:
        """Which of the drawn pictures comes when; neighbours are neighbours in the scene."""
        last, far = self._pictures.number - 1, round(FAR_S * self.rate)
        to_and_fro = [*range(far, last), *range(last, far, -1)]
        times = max(1, round(self._far_s * float(self.rate) / len(to_and_fro)))
        there, back = range(far), range(far, 0, -1)
        away = chain.from_iterable(repeat(to_and_fro, times))
        return cycle([*there, *away, *back])

    def _draw(self, drawn: Callable[[float], None]) -> _Pictures:
        scene, sensor = DemoScene(), Sensor()
        rect = _cut(scene.size, (self.width, self.height))
        number = round(DURATION_S * self.rate)
        pictures = _Pictures()
        for index in range(number):
            truth = DemoTruth(scene, float(index / self.rate), self._people)
            clean = truth.render(rect, (self.width, self.height))
            bgr = cv2.cvtColor(sensor.take(clean), cv2.COLOR_RGB2BGR)
            _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
            pictures.add(data.tobytes())
            drawn((index + 1) / number)
        return pictures


class _Pictures:
    """Pictures in a temporary file without a name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="closeup-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._ends = [0]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._ends) - 1

    def add(self, data: bytes) -> None:
        """One more."""
        self._file.seek(self._ends[-1])
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def read(self, place: int) -> bytes:
        """One of them, by its number."""
        self._file.seek(self._ends[place])
        return self._file.read(self._ends[place + 1] - self._ends[place])


def _cut(scene: Size, wanted: Size) -> Rect:
    """The largest part of the scene that has the wanted shape, from its middle."""
    width = min(scene[0], scene[1] * wanted[0] / wanted[1])
    height = min(scene[1], scene[0] * wanted[1] / wanted[0])
    left, top = (scene[0] - width) / 2.0, (scene[1] - height) / 2.0
    return left, top, left + width, top + height


def _decode(decoder: VideoCodecContext, data: bytes) -> tuple[Image, int]:
    """A picture, and when it was "captured": decoded, as cameras stamp theirs."""
    (decoded,) = decoder.decode(Packet(data))
    captured_ns = time.monotonic_ns()
    return np.asarray(decoded.to_ndarray(format="rgb24"), np.uint8), captured_ns
