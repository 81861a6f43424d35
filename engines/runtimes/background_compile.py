"""BackgroundCompiler: makes sizes ready in the background, so that nobody waits for them later.

Compiling the network for one more size takes up to half a second of one core. In a call it is done
here, while other sizes answer; who never asks, as recordings do not, has no thread more.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
NICE = 10
"""Of the thread that gives way: a tenth of the weight of the others."""


class BackgroundCompiler:
    """Makes sizes ready, one after the other, in the order in which they were wanted.

    Args: make: makes a size ready; in a thread of its own.
    """

    def __init__(self, make: Callable[[int], None]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._wanted: set[int] = set()
        self._failed: set[int] = set()
        self._closed = False
        self._worker: ThreadPoolExecutor | None = None
        self._behind: ThreadPoolExecutor | None = None

    def want(self, size: int) -> None:
        """Have a size made ready; from any thread. One that is under way is not begun again."""
        with self._lock:
            if self._closed or size in self._wanted:
                return
            self._wanted.add(size)
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, "closeup compiler")
                self._behind = ThreadPoolExecutor(1, "closeup behind", give_way)
            self._worker.submit(self._work, size)

    def failed(self, size: int) -> bool:
        """Whether it could not be made ready; who uses it all the same meets the error."""
        return size in self._failed

    def behind(self, work: Callable[[], T]) -> T:
        """For `make`: do this part of it at a low priority, and wait for it.

        It must not hold Python's lock for long: a call would wait for it as long as this does.
        """
        assert self._behind is not None
        return self._behind.submit(work).result()

    def close(self) -> None:
        """Begin nothing more, and wait for what is under way. May be called again."""
        with self._lock:
            self._closed = True
        for pool in (self._worker, self._behind):
            if pool is not None:
                pool.shutdown(cancel_futures=True)

    def _work(self, size: int) -> None:
        try:
            if not self._closed:
                self._make(size)
        except Exception:
            self._failed.add(size)
        finally:
            with self._lock:
                self._wanted.discard(size)


def give_way() -> None:
    """Give the calling thread a low priority for good, where the system knows that of a thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
