"""Scheduling: threads stay in the class that they have, whatever an encoder asks for.

SVT-AV1 puts itself and the thread that opens it before all others of the machine (SCHED_FIFO, 99)
where root runs it, as in a container: what waits for another program then starves it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

REAL_TIME = (1, 2)
"""SCHED_FIFO and SCHED_RR (sched.h), which only some systems have."""


@contextmanager
def usual_scheduling(*, watched: bool = True) -> Iterator[None]:
    """Threads that come into a real-time class meanwhile go back to the class that the calling one
    has; where that is a real-time one itself, somebody wants it so. Linux.

    Args: watched: False: nothing is done.
    """
    if not watched or sys.platform != "linux" or (usual := os.sched_getscheduler(0)) in REAL_TIME:
        yield
        return
    before = set(_in_real_time())
    try:
        yield
    finally:
        for thread in set(_in_real_time()) - before:
            with suppress(OSError):
                os.sched_setscheduler(thread, usual, os.sched_param(0))


def _in_real_time() -> Iterator[int]:
    for name in os.listdir("/proc/self/task"):
        with suppress(OSError):
            if os.sched_getscheduler(int(name)) in REAL_TIME:
                yield int(name)
