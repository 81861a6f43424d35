"""Remux: a recording passed through unchanged."""

from __future__ import annotations

import math
import shutil
from contextlib import closing
from pathlib import Path

import av

from engines.files import part_path, replacing
from stream.media.sinks.file_sink import FORMATS, check_output, writing
from stream.media.stream_copy import CopiedStreams


def copy_recording(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Give an unchanged copy: byte for byte into the same kind of file, else packet for packet.

    Raises: InputError: the source cannot be opened.
            OutputError: the target cannot be written or cannot hold the source's streams.
    """
    check_output(target, overwrite, source)
    with writing(target), replacing(target, part_path(target)) as part:
        if source.suffix.lower() == target.suffix.lower():
            shutil.copyfile(source, part)
        else:
            _copy_packets(source, part, FORMATS[target.suffix.lower()])


def _copy_packets(source: Path, part: Path, kind: str) -> None:
    streams = CopiedStreams(source, pictures=True)
    with (
        closing(streams),
        av.open(
            f"file:{part.absolute()}", mode="w", format=kind, options=streams.options(kind)
        ) as copy,
    ):
        streams.add_to(copy)
        for packet in streams.packets_until(math.inf):
            copy.mux(packet)
