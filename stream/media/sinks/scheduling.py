"""Scheduling: threads stay in the class that they have, whatever an encoder asks for.

SVT-AV1 puts itself and the thread that opens it before all others of the machine (SCHED_FIFO, 99)
where root runs it, as in a container: what waits for another program then starves it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def usual_scheduling(*, watched: bool = True) -> Iterator[None]:
    """Threads that are in a real-time class at the end, and were not before, leave it. Linux.

    Args: watched: False: nothing is done.
    """
    before = set(_in_real_time()) if watched else set()
    try:
        yield
    finally:
        for thread in _in_real_time() if watched else ():
            if thread not in before:
                with suppress(OSError):
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _in_real_time() -> Iterator[int]:
    if sys.platform != "linux":
        return
    for name in os.listdir("/proc/self/task"):
        with suppress(OSError):
            if os.sched_getscheduler(int(name)) in (os.SCHED_FIFO, os.SCHED_RR):
                yield int(name)
