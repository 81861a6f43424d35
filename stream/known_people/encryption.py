"""Encryption of what is kept, with a key that the system's keyring holds.

The packages `keyring` and `cryptography` (extra `learn`) are imported here alone. The key is made
when something is kept for the first time, and removed with the last person.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from engines.install import install_command
from stream.errors import ConfigError

SERVICE, ENTRY = "closeup", "people"
"""Under which the keyring has the key."""
PLAIN, ENCRYPTED = b"closeup person 1 plain\n", b"closeup person 1 fernet\n"
"""What a file begins with."""


class NoKeyError(Exception):
    """There is no key, and why."""


class Encryption:
    """Encrypts and decrypts files of people. Source: Fernet (AES-128-CBC with HMAC-SHA256),
    as specified at github.com/fernet/spec."""

    def seal(self, data: bytes) -> tuple[bytes, str | None]:
        """What to write, and why it is not encrypted; None: it is."""
        try:
            return ENCRYPTED + self._fernet(make=True).encrypt(data), None
        except NoKeyError as error:
            return PLAIN + data, str(error)

    def unseal(self, name: str, sealed: bytes) -> bytes:
        """What `seal` was given. Raises: ConfigError: the key is missing, or it is damaged."""
        if sealed.startswith(PLAIN):
            return sealed[len(PLAIN) :]
        remove = f"remove it: closeup forget {name}"
        if not sealed.startswith(ENCRYPTED):
            raise ConfigError(f"what is kept of {name} is damaged; {remove}")
        try:
            fernet = self._fernet(make=False)
        except NoKeyError as error:
            raise ConfigError(
                f"{name} was encrypted with a key of the system's keyring, which is not to be had "
                f"({error}); unlock the keyring, or {remove}"
            ) from error
        from cryptography.fernet import InvalidToken

        try:
            return bytes(fernet.decrypt(sealed[len(ENCRYPTED) :]))
        except InvalidToken as error:
            raise ConfigError(
                f"what is kept of {name} is damaged, or was encrypted with another key; {remove}"
            ) from error

    def drop_key(self) -> None:
        """Remove the key: nobody is kept any more."""
        with suppress(Exception):  # backends raise classes of their own where there is none
            import keyring

            keyring.delete_password(SERVICE, ENTRY)

    def _fernet(self, *, make: bool) -> Any:
        """Raises: NoKeyError."""
        try:
            import keyring.errors
            from cryptography.fernet import Fernet
        except ImportError as error:
            raise NoKeyError(
                f"{error}; {install_command('learn')} brings keyring and cryptography"
            ) from error
        try:
            key = keyring.get_password(SERVICE, ENTRY)
            if key is None and make:
                keyring.set_password(SERVICE, ENTRY, Fernet.generate_key().decode("ascii"))
                key = keyring.get_password(SERVICE, ENTRY)  # the null backend keeps nothing
            if key is not None:
                return Fernet(key.encode("ascii"))
        except keyring.errors.NoKeyringError as error:
            raise NoKeyError("this system has no keyring") from error
        except keyring.errors.KeyringLocked as error:
            raise NoKeyError("the system's keyring is locked") from error
        except Exception as error:  # backends raise classes of their own
            raise NoKeyError(f"the system's keyring failed ({type(error).__name__})") from error
        raise NoKeyError("the system's keyring has no key for it")
