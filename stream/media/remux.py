"""Remux: a recording passed through unchanged."""

from __future__ import annotations

import math
import shutil
from contextlib import closing
from pathlib import Path

import av
from av.error import ArgumentError, InvalidDataError, PatchWelcomeError

from engines.files import part_path, replacing
from stream.errors import OutputError
from stream.media.picture_comparison import first_difference
from stream.media.sinks.file_sink import FORMATS, check_output, muxer_options, writing
from stream.media.stream_copy import CopiedStreams


def copy_recording(source: Path, target: Path, *, overwrite: bool = False) -> tuple[str, ...]:
    """Give an unchanged copy: byte for byte into the same kind of file, else packet for packet.

    The pictures of a copy packet for packet are decoded and compared with those of the source.

    Args:    target: its ending says the kind of file. overwrite: whether it may be there already.
    Returns: what could not be copied as it is, one line each.
    Raises:  InputError: the source cannot be opened.
             OutputError: the target cannot be written or cannot hold the source's pictures.
    """
    check_output(target, overwrite, source)
    with writing(target), replacing(target, part_path(target)) as part:
        if source.suffix.lower() == target.suffix.lower():
            shutil.copyfile(source, part)
            return ()
        notes = _copy_packets(source, part, FORMATS[target.suffix.lower()])
        if difference := first_difference(source, part):
            raise OutputError(f"{target} would not hold the pictures of {source}: {difference}")
    return notes


def _copy_packets(source: Path, part: Path, kind: str) -> tuple[str, ...]:
    streams, left_out = CopiedStreams(source), 0
    options = streams.options(kind)
    if streams.time_base is not None:
        options |= muxer_options(kind, streams.time_base)
    with (
        closing(streams),
        av.open(f"file:{part.absolute()}", mode="w", format=kind, options=options) as copy,
    ):
        pictures = streams.add_to(copy)
        for packet in streams.packets_until(math.inf):
            try:
                copy.mux(packet)
            except (ArgumentError, InvalidDataError, PatchWelcomeError):
                # The writer looks into a packet and finds it damaged.
                if packet.stream is pictures:
                    raise
                left_out += 1
    return streams.notes(left_out)
