"""Spool: a recording that comes through a pipe, kept in a file while it is worked on.

It is read several times (survey, first pass, second pass, comparison), which a pipe is not.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from engines.files import discard, grows, hidden_beside
from stream.errors import CloseupError, InputError, OutputError

STDIN = "-"
"""What `--input` calls it."""
NAME = "standard input"
AT_ONCE = 1 << 20


@contextmanager
def spooled(output: Path) -> Iterator[Path]:
    """All of standard input in a file beside `output`, for its owner alone, removed at the end.

    Raises: InputError: there is nothing to read. OutputError: it cannot be kept.
    """
    pipe = None if sys.stdin is None else sys.stdin.buffer
    if pipe is None or pipe.isatty():
        raise InputError(f"{NAME} is no pipe; write: … | closeup --input - --output {output}")
    part = hidden_beside(output, "input")
    try:
        _keep(pipe, part)
        if part.stat().st_size == 0:
            raise InputError(f"{NAME} is empty; does the program before the pipe work?")
        yield part
    except CloseupError as error:
        said = str(error).replace(str(part), NAME).replace(part.name, NAME)
        raise type(error)(said) from error
    finally:
        with suppress(OSError):
            discard(part)


def _keep(pipe: BinaryIO, part: Path) -> None:
    grows(part)
    try:
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            shutil.copyfileobj(pipe, file, AT_ONCE)
    except OSError as error:
        raise OutputError(f"{NAME} cannot be kept beside the output: {error.strerror}") from error
