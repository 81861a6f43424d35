"""Covers: the single pictures beside a recording, as each kind of file keeps them."""

from __future__ import annotations

from pathlib import Path

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from stream.media.sources.file_source import open_recording
from stream.media.tracks import codec_of, fits

ATTACHED = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
"""Codec → file name and type of a cover that is attached to a Matroska file."""


def add_cover(stream: Stream, path: Path, container: OutputContainer) -> Packet[Stream] | None:
    """Add the cover `stream` of the recording `path` to a file that is written.

    Args:    stream: the cover's, in the recording. path: the recording. container: the file that is
             written.
    Returns: the packet to write first; None where the picture is in the file's header.
    Raises:  ValueError: this kind of file cannot hold it, or it has no picture.
    """
    codec, kind = codec_of(stream), container.format.name
    picture = _picture(path, stream.index)
    if picture is None:
        raise ValueError("a cover without a picture")
    if kind == "matroska" and codec in ATTACHED:
        name, mimetype = ATTACHED[codec]
        named = {
            "filename": stream.metadata.get("filename", name),
            "mimetype": stream.metadata.get("mimetype", mimetype),
        }
        attachment = container.add_attachment(named["filename"], named["mimetype"], bytes(picture))
        attachment.metadata.update({**stream.metadata, **named})
        return None
    if kind != "mp4" or not fits(stream, container):
        raise ValueError(f"{kind} holds no cover {codec}")
    picture.stream = container.add_stream_from_template(stream, opaque=True)
    picture.stream.disposition = stream.disposition
    picture.stream.metadata.update(stream.metadata)
    picture.pts = picture.dts = 0
    return picture


def _picture(path: Path, index: int) -> Packet[Stream] | None:
    """The one picture of a stream; it comes at the very start."""
    with open_recording(path) as recording:
        for packet in recording.demux(recording.streams[index]):
            if packet.size:
                copy: Packet[Stream] = Packet(bytes(packet))
                copy.time_base, copy.is_keyframe = packet.time_base, True
                return copy
    return None
