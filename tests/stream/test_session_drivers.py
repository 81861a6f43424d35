"""Whoever drives a session, the same stages come to the same figures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from stream.api import Enhancer
from stream.frame import Frame
from stream.graph import Stages
from stream.pipeline import Pipeline
from stream.session import EnhancementSession
from stream.telemetry.metrics import ENHANCED, FACES, FAILED_OPEN, FRAMES, Metrics
from stream.telemetry.session_stats import SessionStats
from tests.stream.test_session import RATE, SIZE, WHOLE, TwoFaces, frame, picture

FRAMES_SHOWN = 6


class Source:
    """Frames that come one by one, each when the one before was shown."""

    width, height = SIZE
    rate, time_base, frames_total = RATE, 1 / RATE, FRAMES_SHOWN

    def __init__(self, live: bool) -> None:
        self.live = live
        self.shown = threading.Semaphore(1)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(FRAMES_SHOWN):
            assert self.shown.acquire(timeout=30.0)
            yield replace(frame(index), captured_ns=time.monotonic_ns())


class Shown:
    """A sink that asks the source for the next frame."""

    name = "shown"

    def __init__(self, source: Source) -> None:
        self.source = source

    def send(self, frame: Frame) -> None:
        self.source.shown.release()

    def close(self) -> None:
        """Nothing to finish."""

    abort = close


def by_the_api(monkeypatch: pytest.MonkeyPatch) -> SessionStats:
    with Enhancer() as enhancer:
        for _ in range(FRAMES_SHOWN):
            enhancer(picture())
        assert enhancer._session is not None
        return enhancer._session.stats()


def by_a_pipeline(is_live: bool) -> Callable[[pytest.MonkeyPatch], SessionStats]:
    def run(monkeypatch: pytest.MonkeyPatch) -> SessionStats:
        source = Source(is_live)
        stages = Stages.build(SIZE, RATE, framing="auto")
        session = EnhancementSession(stages, live_rate=RATE if is_live else None)
        Pipeline(source, session, [Shown(source)]).run()
        return session.stats()

    return run


def by_a_track(monkeypatch: pytest.MonkeyPatch) -> SessionStats:
    av = pytest.importorskip("av")
    pytest.importorskip("aiortc", reason="WebRTC needs the extra webrtc")
    from stream.rtc.track_worker import Picture, TrackWorker
    from stream.shared_runtime import SharedRuntime

    came, made = threading.Semaphore(0), list[SessionStats]()
    total = Metrics()
    with SharedRuntime() as shared_runtime:

        def deliver(picture: Picture) -> None:
            came.release()

        worker = TrackWorker(shared_runtime, deliver, metrics=total)
        for index in range(-1, FRAMES_SHOWN):  # the first one only makes the session
            native = av.VideoFrame.from_ndarray(picture(), format="rgb24")
            native.pts, native.time_base = max(index, 0), 1 / RATE
            worker.put(Picture(native, index + 1, time.monotonic_ns(), deliver))
            while index < 0 and (worker._session is None or worker.late):
                time.sleep(0.01)
            assert index < 0 or came.acquire(timeout=30.0)
        assert worker._session is not None
        made.append(worker._session.stats())
        worker.close()
        worker.join()
    counted = [total.counter(name) for name in (FRAMES, FACES, ENHANCED, FAILED_OPEN)]
    stats = made[0]
    assert counted == [stats.frames, stats.faces, stats.enhanced, stats.failed_open]
    return stats


@pytest.mark.parametrize(
    "run",
    [by_the_api, by_a_pipeline(False), by_a_pipeline(True), by_a_track],
    ids=["api", "recording", "call", "track"],
)
def test_all_drivers_count_the_same(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[pytest.MonkeyPatch], SessionStats]
) -> None:
    def build(*_: Any, **__: Any) -> Stages:
        return Stages([TwoFaces()], whole=WHOLE)

    monkeypatch.setattr(Stages, "build", build)
    stats = run(monkeypatch)
    assert stats == SessionStats(
        frames=FRAMES_SHOWN,
        dropped=0,
        failed_open=0,
        faces=2 * FRAMES_SHOWN,
        enhanced=FRAMES_SHOWN,
        exemplars=0,
        level=0,
        runtime="",
    )
