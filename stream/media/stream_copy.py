"""StreamCopy: what accompanies the pictures of a file: sound, subtitles, other tracks, titles."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from stream.errors import OutputError
from stream.media import titles
from stream.media.decoding_times import DecodingTimes
from stream.media.pyav import exact
from stream.media.sources.file_source import is_cover, open_recording, pictures_of
from stream.media.subtitles import ConvertedSubtitles

AAC_SAMPLES = 1024
"""Samples in a frame of AAC."""
COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""Codec → file name and type of a cover that is attached to a Matroska file."""
StreamT = TypeVar("StreamT", bound=Stream)
TIMECODE = "timecode"
"""Of a track that says which time of day it was; mp4 and mov make it out of this title."""


class StreamCopy(Protocol):
    """Adds its streams to a file and gives their packets as the pictures go on."""

    def options(self, kind: str) -> dict[str, str]:
        """What a file of this kind (FFmpeg's name) must be opened with."""
        ...

    def add_to(
        self, container: OutputContainer, add_pictures: Callable[[], VideoStream]
    ) -> VideoStream:
        """Add the streams; the one of the pictures, at its place among them, is returned.

        Raises: OutputError: they do not fit into this kind of file.
        """
        ...

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """Packets, each given once, that begin up to `time_s`; `math.inf` for all the rest."""
        ...

    def close(self) -> None:
        """Give everything back. May be called again."""
        ...


