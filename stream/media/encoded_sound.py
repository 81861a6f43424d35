"""EncodedSound: generated sound, as the audio track of pictures that are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

AAC_SAMPLES = 1024
"""Samples in a frame of AAC."""


class EncodedSound:
    """Generated sound, as AAC."""

    def __init__(self, samples: NDArray[np.float32], rate: int) -> None:
        """Keep the samples.

        Args: samples: float32 (n,) mono, -1..1.
              rate: samples a second.
        """
        self._samples = samples.astype(np.float32, copy=False)
        self._rate = rate
        self._position = 0
        self._flushed = False
        self._stream: AudioStream | None = None

    def options(self, kind: str) -> dict[str, str]:
        """Nothing special."""
        return {}

    def add_to(
        self, container: OutputContainer, add_pictures: Callable[[], VideoStream]
    ) -> VideoStream:
        """Add one AAC stream."""
        pictures = add_pictures()
        self._stream = container.add_stream("aac", rate=self._rate)
        self._stream.layout = "mono"
        self._stream.format = "fltp"
        return pictures

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """As the protocol says."""
        if self._stream is None or self._flushed:
            return
        while self._position < len(self._samples) and self._position <= time_s * self._rate:
            samples = self._samples[self._position : self._position + AAC_SAMPLES]
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._position
            self._position += len(samples)
            yield from self._stream.encode(frame)
        if time_s == float("inf"):
            self._flushed = True
            yield from self._stream.encode(None)

    def close(self) -> None:
        """Nothing to give back."""
