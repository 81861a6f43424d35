"""Stopping: signals that end a run, and that nothing half-written is left however often they come.

The first one is a KeyboardInterrupt in the main thread: files that are not finished are removed,
other processes are ended. Who sends another one does not want to wait for that: the files go at
once, and so does the program.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engines.files import remove_growing

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, the end that a system asks for, the terminal that was closed."""
EXIT_STATUS = 128
"""And the number of the signal, as shells count."""


class StoppedError(KeyboardInterrupt):
    """A signal asked for the end; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def end_now(number: int) -> None:
    """Remove what is not finished and leave, without waiting for any thread."""
    remove_growing()
    os._exit(EXIT_STATUS + number)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within it, signals raise `StoppedError`, the second one ends the program.

    What was ignored before (`nohup`, a job in the background) stays ignored. In other threads than
    the main one signals are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            end_now(number)
        asked = True
        raise StoppedError(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, ask)
    try:
        yield
    finally:
        remove_growing()
        for number in heard:
            signal.signal(number, before[number])
