"""SoundSource: the samples of one sound track of a recording, with their times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from stream.errors import InputError
from stream.media.pyav import exact
from stream.media.sources.file_source import open_recording
from stream.media.time_jumps import TimeJumps

PACKED = {
    **dict.fromkeys(("u8", "u8p", "s16", "s16p"), "s16"),
    **dict.fromkeys(("s32", "s32p", "s64", "s64p"), "s32"),
    **dict.fromkeys(("flt", "fltp", "dbl", "dblp"), "flt"),
}
"""FFmpeg's sample format → the one to give the samples in, channel beside channel."""
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""Channels → their usual places."""
MAX_RATE_HZ = 384_000
MAX_BARREN = 100_000
"""Packets in a row without a sample."""


@dataclass(frozen=True)
class SoundFormat:
    """Of the samples."""

    rate_hz: int
    channels: int
    """1 to 8."""
    sample: str
    """FFmpeg's name: s16, s32 or flt."""

    @property
    def layout(self) -> str:
        """FFmpeg's name of the places of the channels."""
        return LAYOUTS[self.channels]

    @property
    def bytes_each(self) -> int:
        """Of a sample of all channels."""
        return self.channels * (2 if self.sample == "s16" else 4)


@dataclass(frozen=True)
class SoundPart:
    """Samples that follow each other."""

    time_s: float | None
    """When the first one sounds; None: right after the part before."""
    data: bytes
    """In the format of the source."""


class SoundSource:
    """The samples of one track. Iterate once.

    Args:   index: of the track in the recording.
    Raises: InputError: it is no sound, or none of it can be decoded.
    """

    def __init__(self, path: Path, index: int) -> None:
        self._path = path
        self._container: InputContainer = open_recording(path)
        try:
            self._frames = self._decoded(index)
            first = next(self._frames, None)
            if first is None:
                raise InputError(f"sound {index} of {path} cannot be decoded")
            channels, rate_hz = len(first.layout.channels), first.sample_rate
            if channels not in LAYOUTS or not 0 < rate_hz <= MAX_RATE_HZ:
                raise InputError(f"sound {index} of {path} has {channels} channels at {rate_hz} Hz")
            self.format = SoundFormat(rate_hz, channels, PACKED[first.format.name])
        except BaseException:
            self.close()
            raise
        self._first: av.AudioFrame | None = first
        self._last_s: float | None = None

    def __iter__(self) -> Iterator[SoundPart]:
        """The samples in order; a change of rate or channels inside the track is evened out."""
        first, self._first = self._first, None
        if first is None:
            return
        kind, resampler = None, self._resampler()
        for frame in chain([first], self._frames):
            if kind not in (None, _kind(frame)):
                yield from self._parts(resampler, None)
                resampler = self._resampler()
            kind = _kind(frame)
            yield from self._parts(resampler, frame)
        yield from self._parts(resampler, None)

    def close(self) -> None:
        """Close the recording. May be called again."""
        self._container.close()

    def _resampler(self) -> av.AudioResampler:
        return av.AudioResampler(self.format.sample, self.format.layout, self.format.rate_hz)

    def _parts(
        self, resampler: av.AudioResampler, frame: av.AudioFrame | None
    ) -> Iterator[SoundPart]:
        """What comes out for a frame; for None, what is left."""
        time_s = None
        if frame is not None:
            if frame.pts is not None:
                time_s = float(frame.pts * (exact(frame.time_base) or 0))
                # Some files give many packets, or all, the same time: then it says nothing.
                self._last_s, time_s = time_s, None if time_s == self._last_s else time_s
            frame.pts = None
        for made in resampler.resample(frame):
            size = made.samples * self.format.bytes_each
            yield SoundPart(time_s, bytes(made.planes[0])[:size])
            time_s = None

    def _decoded(self, index: int) -> Iterator[av.AudioFrame]:
        stream = self._container.streams[index]
        if not isinstance(stream, AudioStream) or stream.codec_context is None:
            return
        packets, barren = self._container.demux(stream), 0
        jumps = TimeJumps.of(self._path, self._container)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError):
                packet = None
            if packet is not None:
                jumps(packet)
            try:
                frames = stream.decode(packet)
            except EOFError:
                return
            except FFmpegError:
                # A damaged packet costs only itself.
                frames = []
            barren = 0 if frames else barren + 1
            yield from frames
            if packet is None or (packet.dts is None and packet.size == 0) or barren > MAX_BARREN:
                return


def _kind(frame: av.AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
