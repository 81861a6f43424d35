"""Companion: what accompanies the pictures of a file: sound, subtitles, titles."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Discard, Stream
from numpy.typing import NDArray

from stream.errors import OutputError
from stream.media.file_source import open_recording

AAC_SAMPLES = 1024
"""Samples in a frame of AAC."""
CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""Titles that describe the old file and not the recording."""


class Companion(Protocol):
    """Adds its streams to a file and gives their packets as the pictures go on."""

    def add_to(self, container: OutputContainer) -> None:
        """Add the streams. Raises `OutputError` when they do not fit into this kind of file."""
        ...

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """Packets, each given once, that begin up to `time_s`; `math.inf` for all the rest."""
        ...

    def close(self) -> None:
        """Give everything back. May be called again."""
        ...


class CopiedStreams:
    """Every sound and subtitle stream of a recording, packet for packet, and its titles."""

    def __init__(self, path: Path) -> None:
        """Open the recording a second time, beside the one that decodes its pictures.

        Raises: InputError: it cannot be opened.
        """
        self._path = path
        self._container = open_recording(path)
        self._copies: dict[int, Stream] = {}
        self._last_dts: dict[int, int] = {}
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._waiting: Packet[Stream] | None = None
        self.left_out: list[str] = []
        """Subtitles that this kind of file cannot hold, by codec."""

    def add_to(self, container: OutputContainer) -> None:
        """Add the streams and copy titles and chapters.

        Raises: OutputError: the sound does not fit into this kind of file.
        """
        container.metadata.update(_titles(self._container.metadata))
        container.set_chapters(self._container.chapters())
        for stream in self._container.streams:
            if stream.type in ("audio", "subtitle"):
                self._copy(stream, container)
            else:
                # Not even read from the disk.
                stream.discard = Discard.all
        copied = [self._container.streams[index] for index in self._copies]
        if copied:
            self._packets = self._container.demux(*copied)

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """As the protocol says; a packet without a time, or out of order, is left out."""
        while True:
            packet = self._waiting or self._next()
            self._waiting = packet
            if packet is None or packet.dts is None:
                return
            if float(packet.dts * packet.time_base) > time_s:
                return
            self._waiting = None
            packet.stream = self._copies[packet.stream.index]
            yield packet

    def close(self) -> None:
        """Close the recording."""
        self._container.close()

    def _copy(self, stream: Stream, container: OutputContainer) -> None:
        codec = stream.codec_context.name if stream.codec_context else "unknown"
        try:
            copy = container.add_stream_from_template(stream)
        except ValueError as error:
            if stream.type == "subtitle":
                self.left_out.append(codec)
                return
            raise OutputError(
                f"the sound of {self._path.name} ({codec}) does not fit into a file of the kind "
                f"{container.format.name}; write a .mkv file"
            ) from error
        copy.metadata.update(_titles(stream.metadata))
        copy.disposition = stream.disposition
        self._copies[stream.index] = copy

    def _next(self) -> Packet[Stream] | None:
        while True:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, OSError):
                # The recording breaks off here; the pictures' side says so.
                return None
            if packet is None:
                return None
            index = packet.stream.index
            if packet.dts is None or packet.dts <= self._last_dts.get(index, packet.dts - 1):
                continue
            self._last_dts[index] = packet.dts
            return packet


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

    def add_to(self, container: OutputContainer) -> None:
        """Add one AAC stream."""
        self._stream = container.add_stream("aac", rate=self._rate)
        self._stream.layout = "mono"
        self._stream.format = "fltp"

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


def _titles(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in CONTAINER_TAGS}
