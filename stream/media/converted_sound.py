"""ConvertedSound: a sound track that a kind of file cannot hold, decoded and encoded anew.

Matroska gets FLAC, which loses nothing; mp4 and mov get AAC, which everything plays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from stream.errors import InputError
from stream.media.sandbox.sandboxed_sound import open_sound
from stream.media.sources.file_source import open_recording
from stream.media.sources.sound_source import SoundFormat
from stream.media.tracks import codec_of

AAC_BITS_A_CHANNEL = 128_000
"""A second: next to no audible loss."""
AAC_RATES_HZ = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000,
                88_200, 96_000)  # fmt: skip
"""Of ISO 14496-3, table 1.18, without 7350."""
GAP_S = 0.05
"""Samples that come so much later than those before last are kept apart by silence."""
LONGEST_GAP_S = 3600.0
DTYPES = {"s16": np.int16, "s32": np.int32, "flt": np.float32}


class ConvertedSound:
    """One track, in step with the recording.

    Args:   path: the recording. source: its track.
    Raises: InputError: it cannot be decoded.
    """

    def __init__(self, path: Path, source: Stream, container: OutputContainer) -> None:
        self._sound = open_sound(path, source.index)
        try:
            self.stream = _added(container, self._sound.format)
        except BaseException:
            self._sound.close()
            raise
        self._parts = iter(self._sound)
        self._position: int | None = None
        """Samples since time 0, of the next one."""
        self._ended = False
        self.broke_off: str | None = None
        """Why it ends early, one line; None when it does not."""

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """Packets, each given once, of samples up to about `time_s`; `math.inf` for the rest."""
        rate_hz = self._sound.format.rate_hz
        while not self._ended and (self._position or 0) <= time_s * rate_hz:
            try:
                part = next(self._parts, None)
            except InputError as error:
                self.broke_off, part = str(error), None
            if part is None:
                self._ended = True
                yield from self.stream.encode(None)
                return
            samples = self._in_step(part.time_s, self._samples(part.data))
            for start in range(0, samples.shape[1], rate_hz):
                yield from self.stream.encode(self._frame(samples[:, start : start + rate_hz]))

    def close(self) -> None:
        """Give everything back. May be called again."""
        self._sound.close()

    def _samples(self, data: bytes) -> np.ndarray:
        """(channels, n)."""
        flat = np.frombuffer(data, DTYPES[self._sound.format.sample])
        return flat.reshape(-1, self._sound.format.channels).T

    def _in_step(self, time_s: float | None, samples: np.ndarray) -> np.ndarray:
        """With silence before them where samples are missing, cut where they come twice."""
        rate_hz = self._sound.format.rate_hz
        if time_s is None or not math.isfinite(time_s):
            self._position = self._position or 0
            return samples
        if self._position is None:
            self._position = round(time_s * rate_hz)
        late = round(time_s * rate_hz) - self._position
        if GAP_S * rate_hz < late < LONGEST_GAP_S * rate_hz:
            return np.pad(samples, ((0, 0), (late, 0)))
        if late < -GAP_S * rate_hz:
            return samples[:, -late:]
        return samples

    def _frame(self, samples: np.ndarray) -> av.AudioFrame:
        told = self._sound.format
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format=told.sample, layout=told.layout)
        frame.sample_rate, frame.time_base = told.rate_hz, Fraction(1, told.rate_hz)
        frame.pts = self._position
        self._position = (self._position or 0) + samples.shape[1]
        return frame


def lacks_header(stream: Stream, path: Path) -> bool:
    """Whether it is AAC that says neither in the file's header (AudioSpecificConfig, ISO 14496-3)
    nor in its packets (ADTS) how it is coded: .mkv refuses such packets, and nobody plays an .mp4
    that FFmpeg makes of them.

    Args:   path: of its recording.
    Raises: InputError: it cannot be opened.
    """
    if codec_of(stream) != "aac" or not isinstance(stream, AudioStream):
        return False
    if stream.codec_context is None or stream.codec_context.extradata:
        return False
    with open_recording(path) as again:
        try:
            packets = again.demux(again.streams[stream.index])
            first = next((bytes(one) for one in packets if one.size), b"")
        except (FFmpegError, OSError):
            return False
    return not (first[:1] == b"\xff" and first[1:2] >= b"\xf0")


def _added(container: OutputContainer, told: SoundFormat) -> AudioStream:
    if container.format.name == "matroska":
        stream = container.add_stream("flac", rate=told.rate_hz)
        assert isinstance(stream, AudioStream)
        stream.format = "s16" if told.sample == "s16" else "s32"
    else:
        rate_hz = next((one for one in AAC_RATES_HZ if one >= told.rate_hz), AAC_RATES_HZ[-1])
        stream = container.add_stream("aac", rate=rate_hz)
        assert isinstance(stream, AudioStream)
        stream.format = "fltp"
        stream.bit_rate = AAC_BITS_A_CHANNEL * told.channels
    stream.layout = told.layout
    return stream
