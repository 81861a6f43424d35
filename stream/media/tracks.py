"""Tracks: what a stream of a recording is, and whether a kind of file holds it."""

from __future__ import annotations

import io

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Discard, Stream
from av.video.stream import VideoStream

TIMECODE = "timecode"
"""Of a track that says which time of day it was; mp4 and mov make it out of this title."""

DOLBY_VISION_BOXES = (b"dvcC", b"dvvC", b"dvwC")
"""Of profiles up to 7, 8 to 10, and later ones ("Dolby Vision Streams within the ISO Base Media
File Format")."""


def codec_of(stream: Stream) -> str:
    """FFmpeg's name of a track's codec; "unknown" of one that it has no name for."""
    return getattr(stream, "name", None) or "unknown"


def has_codec(stream: Stream) -> bool:
    """Whether FFmpeg knows how a track of sound, pictures or text is coded, and decodes it."""
    return getattr(stream, "codec_context", None) is not None


def is_timecode(stream: Stream) -> bool:
    """Whether it says which time of day it was."""
    return stream.type == "data" and TIMECODE in stream.metadata


def is_made_by_the_file(stream: Stream) -> bool:
    """Whether mp4 and mov make such a track by themselves: a time code, or the chapters, which
    FFmpeg marks as not to be read."""
    chapters = stream.type == "data" and stream.discard == Discard.all
    return chapters or is_timecode(stream)


def is_dolby_vision(stream: VideoStream) -> bool:
    """Whether the container has a configuration of Dolby Vision for a track. PyAV does not give it,
    but FFmpeg writes it into the header of an mp4."""
    header = io.BytesIO()
    options = {"movflags": "empty_moov", "strict": "unofficial"}
    try:
        with av.open(header, mode="w", format="mp4", options=options) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return any(box in header.getvalue() for box in DOLBY_VISION_BOXES)


def fits(stream: Stream, container: OutputContainer) -> bool:
    """Whether this kind of file holds such a track: some say so only when the header is written."""
    try:
        with av.open(io.BytesIO(), mode="w", format=container.format.name) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True
