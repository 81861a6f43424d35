"""Boxes of an mp4 or mov (ISO/IEC 14496-12): where they lie in a file, and what is in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

MOST_BYTES = 1 << 20
"""Of a box that is read as a whole; those that are needed are far smaller."""
MOST_BOXES = 10_000
LEAST_HEADER = 16
"""Bytes of the shortest header of a file or a track that has its number or its clock."""


class Box(NamedTuple):
    """Where the content of one lies, bytes from the beginning of the file."""

    begin: int
    end: int


def boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, Box]]:
    """The boxes side by side.

    Args:    begin, end: bytes from the beginning of the file.
    Returns: name, and where the content is, of each.
    Raises:  struct.error: the file ends within one.
    """
    for _ in range(MOST_BOXES):
        if begin + 8 > end:
            return
        file.seek(begin)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            head = 16
        size = size or end - begin
        if size < head:
            return
        yield name, Box(begin + head, min(end, begin + size))
        begin += size


def only(file: BinaryIO, place: Box | None, *names: bytes) -> Box | None:
    """The first box of a name in another one, in it the first of the next name, and so on.

    Args:   place: in which they are. names: from the outermost on.
    Raises: struct.error: the file ends within one.
    """
    for name in names:
        if place is None:
            return None
        found = (box for one, box in boxes(file, *place) if one == name)
        place = next(found, None)
    return place


def content(file: BinaryIO, box: Box | None, least: int) -> bytes | None:
    """All that is in a box; None where there is none, or where it is no size that it can have.

    Args: box: of the file. least: bytes that it must have.
    """
    if box is None or not least <= box.end - box.begin <= MOST_BYTES:
        return None
    file.seek(box.begin)
    return file.read(box.end - box.begin)


def track(file: BinaryIO, moov: Box, number: int) -> Box | None:
    """Where a track is.

    Args:   moov: the box of all. number: its own (`tkhd`).
    Raises: struct.error: the file ends within one.
    """
    for name, box in boxes(file, *moov):
        told = content(file, only(file, box, b"tkhd"), LEAST_HEADER) if name == b"trak" else None
        if told is not None:
            (found,) = struct.unpack_from(">I", told, 20 if told[0] == 1 else 12)
            if found == number:
                return box
    return None
