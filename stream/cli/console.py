"""Console: standard streams that never decide whether the work is done.

Who reads the output may have gone (`| head`), the device may be full, the stream closed or its
encoding too small for a name. The recording is worked on all the same; what cannot be said is not.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast


class LenientStream(io.TextIOBase):
    """A text stream whose errors are ignored: from the first on, what is written is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream behind."""
        return self._stream.encoding or "ascii"

    def write(self, text: str) -> int:
        """Characters that the stream does not have are written as their numbers."""
        if not self._gone:
            try:
                self._write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """See `write`."""
        if not self._gone:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def isatty(self) -> bool:
        """Whether people may be looking."""
        try:
            return not self._gone and self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Raises: OSError, as every stream without one."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            known = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._stream.write(known)

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, BlockingIOError):
            return
        self._gone = True
        # What the stream still holds is flushed at the end of the program, which would fail again
        # and change the exit status.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()


@contextmanager
def lenient_console() -> Iterator[None]:
    """Within it, `sys.stdout` and `sys.stderr` are lenient; neither is None."""
    before = sys.stdout, sys.stderr
    # None: Python was started without one.
    nowhere = [open(os.devnull, "w", encoding="utf-8") for one in before if one is None]  # noqa: SIM115
    streams = [LenientStream(nowhere[0] if one is None else one) for one in before]
    sys.stdout, sys.stderr = (cast(TextIO, one) for one in streams)
    try:
        yield
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before
        for one in nowhere:
            one.close()
