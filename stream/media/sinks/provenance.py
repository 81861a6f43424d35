"""Provenance: the file itself says that faces were enhanced, by what, with which network.

The comment is the one tag that mp4, mov and mkv all keep. It is written with the header, before
anybody knows whether a face will be enhanced; where none was, it is taken out again.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from mmap import ACCESS_WRITE, mmap
from pathlib import Path
from typing import Protocol

from stream.picture_options import SPEED
from stream.version import __version__

COMMENT = "comment"
_TAGS, _SIMPLE_TAG, _CRC32, _VOID = b"\x12\x54\xc3\x67", b"\x67\xc8", b"\xbf\x84", b"\xec"
"""Elements of Matroska."""


class Signer(Protocol):
    """Puts a signature on a finished file."""

    def sign(self, part: Path, target: Path, statement: str) -> None:
        """Replace `part`, which will be called `target`.

        Args:   part: the complete file. target: the name it will have. statement: what was done to
                the pictures, for people.
        Raises: OutputError.
        """
        ...


@dataclass(frozen=True)
class Provenance:
    """What a recording says about itself."""

    weights: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 by name of file."""
    signer: Signer | None = None
    adapted: bool = False
    """Whether the network has learnt people of this recording."""
    speed: str = SPEED.default
    """In which pictures the network ran: see `stream.picture_options.SPEED`."""

    @property
    def statement(self) -> str:
        """One line."""
        files = ", ".join(f"{name} sha256:{digest}" for name, digest in self.weights.items())
        network = f" with the network HIME-small ({files})" if files else ""
        adapted = ", adapted to people of this recording" if self.adapted else ""
        every = "" if self.speed == SPEED.default else ", in every other picture"
        return f"Faces enhanced by AI: Closeup {__version__}{network}{adapted}{every}"

    def add_to(self, tags: dict[str, str]) -> None:
        """The statement, after what the recording says already."""
        said = next((key for key in tags if key.lower() == COMMENT), None)
        before = f"{tags[said]}\n" if said else ""
        tags[said or COMMENT] = before + self.statement

    def finish(self, part: Path, target: Path, enhanced: bool) -> None:
        """The file is complete: sign what is true, take out what is not.

        Args:   enhanced: whether any face was. target: the name that `part` will get.
        Raises: OutputError: it cannot be signed. OSError.
        """
        if not enhanced:
            take_out(part, self.statement)
        elif self.signer is not None:
            self.signer.sign(part, target, self.statement)


def take_out(path: Path, statement: str) -> None:
    """Remove a statement from the tags of an mp4, mov or mkv, in place; all else stays where it is.

    Where it follows another comment, spaces stay in its place. Raises: OSError.
    """
    text = statement.encode()
    with path.open("r+b") as file, mmap(file.fileno(), 0, access=ACCESS_WRITE) as data:
        blank = _blank_matroska if data[:4] == b"\x1aE\xdf\xa3" else _blank_mp4
        # A mov has it twice, in the old way and in the new one.
        while (start := data.rfind(text)) >= 0:
            blank(data, start, len(text))


def _blank_mp4(data: mmap, start: int, size: int) -> None:
    """Boxes that hold nothing else become "free"; in mp4 a box "data" lies between."""
    end = start + size
    # The text begins so many bytes after its box.
    head = 24 if data[start - 12 : start - 8] == b"data" else 12
    box = start - head
    whole = int.from_bytes(data[box : box + 4], "big") == end - box
    if whole and data[box + 4 : box + 8] in (b"\xa9cmt", b"\xa9des"):
        data[box + 4 : box + 8] = b"free"
    data[start:end] = b" " * size


def _blank_matroska(data: mmap, start: int, size: int) -> None:
    end = start + size
    data[start:end] = b" " * size
    tag = data.rfind(_SIMPLE_TAG, 0, start)
    head = 2 + _length_of_size(data[tag + 2])
    whole = _content(data, tag, 2)
    if whole == (tag + head, end) and data[start - 1] != ord("\n"):
        # Void has an identifier of one byte: its size is a byte longer.
        room = end - tag - 9
        data[tag : tag + 9] = _VOID + (room | 1 << 56).to_bytes(8, "big")
        data[tag + 9 : end] = bytes(room)
    tags = data.rfind(_TAGS, 0, start)
    first, last = _content(data, tags, 4)
    if data[first : first + 2] == _CRC32:
        checked = zlib.crc32(data[first + 6 : last])
        data[first + 2 : first + 6] = checked.to_bytes(4, "little")


def _length_of_size(first: int) -> int:
    """Bytes of a size in EBML (RFC 8794): one more than zeros before the first one."""
    return 9 - first.bit_length()


def _content(data: mmap, element: int, identifier: int) -> tuple[int, int]:
    """Where the content of an element begins and ends; `identifier`: bytes of that."""
    length = _length_of_size(data[element + identifier])
    start = element + identifier + length
    size = int.from_bytes(data[element + identifier : start], "big") & ((1 << 7 * length) - 1)
    return start, start + size
