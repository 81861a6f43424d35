"""Lock: one process at a time, without anything to clean up after a process that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class TakenError(Exception):
    """Another process holds it."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file, which is made where it is missing.

    Raises: TakenError. OSError: it cannot be made.
    """
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise TakenError from error
    try:
        yield
    finally:
        lock.release()
