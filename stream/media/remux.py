"""Remux: a recording passed through unchanged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition, Stream

from stream.errors import OutputError
from stream.media.file_sink import FORMATS, check_output, part_path, writing
from stream.media.file_source import open_recording


def copy_recording(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Give an unchanged copy: byte for byte into the same kind of file, else packet for packet.

    Raises: InputError: the source cannot be opened.
            OutputError: the target cannot be written or cannot hold the source's streams.
    """
    check_output(target, overwrite, source)
    part = part_path(target)
    try:
        with writing(target):
            if source.suffix.lower() == target.suffix.lower():
                shutil.copyfile(source, part)
            else:
                _copy_packets(source, part, FORMATS[target.suffix.lower()])
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _copy_packets(source: Path, part: Path, kind: str) -> None:
    with (
        open_recording(source) as recording,
        av.open(f"file:{part.absolute()}", mode="w", format=kind) as copy,
    ):
        copy.metadata.update(recording.metadata)
        copy.set_chapters(recording.chapters())
        copies: dict[int, Stream] = {}
        for stream in recording.streams:
            attached = bool(stream.disposition & Disposition.attached_pic)
            if stream.type in ("video", "audio", "subtitle") and not attached:
                added = _add_copy(stream, copy)
                if added is not None:
                    copies[stream.index] = added
        _mux_all(recording, copy, copies)


def _add_copy(stream: Stream, copy: OutputContainer) -> Stream | None:
    """The new stream; None for subtitles that do not fit."""
    try:
        added = copy.add_stream_from_template(stream, opaque=True)
    except ValueError as error:
        if stream.type == "subtitle":
            return None
        raise OutputError(
            f"a file of the kind {copy.format.name} cannot hold the {stream.type} of the input; "
            "give the output the same ending as the input"
        ) from error
    added.metadata.update(stream.metadata)
    return added


def _mux_all(recording: InputContainer, copy: OutputContainer, copies: dict[int, Stream]) -> None:
    packets = recording.demux(*(recording.streams[index] for index in copies))
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, OSError):
            # A recording that breaks off is copied up to there.
            return
        if packet is None:
            return
        if packet.dts is not None:
            packet.stream = copies[packet.stream.index]
            copy.mux(packet)
