"""Errors: what a caller of the engines can meet, and how every program tells of an error.

EngineError             base of the errors below
├── UnavailableError    the runtime cannot run here: why, and what to install
└── WeightsError        a weights file is missing or is not the one the manifest names
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

STOPPED = 130
"""Exit status of a program that Ctrl-C has ended: 128 and the number of SIGINT."""


class EngineError(Exception):
    """Base of the errors of this package."""


class UnavailableError(EngineError):
    """The runtime cannot run on this machine; says why and what to install."""


class WeightsError(EngineError):
    """A weights file is missing, damaged, or not the one that the manifest names."""


def one_line(error: object) -> str:
    """What an error says, in one line; where it says nothing, its class."""
    return " ".join(str(error).split()) or type(error).__name__


def reported(error: Exception) -> int:
    """Print an error that a user can act on, in one line. Returns: the exit status."""
    print(f"error: {one_line(error)}", file=sys.stderr)
    return 2


def run_program(main: Callable[[], int | None]) -> NoReturn:
    """Run a program that measures, trains or tests, and end with its exit status.

    Ctrl-C, where the program itself does not heed it, ends it with one line, as an error does, once
    every block is left: temporary files are removed.

    Args: main: its command line.
    """
    try:
        status = main()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)  # in a line of its own also after a figure of progress
        status = STOPPED
    sys.exit(status)
