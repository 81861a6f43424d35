"""StreamCopy: what accompanies the pictures of a file: sound, subtitles, other tracks, titles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol, TypeVar

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from stream.errors import InputError, OutputError
from stream.media import titles
from stream.media.converted_sound import ConvertedSound, lacks_header
from stream.media.covers import add_cover
from stream.media.packet_times import PacketTimes
from stream.media.pyav import exact
from stream.media.sample_entry import sides_in_entry
from stream.media.shown_times import ShownTimes
from stream.media.sources.file_source import is_cover, open_recording, pictures_of
from stream.media.subtitles import ConvertedSubtitles
from stream.media.time_jumps import TimeJumps
from stream.media.tracks import (
    TIMECODE,
    codec_of,
    fits,
    has_codec,
    is_made_by_the_file,
    is_timecode,
)
from stream.media.video_format import stereo_mode

StreamT = TypeVar("StreamT", bound=Stream)


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

    Raises: InputError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        # A second time, beside the one that decodes its pictures.
        self._path = path
        self._container = open_recording(path)
        self._jumps = TimeJumps.of(path, self._container)
        self._copies: dict[int, Stream] = {}
        self._converted: dict[int, ConvertedSubtitles] = {}
        self._sounds: list[ConvertedSound] = []
        self._covers: list[Packet[Stream]] = []
        self._times: dict[int, PacketTimes] = {}
        self._shown: dict[int, ShownTimes] = {}
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._waiting: Packet[Stream] | None = None
        self.left_out: list[str] = []
        """Tracks that this kind of file cannot hold, in words."""
        self.converted: list[str] = []
        """Tracks that are there in another coding."""

    @property
    def time_base(self) -> Fraction | None:
        """Of the pictures; None where there are none."""
        main = pictures_of(self._container)
        return None if main is None else exact(main.time_base)

    @property
    def _has_cover(self) -> bool:
        return any(is_cover(stream) for stream in self._container.streams)

    def options(self, kind: str) -> dict[str, str]:
        """As the protocol says."""
        told = titles.of_recording(self._container.metadata)
        return titles.container_options(kind, told, cover=self._has_cover)

    def add_to(
        self, container: OutputContainer, add_pictures: Callable[[], VideoStream] | None = None
    ) -> VideoStream:
        """Add the streams in their order, and copy titles and chapters.

        Args:   add_pictures: left out when the pictures are copied.
        Raises: OutputError: the sound, or copied pictures, do not fit into this kind of file.
        """
        told = titles.of_recording(self._container.metadata)
        container.metadata.update(told)
        if self._has_cover:
            lost = titles.lost_beside_cover(container.format.name, told)
            self.left_out += [f"title {name}, beside a cover" for name in lost]
        container.set_chapters(self._container.chapters())
        main = pictures_of(self._container)
        # Sound alone may accompany pictures from elsewhere.
        pictures = add_pictures() if main is None and add_pictures else None
        copied = {one.index for one in self._container.streams.video if not is_cover(one)}
        if main is not None and add_pictures is not None:
            copied.discard(main.index)
        self._shown = ShownTimes.of(self._path, copied)
        for stream in self._container.streams:
            if main is None or stream.index != main.index:
                self._add(stream, container)
            elif add_pictures is None:
                pictures = self._copy(main, container)
            else:
                pictures = add_pictures()
                coded = titles.of_pictures(stream.metadata)
                pictures.metadata.update(titles.of_track(coded, container.format.name))
                pictures.disposition = stream.disposition
        assert pictures is not None
        for stream in self._container.streams:
            if is_timecode(stream):
                pictures.metadata.setdefault(TIMECODE, stream.metadata[TIMECODE])
            if stream.index not in {**self._copies, **self._converted}:
                # Not even read from the disk.
                stream.discard = Discard.all
        read = [self._container.streams[index] for index in {**self._copies, **self._converted}]
        if read:
            self._packets = self._container.demux(*read)
        return pictures

    def packets_until(self, time_s: float) -> Iterator[Packet[Stream]]:
        """As the protocol says; times that this kind of file cannot hold are mended."""
        yield from self._covers
        self._covers = []
        yield from self._read_until(time_s)
        for sound in self._sounds:
            yield from sound.packets_until(time_s)

    def notes(self, damaged: int) -> tuple[str, ...]:
        """What is not in the new file as it was, one line each.

        Args: damaged: packets that could not be written.
        """
        left_out, converted = ", ".join(self.left_out), ", ".join(self.converted)
        return (
            *([f"left out, the output cannot hold it: {left_out}"] if left_out else []),
            *([f"converted: {converted}"] if converted else []),
            *(f"a sound ends early: {one.broke_off}" for one in self._sounds if one.broke_off),
            *([f"{damaged} damaged packets of other tracks left out"] if damaged else []),
        )

    def close(self) -> None:
        """Close the recording."""
        for sound in self._sounds:
            sound.close()
        self._container.close()

    def _add(self, stream: Stream, container: OutputContainer) -> None:
        """A track beside the pictures, however this kind of file can hold it."""
        if is_cover(stream):
            try:
                cover = add_cover(stream, self._path, container)
            except ValueError:
                self.left_out.append(f"cover {codec_of(stream)}")
            else:
                self._covers += [] if cover is None else [cover]
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
        elif fits(stream, container) and not lacks_header(stream, self._path):
            self._copy(stream, container)
        elif not self._convert(stream, container):
            self.left_out.append(f"{stream.type} {codec_of(stream)}")

    def _copy(self, stream: StreamT, container: OutputContainer) -> StreamT:
        try:
            copy = container.add_stream_from_template(stream, opaque=True)
        except ValueError as error:
            raise OutputError(
                f"the pictures of {self._path.name} ({codec_of(stream)}) do not fit into a file "
                f"of the kind {container.format.name}; write a .mkv file"
            ) from error
        copy.metadata.update(titles.of_track(stream.metadata, container.format.name))
        copy.disposition = stream.disposition
        if isinstance(copy, VideoStream) and (aspect := _pixel_aspect_of(stream)):
            # Not every codec has it in its own data.
            copy.codec_context.sample_aspect_ratio = aspect
        if isinstance(copy, VideoStream) and container.format.name == "matroska":
            told = sides_in_entry(self._path, stream.id).get("STEREO3D", b"")
            if (views := stereo_mode(told)) is not None:
                copy.metadata["stereo_mode"] = views
        self._copies[stream.index] = copy
        shown = self._shown.get(stream.index)
        self._times[stream.index] = PacketTimes(stream, copy, container, shown)
        return copy

    def _convert(self, stream: Stream, container: OutputContainer) -> bool:
        """Add a track in another coding. Returns: whether there is one that fits."""
        if not has_codec(stream):
            return False
        try:
            if isinstance(stream, AudioStream):
                sound = ConvertedSound(self._path, stream, container)
                self._sounds.append(sound)
                made: Stream = sound.stream
            else:
                text = ConvertedSubtitles(stream, container)
                self._converted[stream.index] = text
                self._times[stream.index] = PacketTimes(stream, text.stream, container)
                made = text.stream
        except (FFmpegError, InputError, ValueError):
            return False
        made.metadata.update(titles.of_track(stream.metadata, container.format.name))
        made.disposition = stream.disposition
        kind = "sound" if stream.type == "audio" else "subtitles"
        self.converted.append(f"{kind} {codec_of(stream)} to {codec_of(made)}")
        return True

    def _read_until(self, time_s: float) -> Iterator[Packet[Stream]]:
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

    def _next(self) -> Packet[Stream] | None:
        while True:
            try:
                packet = next(self._packets, None)
            except (FFmpegError, OSError):
                # The recording breaks off here; the pictures' side says so.
                return None
            if packet is None:
                return None
            if packet.size == 0 and packet.dts is None:
                # FFmpeg's mark for the end of a track.
                continue
            self._jumps(packet)
            self._times[packet.stream.index](packet)
            return packet


def _pixel_aspect_of(stream: Stream) -> Fraction | None:
    """Width of a pixel by its height, where a recording says so."""
    return exact(stream.sample_aspect_ratio) if isinstance(stream, VideoStream) else None
