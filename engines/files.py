"""Files that are there completely or not at all, and the folder where files are kept.

A file grows beside its place under a hidden name that ends in `.part`, and gets its own name when
it is whole. Stands below everything else: engines, stream and the measuring programs use it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import platformdirs

LONGEST_NAME = 255
"""Bytes of a file's name on the usual file systems."""
_growing: set[Path] = set()
"""Files of this process that are not complete."""


def cache_folder(kind: str) -> Path:
    """Where files of a kind are kept that can be had again.

    `$CLOSEUP_CACHE/<kind>`, else in the user's cache folder as the system has it: on Linux
    `$XDG_CACHE_HOME/closeup/<kind>` or `~/.cache/closeup/<kind>`.
    """
    own = os.environ.get("CLOSEUP_CACHE")
    base = Path(own).expanduser() if own else platformdirs.user_cache_path("closeup", False)
    return base / kind


def data_folder(kind: str) -> Path:
    """Where files of a kind are kept that the user asked to keep, and that cannot be had again.

    `$CLOSEUP_DATA/<kind>`, else in the user's data folder as the system has it: on Linux
    `$XDG_DATA_HOME/closeup/<kind>` or `~/.local/share/closeup/<kind>`.
    """
    own = os.environ.get("CLOSEUP_DATA")
    base = Path(own).expanduser() if own else platformdirs.user_data_path("closeup", False)
    return base / kind


def hidden_beside(path: Path, ending: str) -> Path:
    """A hidden name beside a path, `.<name>.<ending>`; short where the name is too long for it."""
    name = f".{path.name}.{ending}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.{ending}"
    return path.with_name(name)


def part_path(path: Path) -> Path:
    """Where a file grows until it is complete, when only one process at a time writes it."""
    return hidden_beside(path, "part")


def grows(part: Path) -> None:
    """This file is not complete, until `give_name` or `discard`."""
    _growing.add(part)


def discard(part: Path) -> None:
    """Remove a file that will not be complete. May be called again. Raises: OSError."""
    part.unlink(missing_ok=True)
    _growing.discard(part)


def remove_growing() -> None:
    """Remove every file that is not complete: the program ends, whatever writes them."""
    for part in list(_growing):
        with contextlib.suppress(OSError):
            discard(part)


@contextlib.contextmanager
def replacing(path: Path, part: Path | None = None, *, durable: bool = False) -> Iterator[Path]:
    """Write a file as a whole or not at all: yields where to write, and gives that the name after.

    What was written goes when the block raises.

    Args:   part: where it grows; a name of its own when left out, for several writers at once.
            durable: it is on the disk before it gets its name.
    Raises: OSError.
    """
    part = hidden_beside(path, f"{secrets.token_hex(4)}.part") if part is None else part
    grows(part)
    try:
        yield part
        give_name(part, path, durable=durable)
    except BaseException:
        with contextlib.suppress(OSError):
            discard(part)
        raise


def give_name(part: Path, path: Path, *, durable: bool = False) -> None:
    """Move a complete file to its place.

    Args:   durable: it is on the disk before.
    Raises: OSError.
    """
    if durable:
        handle = os.open(part, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    os.replace(part, path)
    _growing.discard(part)


def write_whole(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file as a whole or not at all; text is UTF-8.

    Args:   durable: it is on the disk before it gets its name.
    Raises: OSError.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path, durable=durable) as part, part.open("xb") as file:
        file.write(data)
