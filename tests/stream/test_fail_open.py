"""Fail open: whatever happens to a stage, the camera's picture comes through, and not late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stream.events import Event, OnEvent, StageFailedOpen, StageRecovered, note_of
from stream.fail_open import FAILURES, GOOD_FRAMES, LATE_S, RETRY_S, FailOpen
from stream.frame import Frame, View
from stream.graph import Stages
from stream.pipeline import Pipeline
from stream.protocols import Stage
from stream.session import EnhancementSession
from stream.telemetry.metrics import FAILED_OPEN, Metrics

WHOLE = View((0.0, 0.0, 4.0, 2.0), (8, 4))
LEFT = View((0.0, 0.0, 2.0, 1.0), (8, 4))


class Do(Stage):
    """A stage that does what it is told."""

    def __init__(self, name: str, work: Callable[[Frame], Frame]) -> None:
        self.name = name
        self.work = work
        self.seen: list[int] = []

    def __call__(self, frame: Frame) -> Frame:
        self.seen.append(frame.index)
        return self.work(frame)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def frame(index: int) -> Frame:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    return Frame(image, index, index, Fraction(1, 30), time.monotonic_ns())


def look(one: Frame) -> Frame:
    return replace(one, view=LEFT)


def draw(one: Frame) -> Frame:
    assert one.view is not None
    return replace(one, output=np.full((4, 8, 3), 77, np.uint8))


def broken(one: Frame) -> Frame:
    raise OSError("out of\nsorts")


class Bench:
    """Stages behind `FailOpen`, with a clock of their own."""

    def __init__(self, *stages: Do) -> None:
        self.clock, self.metrics = Clock(), Metrics()
        self.happened: list[Event] = []
        self.stages = stages
        self.index = 0
        self.fail_open = FailOpen(stages, self.metrics, WHOLE, self.happened.append, self.clock)

    def run(self, times: int = 1) -> Frame:
        for _ in range(times):
            done = self.fail_open(frame(self.index))
            self.index += 1
        assert done.output is not None
        assert done.output.shape == (4, 8, 3)
        return done


def test_good_stages_are_left_alone() -> None:
    bench = Bench(Do("framing", look), Do("compositor", draw))
    done = bench.run(3)
    assert done.output is not None
    assert (done.output == 77).all()
    assert bench.metrics.counter(FAILED_OPEN) == 0
    assert bench.metrics.summaries()["framing"].count == 3
    assert not bench.happened


def test_a_stage_that_raises_shows_the_cameras_picture_in_the_last_view() -> None:
    bench = Bench(Do("framing", look), Do("enhancer", lambda one: one), Do("compositor", draw))
    bench.run()
    bench.stages[1].work = broken
    assert bench.run().view == LEFT
    bench.stages[0].work = broken
    done = bench.run()
    assert done.view == LEFT
    assert done.output is not None
    assert done.output.max() < 77
    assert bench.metrics.counter(FAILED_OPEN) == 2
    failed = StageFailedOpen("enhancer", "raised", "out of sorts")
    assert bench.happened == [failed, replace(failed, stage="framing")]
    assert note_of(failed) == (
        "the enhancer failed (out of sorts); the camera's picture is shown where it is needed"
    )


def test_after_repeated_failures_a_stage_is_off_the_others_work_and_it_is_tried_again() -> None:
    bench = Bench(Do("framing", broken), Do("compositor", draw))
    framing = bench.stages[0]
    bench.run(FAILURES + 10)
    assert len(framing.seen) == FAILURES
    done = bench.run()
    assert done.view == WHOLE
    assert done.output is not None
    assert (done.output == 77).all()
    bench.clock.now_s += RETRY_S + 0.1
    bench.run(10)
    assert len(framing.seen) == FAILURES + 1
    bench.clock.now_s += RETRY_S + 0.1
    bench.run(10)
    assert len(framing.seen) == FAILURES + 1, "the pause has doubled"
    framing.work = look
    bench.clock.now_s += RETRY_S
    assert bench.run(GOOD_FRAMES).view == LEFT
    assert len(bench.happened) == 2
    assert bench.happened[1] == StageRecovered("framing")
    assert note_of(bench.happened[1]) == "the framing works again"
    assert not bench.fail_open.failing


def test_a_slow_stage_counts_as_failing_and_a_single_slow_frame_is_no_news() -> None:
    bench = Bench(Do("enhancer", look), Do("compositor", draw))
    enhancer = bench.stages[0]

    def slow(one: Frame) -> Frame:
        bench.clock.now_s += LATE_S + 0.01
        return look(one)

    enhancer.work = slow
    bench.run()
    assert not bench.happened
    bench.run(FAILURES + 5)
    assert len(enhancer.seen) == FAILURES
    (late,) = bench.happened
    assert late == StageFailedOpen("enhancer", "late")
    assert bench.fail_open.failing == (late,)
    assert note_of(late) == (
        "the enhancer is too slow; the camera's picture is shown where it is needed"
    )


class Camera:
    """A live source of `total` frames at `rate`; it also ends when somebody sets `enough`."""

    width, height, live, frames_total = 4, 2, True, None
    time_base = Fraction(1, 30)

    def __init__(self, total: int, rate: int = 100) -> None:
        self.total = total
        self.rate = Fraction(rate)
        self.newest = -1
        self.enough = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.total):
            if self.enough.wait(float(1 / self.rate)):
                return
            self.newest = index
            yield frame(index)


def call(
    *stages: Stage, metrics: Metrics | None = None, on_event: OnEvent | None = None
) -> EnhancementSession:
    """The session of a live source."""
    made = Stages(list(stages), whole=WHOLE)
    return EnhancementSession(made, live_rate=Fraction(100), metrics=metrics, on_event=on_event)


class Keep:
    name = "keep"

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.watch: Callable[[Frame], None] = lambda one: None

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.watch(frame)

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def test_a_call_goes_on_without_a_stage_and_measures_ages() -> None:
    sink, metrics, happened = Keep(), Metrics(), list[Event]()
    pipeline = Pipeline(
        Camera(40), call(Do("tracker", broken), metrics=metrics, on_event=happened.append), [sink]
    )
    pipeline.run()
    assert len(sink.frames) + pipeline.dropped == 40
    assert len(sink.frames) > 5
    assert all(one.output is not None and one.output.shape == (4, 8, 3) for one in sink.frames)
    assert metrics.counter(FAILED_OPEN) >= len(sink.frames)
    assert metrics.summaries()["keep age"].count == len(sink.frames)
    assert len(happened) == 1


def test_a_stage_that_hangs_does_not_hold_the_picture_up() -> None:
    camera, sink, metrics = Camera(20_000), Keep(), Metrics()
    shown, hung, overtaken = 20, list[int](), list[bool]()

    def hang(one: Frame) -> Frame:
        if one.index >= 20 and not hung:
            hung.append(one.index)
            # Until the camera's pictures have come through meanwhile.
            overtaken.append(passing.wait(60.0))
        return look(one)

    passing = threading.Event()

    def watch(one: Frame) -> None:
        assert one.output is not None
        if hung and not passing.is_set():
            while_hung.append(one.index)
            if len(while_hung) > shown:
                passing.set()
        elif hung and one.index > while_hung[-1] and (one.output == 77).all():
            camera.enough.set()

    while_hung: list[int] = []
    sink.watch = watch
    session = call(Do("enhancer", hang), Do("compositor", draw), metrics=metrics)
    Pipeline(camera, session, [sink]).run()
    assert overtaken == [True], "while it hung, pictures were shown"
    indices = [one.index for one in sink.frames]
    assert indices == sorted(set(indices)), "in order, each once"
    assert hung[0] not in indices, "overtaken"
    # One that was ready may have been on its way.
    assert min(while_hung[1:]) > hung[0], "those that the camera took meanwhile"
    assert metrics.counter(FAILED_OPEN) >= shown
    last = sink.frames[-1].output
    assert last is not None
    assert (last == 77).all(), "enhanced again"


def test_frames_are_new_again_within_two_after_a_short_sleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However long a busy machine takes for it, it is short.
    monkeypatch.setattr("stream.fail_open.LATE_S", 60.0)
    camera = Camera(60)
    slept: list[tuple[int, int]] = []

    def nap(one: Frame) -> Frame:
        if one.index >= 10 and not slept:
            while camera.newest < one.index + 10:
                time.sleep(0.01)
            slept.append((one.index, camera.newest))
        return look(one)

    session = call(Do("enhancer", nap), Do("compositor", draw))
    indices: list[int] = []
    Pipeline(camera, session, [], lambda one: indices.append(one.index)).run()
    ((index, newest),) = slept
    after = indices[indices.index(index) :]
    assert after[2] >= newest, "what was captured meanwhile is not worked off"


def test_start_up_work_is_no_failure_and_no_frame_waits_for_it() -> None:
    bench = Bench(Do("compositor", draw))
    fail_open, done = bench.fail_open, list[int]()

    def load() -> None:
        bench.clock.now_s += 100.0
        assert fail_open.is_late()
        assert fail_open.plain(frame(0)).output is not None
        done.append(len(done))

    assert fail_open.prepare([load, load])
    assert done == [0, 1]
    assert not fail_open.is_late()
    assert bench.metrics.counter(FAILED_OPEN) == 0
    assert fail_open.plain(frame(1)).output is not None, "captured while it became ready"
    assert bench.metrics.counter(FAILED_OPEN) == 0


def test_who_stops_while_it_begins_leaves_out_the_rest() -> None:
    bench = Bench(Do("compositor", draw))
    done: list[str] = []
    steps = [lambda: done.append("first"), lambda: done.append("second")]
    assert not bench.fail_open.prepare(steps, lambda: bool(done))
    assert done == ["first"]
    assert bench.fail_open.is_late(), "nothing works"


def test_what_some_stages_took_says_nothing_of_what_all_would_take() -> None:
    bench = Bench(Do("framing", look), Do("enhancer", look), Do("compositor", draw))
    complete = []
    for work in (look, broken, look, *[broken] * FAILURES):
        bench.stages[1].work = work
        bench.run()
        complete.append(bench.fail_open.complete)
    bench.stages[1].work = look
    bench.run()
    assert [*complete, bench.fail_open.complete] == [True, False, True] + [False] * (FAILURES + 1)
