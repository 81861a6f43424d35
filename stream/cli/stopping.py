"""Stopping: signals that end a run, and that nothing half-written is left however often they come.

The first one is a KeyboardInterrupt in the main thread: files that are not finished are removed,
other processes are ended. Who sends another one does not want to wait for that: the files go at
once, and so does the program.

Some libraries turn an exception within them into one of their own: pybind11 makes an ImportError of
one that comes while it loads a module. A request that is lost so is made again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engines.files import remove_growing
from stream.errors import StoppedError

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Ctrl-C, the end that a system asks for, the terminal that was closed."""
EXIT_STATUS = 128
"""And the number of the signal, as shells count."""
AGAIN_S = 0.05


def end_now(number: int) -> None:
    """Remove what is not finished and leave, without waiting for any thread."""
    remove_growing()
    os._exit(EXIT_STATUS + number)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within it, signals raise `StoppedError`, the second one ends the program.

    Who catches one and goes on says so (`stream.errors.heed`); one that vanishes is raised again.
    What was ignored before (`nohup`, a job in the background) stays ignored. In other threads than
    the main one signals are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked, within = False, True

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            end_now(number)
        asked = True
        raise watched(number)

    def watched(number: int) -> StoppedError:
        # Not in the frame that raises it, which it would keep, and that would keep it.
        stopped = StoppedError(number)
        weakref.finalize(stopped, gone, number, stopped.heeded).atexit = False
        return stopped

    def gone(number: int, heeded: threading.Event) -> None:
        if within and not heeded.is_set():
            # Not at once: an exception while an object ends is lost, too.
            threading.Timer(AGAIN_S, again, (number,)).start()

    def again(number: int) -> None:
        nonlocal asked
        if within:
            asked = False
            if sys.platform == "win32":
                signal.raise_signal(number)
            else:
                # It wakes the main thread, which may be waiting.
                signal.pthread_kill(threading.main_thread().ident or 0, number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, ask)
    try:
        yield
    finally:
        within = False
        remove_growing()
        for number in heard:
            signal.signal(number, before[number])