class CopiedStreams:
    """Everything in a recording beside its pictures, packet for packet: sound, subtitles, further
    pictures, data, attachments, covers; titles, languages and chapters.

    Args:   pictures: copy the pictures, too.
    Raises: InputError: it cannot be opened.
    """

    def __init__(self, path: Path, *, pictures: bool = False) -> None:
        # A second time, beside the one that decodes its pictures.
        self._path = path
        self._pictures = pictures
        self._container = open_recording(path)
        self._copies: dict[int, Stream] = {}
        self._converted: dict[int, ConvertedSubtitles] = {}
        self._covers: list[Packet[Stream]] = []
        self._last_dts: dict[int, int] = {}
        self._dates: dict[int, DecodingTimes] = {}
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._waiting: Packet[Stream] | None = None
        self.left_out: list[str] = []
        """Tracks that this kind of file cannot hold, in words."""
        self.converted: list[str] = []
        """Subtitles that are there in other words."""

    def options(self, kind: str) -> dict[str, str]:
        """As the protocol says."""
        return titles.container_options(kind, titles.of_recording(self._container.metadata))

    def add_to(
        self, container: OutputContainer, add_pictures: Callable[[], VideoStream] | None = None
    ) -> VideoStream:
        """Add the streams in their order, and copy titles and chapters.

        Args:   add_pictures: left out when the pictures are copied.
        Raises: OutputError: the sound, or copied pictures, do not fit into this kind of file.
        """
        container.metadata.update(titles.of_recording(self._container.metadata))
        container.set_chapters(self._container.chapters())
        main = pictures_of(self._container)
        # Sound alone may accompany pictures from elsewhere.
        pictures = add_pictures() if main is None and add_pictures else None
        for stream in self._container.streams:
            if main is None or stream.index != main.index:
                self._add(stream, container)
            elif add_pictures is None:
                pictures = self._copy(main, container)
            else:
                pictures = add_pictures()
                told = titles.of_pictures(stream.metadata)
                pictures.metadata.update(titles.of_track(told, container.format.name))
                pictures.disposition = stream.disposition
        assert pictures is not None
        for stream in self._container.streams:
            if _is_timecode(stream):
                pictures.metadata.setdefault(TIMECODE, stream.metadata[TIMECODE])
            if stream.index not in self._copies and stream.index not in self._converted:
                # Not even read from the disk.
                stream.discard = Discard.all
        copied = [self._container.streams[index] for index in {**self._copies, **self._converted}]
        if copied:
            self._packets = self._container.demux(*copied)
        return pictures

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """As the protocol says; a packet without a time, or out of order, is left out."""
        yield from self._covers
        self._covers = []
        while True:
            packet = self._waiting or self._next()
            self._waiting = packet
            if packet is None or packet.dts is None:
                return
            if float(packet.dts * packet.time_base) > time_s:
                return
            self._waiting = None
            index = packet.stream.index
            if index in self._converted:
                packet = self._converted[index](packet)
            else:
                packet.stream = self._copies[index]
            if packet is not None:
                yield packet

    def close(self) -> None:
        """Close the recording."""
        self._container.close()

    def _add(self, stream: Stream, container: OutputContainer) -> None:
        """A track beside the pictures, however this kind of file can hold it."""
        if is_cover(stream):
            self._add_cover(stream, container)
        elif isinstance(stream, AttachmentStream):
            if container.format.name == "matroska":
                container.add_attachment(
                    stream.name or "attachment",
                    stream.mimetype or "application/octet-stream",
                    stream.data,
                ).metadata.update(stream.metadata)
            else:
                self.left_out.append(f"attachment {stream.name}")
        elif is_made_by_the_file(stream):
            # mp4 and mov make these tracks out of the chapters and the time code.
            return
        elif stream.type == "audio" or _fits(stream, container):
            self._copy(stream, container)
        elif not self._convert(stream, container):
            codec = stream.name or "unknown"
            self.left_out.append(f"{stream.type} {codec}")

    def _copy(self, stream: StreamT, container: OutputContainer) -> StreamT:
        try:
            copy = container.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            codec = stream.codec_context.name if stream.codec_context else "unknown"
            what = {"audio": "sound", "video": "pictures"}.get(stream.type, stream.type)
            raise OutputError(
                f"the {what} of {self._path.name} ({codec}) does not fit into a file of the kind "
                f"{container.format.name}; write a .mkv file"
            ) from error
        copy.metadata.update(titles.of_track(stream.metadata, container.format.name))
        copy.disposition = stream.disposition
        if isinstance(copy, VideoStream) and (aspect := _pixel_aspect_of(stream)):
            # Not every codec has it in its own data.
            copy.codec_context.sample_aspect_ratio = aspect
        self._copies[stream.index] = copy
        return copy

    def _convert(self, stream: Stream, container: OutputContainer) -> bool:
        try:
            converted = ConvertedSubtitles(stream, container)
        except (FFmpegError, ValueError):
            return False
        kind = container.format.name
        converted.stream.metadata.update(titles.of_track(stream.metadata, kind))
        converted.stream.disposition = stream.disposition
        self._converted[stream.index] = converted
        self.converted.append(f"{stream.name} to {converted.stream.name}")
        return True

    def _add_cover(self, stream: Stream, container: OutputContainer) -> None:
        codec = stream.name or ""
        picture = self._cover(stream.index)
        kind = container.format.name
        if picture is not None and kind == "matroska" and codec in COVERS:
            name, mimetype = COVERS[codec]
            name, mimetype = (
                stream.metadata.get("filename", name),
                stream.metadata.get("mimetype", mimetype),
            )
            container.add_attachment(name, mimetype, bytes(picture)).metadata.update(
                {**stream.metadata, "filename": name, "mimetype": mimetype}
            )
        elif picture is not None and kind == "mp4" and _fits(stream, container):
            picture.stream = container.add_stream_from_template(stream, opaque=True)
            picture.stream.disposition = stream.disposition
            picture.stream.metadata.update(stream.metadata)
            picture.pts = picture.dts = 0
            self._covers.append(picture)
        else:
            self.left_out.append(f"cover {codec}")

    def _cover(self, index: int) -> Packet[Stream] | None:
        """The one picture of a stream; it comes at the very start."""
        with open_recording(self._path) as recording:
            for packet in recording.demux(recording.streams[index]):
                if packet.size:
                    copy: Packet[Stream] = Packet(bytes(packet))
                    copy.time_base, copy.is_keyframe = packet.time_base, True
                    return copy
        return None

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
            if isinstance(packet.stream, VideoStream):
                self._date(packet, packet.stream)
            # Two lines of subtitles may begin together; sound goes on.
            step = 1 if packet.stream.type in ("audio", "video") else 0
            last = self._last_dts.get(index)
            if packet.dts is None or (last is not None and packet.dts < last + step):
                continue
            self._last_dts[index] = packet.dts
            return packet

    def _date(self, packet: Packet[Stream], stream: VideoStream) -> None:
        """Say when to decode a picture, where the file does not from the first one on."""
        if packet.dts is None and stream.index not in self._last_dts and packet.pts is not None:
            rate = exact(stream.average_rate) or Fraction(25)
            step = max(1, round(1 / (rate * packet.time_base)))
            self._dates.setdefault(
                stream.index, DecodingTimes(stream.codec_context.reorder_depth, step)
            )
        if stream.index in self._dates and packet.pts is not None:
            packet.dts = self._dates[stream.index](packet.pts)


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


def _pixel_aspect_of(stream: Stream) -> Fraction | None:
    """Width of a pixel by its height, where a recording says so."""
    return exact(stream.sample_aspect_ratio) if isinstance(stream, VideoStream) else None


def _is_timecode(stream: Stream) -> bool:
    return stream.type == "data" and TIMECODE in stream.metadata


def is_made_by_the_file(stream: Stream) -> bool:
    """Whether mp4 and mov make such a track by themselves: a time code, or the chapters, which
    FFmpeg marks as not to be read."""
    chapters = stream.type == "data" and stream.discard == Discard.all
    return chapters or _is_timecode(stream)


def _fits(stream: Stream, container: OutputContainer) -> bool:
    """Whether this kind of file holds such a track: some say so only when the header is written."""
    try:
        with av.open(io.BytesIO(), mode="w", format=container.format.name) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True
