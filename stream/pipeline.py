"""Pipeline: source → stages → sinks, each in its own thread, the stages together in one.

capture thread ─link─► worker thread, runs all the stages ─link─► a thread for each sink
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Protocol

from stream.frame import Frame
from stream.link import Link
from stream.metrics import Metrics

WAITING_FRAMES = 4
"""Frames that wait in an ordered link: enough to even out bumps, little enough memory at 4K."""


class Source(Protocol):
    """Where frames come from. Opened and closed by the one who made it (`with`)."""

    @property
    def width(self) -> int:
        """Of every frame, px."""
        ...

    @property
    def height(self) -> int:
        """Of every frame, px."""
        ...

    @property
    def rate(self) -> Fraction:
        """Frames per second, on average."""
        ...

    @property
    def time_base(self) -> Fraction:
        """Of every frame's pts, seconds."""
        ...

    @property
    def frames_total(self) -> int | None:
        """How many frames to expect; None when nobody knows."""
        ...

    @property
    def live(self) -> bool:
        """True: frames come when they come, an old one is worth nothing."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order; raises `InputError` when it cannot go on."""
        ...


class Stage(Protocol):
    """Looks at a frame and returns it with more known about it. Runs in one thread."""

    @property
    def name(self) -> str:
        """One word, for the report."""
        ...

    def __call__(self, frame: Frame) -> Frame:
        """`dataclasses.replace(frame, ...)`; never writes into the frame's arrays."""
        ...

    def close(self) -> None:
        """Give everything back. Called once, in the thread that ran the stage."""
        ...


class Sink(Protocol):
    """Takes finished frames. `send` runs in its own thread; `close` or `abort` after it."""

    @property
    def name(self) -> str:
        """One word, for the report."""
        ...

    def send(self, frame: Frame) -> None:
        """Take one frame, in order."""
        ...

    def close(self) -> None:
        """The run went well: flush and publish."""
        ...

    def abort(self) -> None:
        """The run failed: remove what is half-written. May follow a `close` that raised."""
        ...


class Pipeline:
    """Runs one source through stages into sinks.

    The first error of any source, stage, sink or `on_frame` ends the run: `run` (or `wait`)
    raises that very error after every thread has ended and every sink was aborted. So does
    KeyboardInterrupt. Sinks are closed only after all of them have taken every frame: nothing is
    published when one of them fails on the way.
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Stage],
        sinks: Sequence[Sink],
        metrics: Metrics | None = None,
        on_frame: Callable[[Frame], None] | None = None,
    ) -> None:
        """Put the parts together; nothing runs yet. A pipeline runs once.

        Args: source: already opened.
              stages: in order; closed by the pipeline.
              sinks: closed or aborted by the pipeline.
              metrics: gets the time of "source", of each stage and each sink, by name.
              on_frame: called in the worker thread with each frame that has passed the stages.
        """
        self.metrics = metrics if metrics is not None else Metrics()
        self._source = source
        self._stages = tuple(stages)
        self._sinks = tuple(sinks)
        self._on_frame = on_frame
        self._captured = self._link()
        self._finished = [self._link() for _ in self._sinks]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced, in all links together; always 0 for recordings."""
        return sum(link.dropped for link in (self._captured, *self._finished))

    def run(self) -> None:
        """Start, and wait for the end.

        Raises: the first error of any part, or KeyboardInterrupt.
        """
        self.start()
        self.wait()

    def start(self) -> None:
        """Start all threads and return.

        Raises: RuntimeError: it was started before.
        """
        if self._threads:
            raise RuntimeError("a pipeline runs only once")
        self._threads = [self._thread("capture", self._capture), self._thread("work", self._work)]
        for sink, link in zip(self._sinks, self._finished, strict=True):
            drain = partial(self._drain, sink, link)
            self._threads.append(self._thread(f"sink {sink.name}", drain))
        for thread in self._threads:
            thread.start()

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
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                self._fail(error)

        return threading.Thread(target=guarded, name=f"closeup {name}")

    def _fail(self, error: BaseException) -> None:
        """Keep the first error and let every thread meet it."""
        with self._lock:
            if self._error is None:
                self._error = error
        for link in (self._captured, *self._finished):
            link.close(self._error)

    def _join(self) -> None:
        for thread in self._threads:
            while thread.is_alive():
                # A join without a time-out does not notice Ctrl-C on every system.
                thread.join(0.1)

    def _capture(self) -> None:
        frames = iter(self._source)
        while not self._stopping.is_set():
            started_ns = time.perf_counter_ns()
            frame = next(frames, None)
            if frame is None:
                break
            self.metrics.record("source", (time.perf_counter_ns() - started_ns) / 1e6)
            self._captured.put(frame)
        self._captured.close()

    def _work(self) -> None:
        try:
            for frame in self._captured:
                self._pass_on(frame)
        except BaseException as error:
            self._fail(error)
        self._close_stages()
        for link in self._finished:
            link.close()

    def _drain(self, sink: Sink, link: Link[Frame]) -> None:
        for frame in link:
            with self.metrics.time(sink.name):
                sink.send(frame)

    def _pass_on(self, frame: Frame) -> None:
        for stage in self._stages:
            with self.metrics.time(stage.name):
                frame = stage(frame)
        if self._on_frame is not None:
            self._on_frame(frame)
        for link in self._finished:
            link.put(frame)

    def _close_stages(self) -> None:
        for stage in self._stages:
            try:
                stage.close()
            except BaseException as error:
                # The other stages still have models and memory to give back.
                self._fail(error)

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
