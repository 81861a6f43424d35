"""Pipeline: source → session → sinks, each in its own thread.

capture thread ─link─► worker thread, drives the session ─link─► a thread for each sink

A live source changes two things: every link keeps the newest frame alone, so that nothing grows old
in a queue; and while the session is late the capture thread itself hands the camera's pictures on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from stream.frame import Frame
from stream.link import Link
from stream.protocols import Sink, Source
from stream.session import EnhancementSession
from stream.telemetry.metrics import DROPPED, age_of

WAITING_FRAMES = 4
"""Frames that wait in an ordered link: enough to even out bumps, little enough memory at 4K."""

WORKER = 1
"""Of the threads: the one that drives the session and closes it."""


class Pipeline:
    """Runs one source through a session into sinks.

    The first error of any source, stage, sink or `on_frame` ends the run: `run` (or `wait`)
    raises that very error after every thread has ended and every sink was aborted. So does
    KeyboardInterrupt. Sinks are closed only after all of them have taken every frame: nothing is
    published when one of them fails on the way.

    A session of a live source raises nothing of what its stages raise, see `FailOpen`.
    """

    def __init__(
        self,
        source: Source,
        session: EnhancementSession,
        sinks: Sequence[Sink],
        on_frame: Callable[[Frame], None] | None = None,
    ) -> None:
        """Put the parts together; nothing runs yet. A pipeline runs once.

        Args: source: already opened.
              session: prepared, driven and closed by the pipeline, in one thread. Its metrics get
              the time of "source" and of each sink, by name, too; live also drops, and the age of
              frames from capture until a sink has taken them.
              sinks: closed or aborted by the pipeline.
              on_frame: called with each frame that goes to the sinks, never by two threads at once.
        """
        self.metrics = session.metrics
        self._source = source
        self._session = session
        self._sinks = tuple(sinks)
        self._on_frame = on_frame
        self._captured = self._link()
        self._finished = [self._link() for _ in self._sinks]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        # Live, two threads hand frames on, and no sink may get them in another order.
        self._order = threading.Lock()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._begun: list[threading.Event] = []
        self._ended: list[threading.Event] = []
        """Of each thread: its work has begun, and is done."""

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced, everywhere together; always 0 for recordings."""
        return self.metrics.counter(DROPPED)

    @property
    def running(self) -> bool:
        """Whether frames still move; False before the start and when only `wait` is left."""
        return any(thread.is_alive() for thread in self._threads)

    def run(self) -> None:
        """Start, and wait for the end.

        Raises: the first error of any part, or KeyboardInterrupt.
        """
        self.start()
        self.wait()

    def start(self) -> None:
        """Start all threads and return.

        Raises: RuntimeError: it was started before.
                KeyboardInterrupt: while they start; nothing runs then, sinks are aborted.
        """
        if self._threads:
            raise RuntimeError("a pipeline runs only once")
        self._threads = [self._thread("capture", self._capture), self._thread("work", self._work)]
        for sink, link in zip(self._sinks, self._finished, strict=True):
            drain = partial(self._drain, sink, link)
            self._threads.append(self._thread(f"sink {sink.name}", drain))
        try:
            for thread in self._threads:
                thread.start()
        except BaseException as error:
            self._fail(error)
            self._abandon()
            self.wait()

    def stop(self) -> None:
        """Let no more frames in; what is on its way is finished. Then `wait`."""
        self._stopping.set()

    def wait(self) -> None:
        """Wait until everything is finished, and close or abort the sinks.

        Raises: the first error of any part, or KeyboardInterrupt.
        """
        try:
            self._join()
        except BaseException as error:
            self._fail(error)
            self._join()
        self._close_sinks()
        if self._error is not None:
            raise self._error

    def _link(self) -> Link[Frame]:
        return Link.latest() if self._source.live else Link.ordered(WAITING_FRAMES)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        begun, ended = threading.Event(), threading.Event()

        def watched() -> None:
            with self._lock:
                if ended.is_set():  # abandoned
                    return
                begun.set()
            try:
                work()
            except BaseException as error:
                self._fail(error)
            finally:
                ended.set()

        self._begun.append(begun)
        self._ended.append(ended)
        return threading.Thread(target=watched, name=f"closeup {name}")

    def _abandon(self) -> None:
        """Let no thread begin any more: Ctrl-C in Thread.start does not tell whether it runs."""
        with self._lock:
            for begun, ended in zip(self._begun, self._ended, strict=True):
                if not begun.is_set():
                    ended.set()
            working = self._begun[WORKER].is_set()
        if not working:
            self._close_session()

    def _fail(self, error: BaseException) -> None:
        """Keep the first error and let every thread meet it."""
        with self._lock:
            if self._error is None:
                self._error = error
        for link in (self._captured, *self._finished):
            link.close(self._error)

    def _join(self) -> None:
        for thread, ended in zip(self._threads, self._ended, strict=True):
            # Ctrl-C within Thread.join may leave a thread marked as stopped that still runs (up to
            # Python 3.12); and a wait without a time-out does not notice it on every system.
            while not ended.wait(0.1):
                pass
            if thread.is_alive():
                thread.join()

    def _capture(self) -> None:
        frames = iter(self._source)
        while not self._stopping.is_set():
            started_ns = time.perf_counter_ns()
            frame = next(frames, None)
            if frame is None:
                break
            self.metrics.record("source", (time.perf_counter_ns() - started_ns) / 1e6)
            if self._session.late:
                self._hand_on(self._session.plain(frame))
            else:
                self._put(self._captured, frame)
        self._captured.close()
        self._stopping.set()

    def _work(self) -> None:
        try:
            if self._session.prepare(self._stopping.is_set):
                for frame in self._captured:
                    self._hand_on(self._session.process(frame))
        except BaseException as error:
            self._fail(error)
        self._close_session()
        for link in self._finished:
            link.close()

    def _close_session(self) -> None:
        try:
            self._session.close()
        except BaseException as error:
            self._fail(error)

    def _drain(self, sink: Sink, link: Link[Frame]) -> None:
        for frame in link:
            with self.metrics.time(sink.name):
                sink.send(frame)
            if self._source.live:
                age_ns = time.monotonic_ns() - frame.captured_ns
                self.metrics.record(age_of(sink.name), age_ns / 1e6)

    def _hand_on(self, frame: Frame) -> None:
        with self._order:
            if not self._session.hand_on(frame):
                return
            if self._on_frame is not None:
                self._on_frame(frame)
            for link in self._finished:
                self._put(link, frame)

    def _put(self, link: Link[Frame], frame: Frame) -> None:
        if link.put(frame):
            self.metrics.count(DROPPED)

    def _close_sinks(self) -> None:
        open_sinks = list(self._sinks)
        try:
            while open_sinks and self._error is None:
                open_sinks[0].close()
                open_sinks.pop(0)
        except BaseException as error:
            self._fail(error)
        for sink in open_sinks:
            # The error that ended the run is the one to report.
            with suppress(Exception):
                sink.abort()
