"""Worker: a process that enhances recordings, one after another, for an archive.

It answers its parent over a pipe: `Moment`s of a recording under way, then its `Record`. It ends
when the parent says so (SIGTERM, or None in place of a task) and when the parent is no more.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import cv2

from engines.allocator import use_few_arenas
from stream.recordings.batch.batch_progress import SentMeter
from stream.recordings.batch.manifest import Record
from stream.recordings.batch.task import Task, perform
from stream.shared_runtime import SharedRuntime
from stream.telemetry.progress import Moment

END_S = 20.0
"""A worker that was told to stop may take so long to put away what is not finished."""


def work(pipe: Connection, threads: int, runtime: str, weights: str, network: str) -> None:
    """Take tasks until there are no more. The main function of the process.

    Args: pipe: gives a `Task` or None, takes progress and a `Record`. threads: of this process.
          runtime: "auto" or its name. weights: of the network. network: which is used, see
          `stream.option_table.NETWORK`.
    """
    _prepare(threads)
    try:
        with SharedRuntime(runtime, weights, network) as shared_runtime:
            while (task := pipe.recv()) is not None:
                pipe.send(perform(task, partial(SentMeter, send=pipe.send), shared_runtime))
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        sys.exit(0)


def _prepare(threads: int) -> None:
    # Ctrl-C at a terminal reaches all processes; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    use_few_arenas()
    # The runtimes of the network and the detector's go by it.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    cv2.setNumThreads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Worker:
    """The parent's end of a worker.

    Args: threads: for its computations. runtime, weights, network: see `work`; opened once.
    """

    def __init__(self, threads: int, runtime: str, weights: str, network: str) -> None:
        # Not forked: the libraries have threads of their own.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, threads, runtime, weights, network), name="closeup worker"
        )
        self._process.start()
        theirs.close()

    def begin(self, task: Task) -> None:
        """Give it a task; then its `pipe` has answers. One that is dead answers by its end."""
        with suppress(ConnectionError):
            self.pipe.send(task)

    def answer(self) -> Moment | Record | None:
        """What it says next; None when it died."""
        try:
            said: Any = self.pipe.recv()
        except (EOFError, ConnectionError):
            return None
        assert isinstance(said, Moment | Record)
        return said

    @property
    def alive(self) -> bool:
        """Whether it can take a task."""
        return self._process.is_alive()

    @property
    def cause(self) -> str:
        """Why it died."""
        self._process.join(END_S)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"the process that worked on it was killed ({signal.Signals(-code).name})"
        return f"the process that worked on it ended ({code})"

    def stop(self) -> None:
        """End it now, and wait until it has put away what is not finished."""
        if self._process.is_alive():
            self._process.terminate()

    def wait(self) -> None:
        """Until it has ended; one that does not is killed."""
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.pipe.close()
        self._process.close()
