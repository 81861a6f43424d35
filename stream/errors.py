"""Errors a user can meet, each with one clear line that names the problem and the way out.

    CloseupError            base: the command line prints it and exits with status 2
    ├── InputError          the input cannot be opened, decoded or has no picture
    ├── OutputError         the output exists, cannot be written, or its folder is missing
    ├── ConfigError         options that cannot be met together or are out of range
    └── ModelError          a model file cannot be fetched, or is not the one it should be

    StoppedError            a signal asked for the end: a KeyboardInterrupt, and no error

Anything else that escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import threading


class CloseupError(Exception):
    """Base of all errors that a user can act on; `str(error)` is one line."""


class InputError(CloseupError):
    """The input cannot be opened, decoded, or has no picture."""


class OutputError(CloseupError):
    """The output exists already, cannot be written, or its folder is missing."""


class ConfigError(CloseupError):
    """An option is out of range, or two options contradict each other."""


class ModelError(CloseupError):
    """A model file cannot be fetched, or its checksum is wrong."""


class StoppedError(KeyboardInterrupt):
    """A signal asked for the end; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.heeded = threading.Event()
        """See `heed`."""


def heed(interrupt: KeyboardInterrupt) -> None:
    """Say that it was understood, by who catches it: otherwise it counts as lost and is raised once
    more."""
    if isinstance(interrupt, StoppedError):
        interrupt.heeded.set()
