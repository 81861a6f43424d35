"""Subtitles: text in the words of one kind of file, put into those of another."""

from __future__ import annotations

from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

TEXT = frozenset({"ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt"})
"""Decoders of subtitles that are text; the others are pictures."""
SPOKEN = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip"}
"""Kind of file → the text it holds everywhere."""


class ConvertedSubtitles:
    """One track of text, decoded and encoded; its times stay.

    Raises: ValueError: it is no text, or the file holds none.
    """

    def __init__(self, source: Stream, container: OutputContainer) -> None:
        codec = SPOKEN.get(container.format.name)
        if not isinstance(source, SubtitleStream) or codec is None or source.name not in TEXT:
            raise ValueError(f"{source.name} cannot be converted")
        self._source = source
        source.codec_context.open(strict=False)
        stream = container.add_stream(codec)
        assert isinstance(stream, SubtitleStream)
        # The styles that the decoder speaks of.
        stream.codec_context.subtitle_header = source.codec_context.subtitle_header
        if source.time_base is not None:
            stream.codec_context.time_base = stream.time_base = source.time_base
        self.stream = stream

    def __call__(self, packet: Packet[Stream]) -> Packet[Stream] | None:
        """The packet in its new words; None for one without text, as mp4 has them in between."""
        try:
            decoded = self._source.codec_context.decode2(packet)
            if decoded is None or not len(decoded):
                return None
            encoded = self.stream.codec_context.encode_subtitle(decoded)
        except FFmpegError:
            # Damaged; like any other damaged packet it costs only itself.
            return None
        encoded.pts, encoded.dts = packet.pts, packet.dts
        encoded.duration, encoded.time_base = packet.duration, packet.time_base
        encoded.stream = self.stream
        return encoded
