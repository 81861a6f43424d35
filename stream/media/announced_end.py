"""Announced end: what containers say about their end and FFmpeg does not pass on.

Of an mp4 or mov: until when its edit list shows a track. FFmpeg gives the smaller of that and the
sum of the track's packets in the order of decoding, which at a variable frame rate with pictures
that are decoded before others is another time (ISO/IEC 14496-12, 8.6.6). Of a Matroska file:
whether all of it is there (RFC 9559, 6.2).
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

from stream.media.mp4_boxes import LEAST_HEADER, Box, content, only, track

SEGMENT, EBML = 0x18538067, 0x1A45DFA3
UNKNOWN_SIZE = (1 << 56) - 1
"""Of an element that was written before its end was known (RFC 8794, 6.2)."""


class ShownUntil(NamedTuple):
    """When a track ceases to be shown, seconds, and in what steps the file counts."""

    end_s: Fraction
    tick_s: Fraction


def edit_list_end(path: Path, track_id: int) -> ShownUntil | None:
    """Of a track of an mp4 or mov, by its number there; None where no edit list says so."""
    try:
        with path.open("rb") as file:
            moov = only(file, Box(0, path.stat().st_size), b"moov")
            return None if moov is None else _end_in(file, moov, track_id)
    except (OSError, struct.error):
        return None


def is_cut_off(path: Path) -> bool | None:
    """Whether a Matroska file has less than it announces; None where it does not say."""
    try:
        with path.open("rb") as file:
            for wanted in (EBML, SEGMENT):
                kind, size = _element(file)
                if kind != wanted:
                    return None
                if wanted == EBML:
                    file.seek(size, 1)
            return None if size == UNKNOWN_SIZE else path.stat().st_size < file.tell() + size
    except (OSError, IndexError):
        return None


def _end_in(file: BinaryIO, moov: Box, track_id: int) -> ShownUntil | None:
    header = content(file, only(file, moov, b"mvhd"), LEAST_HEADER)
    # Of fragments the edit list does not know how many there will be.
    if header is None or only(file, moov, b"mvex"):
        return None
    (scale,) = struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)
    edits = only(file, track(file, moov, track_id), b"edts", b"elst")
    listed = content(file, edits, LEAST_HEADER)
    lasting = _sum_of(listed) if listed is not None and scale else None
    return ShownUntil(Fraction(lasting, scale), Fraction(1, scale)) if lasting else None


def _sum_of(edits: bytes) -> int | None:
    """Of the durations of an edit list; None where one lasts as long as there is something."""
    long = edits[0] == 1
    (count,) = struct.unpack_from(">I", edits, 4)
    kind, size = (">QqI", 20) if long else (">IiI", 12)
    if count * size > len(edits):
        return None
    durations = [struct.unpack_from(kind, edits, 8 + size * one)[0] for one in range(count)]
    return sum(durations) if all(durations) else None


def _element(file: BinaryIO) -> tuple[int, int]:
    """The number and the size of the next element of a Matroska file.

    Raises: IndexError: here is none.
    """
    first = file.read(1)[0]
    kind = int.from_bytes(bytes([first]) + file.read(8 - first.bit_length()), "big")
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    if more > 7:
        # No length begins with eight zeros (RFC 8794, 4.1): a file of another kind.
        raise IndexError("a number of more than eight bytes")
    size = int.from_bytes(bytes([first & ((1 << (7 - more)) - 1)]) + file.read(more), "big")
    return kind, UNKNOWN_SIZE if size == (1 << (7 * (more + 1))) - 1 else size
