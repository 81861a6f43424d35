"""PeopleStore: the folder of those who are kept for all calls.

    $CLOSEUP_DATA or the user's data folder/people/
        NAME/               a folder for each person, open to its owner alone
            person.closeup  close-ups and personal weights, encrypted where there is a keyring

A file is written as a whole or not at all, so that whatever interrupts leaves what there was.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from engines.files import LONGEST_NAME as LONGEST_FILE_NAME
from engines.files import data_folder, replacing
from stream.errors import ConfigError, InputError, OutputError
from stream.known_people.encryption import ENCRYPTED, Encryption
from stream.known_people.known_person import KnownPerson

PEOPLE, FILE = "people", "person.closeup"
LONGEST_NAME = 64
NAME = re.compile(r"\w(?:[\w .-]*\w)?")
"""Letters, digits and _; within a name also spaces, dots and hyphens."""
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""What Windows takes for a device."""
ROOM_BYTES = 20_000_000
"""Of the disk, for one person: 36 close-ups and the weights of both scales, encrypted in Base64."""


def check_name(name: str) -> str:
    """The name itself. Raises: ConfigError: it cannot be the name of a folder."""
    short = len(name) <= LONGEST_NAME and len(os.fsencode(name)) <= LONGEST_FILE_NAME
    allowed = short and NAME.fullmatch(name) and not RESERVED.fullmatch(name)
    if not allowed:
        raise ConfigError(
            f"{name!r} cannot be a name; take letters and digits, within it also spaces, dots and "
            f"hyphens, at most {LONGEST_NAME}"
        )
    return name


class PeopleStore:
    """Args: folder: left out, the user's. encryption: of the files."""

    def __init__(self, folder: Path | None = None, encryption: Encryption | None = None) -> None:
        self.folder = data_folder(PEOPLE) if folder is None else folder
        self._encryption = encryption or Encryption()

    def names(self) -> list[str]:
        """Of everybody who is kept, in alphabetical order."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{FILE}"))

    def encrypted(self, name: str) -> bool:
        """Whether what is kept of somebody is. Raises: ConfigError, InputError: as `load`."""
        return self._read(name).startswith(ENCRYPTED)

    def load(self, name: str) -> KnownPerson:
        """Somebody who is kept; the caller's to wipe.

        Raises: ConfigError: nobody is called so, or the key is missing. InputError: it cannot be
                read.
        """
        sealed = self._read(name)
        return KnownPerson.from_bytes(name, self._encryption.unseal(name, sealed))

    def check_room(self, name: str) -> None:
        """Find out, before anything is learnt, whether somebody could be kept.

        Raises: ConfigError: as `check_name`. OutputError: the folder is closed for writing, or none
                can be made, or the disk is full.
        """
        folder = self.folder / check_name(name)
        there = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
            if shutil.disk_usage(there).free < ROOM_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error

    def save(self, person: KnownPerson) -> str | None:
        """Keep somebody, in the place of what was kept of them.

        Returns: why it is not encrypted; None: it is.
        Raises:  ConfigError: as `check_name`. OutputError: it cannot be written.
        """
        folder = self.folder / check_name(person.name)
        sealed, why_plain = self._encryption.seal(person.to_bytes())
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
            for left in folder.glob(f".{FILE}.*.part"):  # by a run that was killed
                left.unlink()
            with replacing(folder / FILE, durable=True) as part, part.open("xb") as file:
                part.chmod(0o600)
                file.write(sealed)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
        return why_plain

    def forget(self, name: str) -> None:
        """Remove everything of a person, and with the last person the key.

        Raises: ConfigError: nobody is called so. OutputError: it cannot be removed.
        """
        folder = self.folder / check_name(name)
        if not folder.is_dir():
            self._path(name)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise OutputError(f"{folder} cannot be removed: {error.strerror or error}") from error
        if not self.names():
            self._encryption.drop_key()
            with suppress(OSError):  # something of the user's is in it
                self.folder.rmdir()

    def _path(self, name: str) -> Path:
        path = self.folder / check_name(name) / FILE
        if not path.exists():
            known = ", ".join(self.names())
            raise ConfigError(
                f"nobody called {name} is kept; "
                + (f"there are: {known}" if known else f"closeup learn {name} --input webcam")
            )
        return path

    def _read(self, name: str) -> bytes:
        path = self._path(name)
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
