"""Keeps built engines on disk, and never lets them do harm.

An entry is a few files and a JSON sidecar, which is written last: without a sidecar that fits in
every field there is no entry. Engines hold machine code, so the folder must be ours alone (0700).
Whatever is wrong with an entry, it is deleted and made again; whatever is wrong with the folder,
the engines are made without it, after one line.

Source: facts on engines that stop loading: after updates of driver or library, on another card.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from engines.errors import EngineError
from engines.files import cache_folder, write_whole

SCHEMA = 1
WAIT_S = 600.0
"""So long one builder waits for another before it builds beside it."""
LIMIT_BYTES = 1 << 30
"""Entries that were used longest ago go first when the folder is larger."""

Key = Mapping[str, str | int]
"""All that an entry depends on, in full: it is compared, not only hashed."""
Entry = dict[str, bytes]
"""Name of the part: its bytes."""
T = TypeVar("T")

_log = logging.getLogger("closeup.engines")


class RefusedError(EngineError):
    """An entry was read but is not what it should be; says why. It will be made again."""


def default_folder() -> Path:
    """Where engines are kept: `engines` in the cache folder."""
    return cache_folder("engines")


class EngineCache:
    """A folder of entries. Safe to use from several processes and threads.

    Args: folder: created on first use. tell: gets one line for each thing that went wrong.
    """

    def __init__(
        self, folder: Path | None = None, tell: Callable[[str], None] = _log.warning
    ) -> None:
        self.folder = folder or default_folder()
        self._tell = tell
        self._told: set[str] = set()

    def get(
        self,
        key: Key,
        make: Callable[[], Entry],
        take: Callable[[Entry], T],
        waiting: Callable[[], bool] = lambda: True,
    ) -> T:
        """Take an entry from the folder, or make it, take it and keep it.

        Args:    make: makes the entry. take: turns an entry into what is wanted and tests it.
                 waiting: called while another process makes the entry; False: wait no longer.
        Returns: what `take` returned.
        Raises:  what `make` raises; RefusedError: a fresh entry was refused by `take` too.
        """
        if not self._usable():
            return take(make())
        found = self._try(key, take)
        if found is not None:
            return found[0]
        with self._lock(key, waiting) as waited:
            found = self._try(key, take) if waited else None
            if found is not None:
                return found[0]
            entry = make()
            taken = take(entry)  # only what has passed its test is kept
            self.store(key, entry)
            return taken

    def load(self, key: Key) -> Entry | None:
        """Read an entry; None: there is none that fits. A damaged one is deleted."""
        if not self._usable():
            return None
        sidecar = self._path(key, "json")
        try:
            text = read_own(sidecar)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain(f"{sidecar.name} cannot be read ({error.strerror}); it is made again")
            self.drop(key)
            return None
        try:
            card = json.loads(text)
            if card["schema"] != SCHEMA or card["key"] != dict(key):
                raise ValueError("it was made for something else")
            entry = {name: read_own(self._path(key, name)) for name in card["sha256"]}
            for name, checksum in card["sha256"].items():
                if hashlib.sha256(entry[name]).hexdigest() != checksum:
                    raise ValueError(f"{name} is damaged")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._complain(f"{sidecar.name} does not fit ({error}); it is made again")
            self.drop(key)
            return None
        with contextlib.suppress(OSError):
            os.utime(sidecar)  # used just now
        return entry

    def store(self, key: Key, entry: Entry) -> bool:
        """Write an entry, its sidecar last. Returns: whether it was written."""
        if not self._usable():
            return False
        checksums = {name: hashlib.sha256(part).hexdigest() for name, part in entry.items()}
        card = {"schema": SCHEMA, "key": dict(key), "sha256": checksums}
        try:
            self._path(key, "json").unlink(missing_ok=True)
            for name, part in entry.items():
                write_whole(self._path(key, name), part, durable=True)
            write_whole(self._path(key, "json"), json.dumps(card, indent=1), durable=True)
        except OSError as error:
            self._complain(
                f"{self.folder} cannot be written ({error.strerror}); engines are not kept"
            )
            self.drop(key)
            return False
        self._prune()
        return True

    def drop(self, key: Key) -> None:
        """Delete an entry, as far as possible."""
        digest = _digest(key)
        with contextlib.suppress(OSError):
            self._path(key, "json").unlink(missing_ok=True)
            for path in self.folder.glob(f"{digest}.*"):
                if path.suffix != ".lock":  # another process may hold it
                    path.unlink(missing_ok=True)

    def _try(self, key: Key, take: Callable[[Entry], T]) -> tuple[T] | None:
        entry = self.load(key)
        if entry is None:
            return None
        try:
            return (take(entry),)
        except RefusedError as error:
            self._complain(f"{_digest(key)}.json is refused ({error}); it is made again")
            self.drop(key)
            return None

    def _path(self, key: Key, part: str) -> Path:
        if not part.isidentifier():
            raise ValueError(f"{part!r} is no name for a part")
        return self.folder / f"{_digest(key)}.{part}"

    def _complain(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(f"engine cache: {line}")

    def _usable(self) -> bool:
        """Whether the folder is there and ours alone; makes it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            info = self.folder.lstat()
        except OSError as error:
            self._complain(f"{self.folder} cannot be made ({error.strerror}); engines are not kept")
            return False
        if sys.platform == "win32":
            return True  # the user's own folder is closed to others by its access list
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
            reason = "does not belong to this user"
        elif info.st_mode & 0o022:
            reason = "can be written by others"
        else:
            with contextlib.suppress(OSError):
                if info.st_mode & 0o077:
                    self.folder.chmod(0o700)
            return True
        self._complain(f"{self.folder} {reason}; engines are not kept")
        return False

    @contextlib.contextmanager
    def _lock(self, key: Key, waiting: Callable[[], bool]) -> Iterator[bool]:
        """Hold the entry's lock, or go on without. Yields: whether another held it before."""
        waited = False
        with contextlib.ExitStack() as stack:
            lock = FileLock(self._path(key, "lock"), timeout=0, mode=0o600)
            end = time.monotonic() + WAIT_S
            try:
                while True:
                    with contextlib.suppress(Timeout):
                        stack.enter_context(lock)
                        break
                    waited = True
                    if time.monotonic() > end or not waiting():
                        break
                    time.sleep(0.05)
            except OSError as error:
                # a read-only folder, or a network folder without locks: two builders do no harm,
                # since files are replaced whole
                self._complain(f"{self.folder} cannot be locked ({error.strerror})")
            yield waited

    def _prune(self) -> None:
        """Delete what was used longest ago while the folder is too large."""
        with contextlib.suppress(OSError):
            files = {path: path.stat() for path in self.folder.iterdir() if path.is_file()}
            total = sum(info.st_size for info in files.values())
            cards = [path for path in files if path.suffix == ".json"]
            cards.sort(key=lambda path: files[path].st_mtime)
            for card in cards[:-1]:
                if total <= LIMIT_BYTES:
                    break
                for path in [card, *(p for p in files if p.stem == card.stem and p != card)]:
                    total -= files[path].st_size
                    path.unlink(missing_ok=True)


def _digest(key: Key) -> str:
    text = json.dumps({"schema": SCHEMA, **key}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_own(path: Path) -> bytes:
    """Read a file of ours; never through a link. Raises: OSError."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        foreign = sys.platform != "win32" and info.st_uid != os.geteuid()
        if foreign or not stat.S_ISREG(info.st_mode):
            raise PermissionError(1, "it does not belong to this user")
        return file.read()
