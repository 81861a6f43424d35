"""Lock: one process at a time, without anything to clean up after a process that was killed.

Not filelock, which the engine cache uses: its files stay, and these lie in folders of the user's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engines.files import hidden_beside
from stream.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: two runs at once are the user's to avoid
    fcntl = None  # type: ignore[assignment]


class TakenError(Exception):
    """Another process holds it."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file, which is made where it is missing and removed at the end.

    Raises: TakenError. OSError: it cannot be made.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The one who held it may just have removed it.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    break
        except BlockingIOError as error:
            os.close(handle)
            raise TakenError from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Be the only one who writes an output, from before the first look at it to its last byte.

    Where the file system has no locks, two runs at once are the user's to avoid.

    Raises: OutputError: another run writes it.
    """
    lock = held(hidden_beside(output, "lock"))
    try:
        lock.__enter__()
    except TakenError:
        raise OutputError(
            f"another run writes {output}; wait for its end, or give another name"
        ) from None
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
