"""Pipeline: every frame in order, the original error out, no thread left."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stream.frame import Face, Frame, Patch
from stream.graph import Stages
from stream.pipeline import Pipeline
from stream.protocols import Stage
from stream.session import EnhancementSession
from stream.telemetry.metrics import DROPPED, ENHANCED, FACES, FRAMES, Metrics


class Numbers:
    """A source of `total` small frames."""

    width = 4
    height = 2
    rate = Fraction(25)
    time_base = Fraction(1, 25)

    def __init__(self, total: int = 20, live: bool = False, fail_from: int | None = None) -> None:
        self.frames_total = total
        self.live = live
        self.fail_from = fail_from
        self.made = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames_total):
            if index == self.fail_from:
                raise OSError("the source failed")
            self.made += 1
            image = np.full((self.height, self.width, 3), index % 256, np.uint8)
            yield Frame(image, index, index, self.time_base, time.monotonic_ns())


def with_patches(*weights: float | None) -> tuple[Face, ...]:
    """A face for each weight of a patch; None: a face without a patch."""
    image = np.zeros((4, 4, 3), np.uint8)
    box, keypoints = np.zeros(4, np.float32), np.zeros((6, 2), np.float32)
    patches = [None if one is None else Patch(image, (0, 0, 1, 1), 4, one) for one in weights]
    return tuple(Face(n, box, keypoints, 1.0, patch=patch) for n, patch in enumerate(patches))


class Mark(Stage):
    """A stage that copies the picture to the output; may fail or be slow."""

    def __init__(
        self, name: str = "mark", fail_from: int | None = None, delay_s: float = 0.0
    ) -> None:
        self.name = name
        self.fail_from = fail_from
        self.delay_s = delay_s
        self.closed_in: list[str] = []
        self.fail_close = False

    def __call__(self, frame: Frame) -> Frame:
        if self.fail_from is not None and frame.index >= self.fail_from:
            raise OSError(f"{self.name} failed")
        time.sleep(self.delay_s)
        return replace(frame, output=frame.image)

    def close(self) -> None:
        self.closed_in.append(threading.current_thread().name)
        if self.fail_close:
            raise OSError(f"{self.name} did not close")


class Keep:
    """A sink that remembers the order of the frames and how it ended."""

    def __init__(
        self, name: str = "keep", fail_from: int | None = None, delay_s: float = 0.0
    ) -> None:
        self.name = name
        self.fail_from = fail_from
        self.delay_s = delay_s
        self.indices: list[int] = []
        self.end: list[str] = []
        self.fail_close = False

    def send(self, frame: Frame) -> None:
        if self.fail_from is not None and frame.index >= self.fail_from:
            raise OSError(f"{self.name} failed")
        assert frame.output is not None
        time.sleep(self.delay_s)
        self.indices.append(frame.index)

    def close(self) -> None:
        self.end.append("close")
        if self.fail_close:
            raise OSError(f"{self.name} did not close")

    def abort(self) -> None:
        self.end.append("abort")


def session(*stages: Stage, metrics: Metrics | None = None) -> EnhancementSession:
    """Of a recording."""
    return EnhancementSession(Stages(list(stages)), metrics=metrics)


def call(*stages: Stage) -> EnhancementSession:
    """Of a live source."""
    return EnhancementSession(Stages(list(stages)), live_rate=Fraction(25))


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def test_every_frame_reaches_every_sink_in_order() -> None:
    stages = [Mark("one"), Mark("two", delay_s=0.001)]
    sinks = [Keep("fast"), Keep("slow", delay_s=0.002)]
    seen: list[int] = []
    metrics = Metrics()
    pipeline = Pipeline(
        Numbers(),
        session(*stages, metrics=metrics),
        sinks,
        on_frame=lambda frame: seen.append(frame.index),
    )
    pipeline.run()
    assert [sink.indices for sink in sinks] == [list(range(20))] * 2
    assert seen == list(range(20))
    assert [sink.end for sink in sinks] == [["close"]] * 2
    assert [stage.closed_in for stage in stages] == [["closeup work"]] * 2
    counts = {name: summary.count for name, summary in metrics.summaries().items()}
    assert counts == dict.fromkeys(("source", "one", "two", "fast", "slow"), 20)
    assert pipeline.dropped == 0


@pytest.mark.parametrize(
    ("part", "live"),
    [
        *((part, False) for part in ("source", "stage", "sink", "on_frame", "stage close")),
        # Live, a stage fails open: tests/stream/test_fail_open.py.
        *((part, True) for part in ("source", "sink", "on_frame", "stage close")),
    ],
)
def test_an_error_in_any_part_ends_the_run_with_that_error(part: str, live: bool) -> None:
    source = Numbers(10_000, live, fail_from=5 if part == "source" else None)
    if part == "stage close":
        source.frames_total = 5
    stages = [Mark("stage", fail_from=5 if part == "stage" else None), Mark("other")]
    stages[0].fail_close = part == "stage close"
    sinks = [Keep("sink", fail_from=5 if part == "sink" else None), Keep("bystander")]

    def fail(frame: Frame) -> None:
        raise OSError(f"{part} failed")

    made = call(*stages) if live else session(*stages)
    pipeline = Pipeline(source, made, sinks, on_frame=fail if part == "on_frame" else None)
    message = "stage did not close" if part == "stage close" else f"{part} failed"
    with pytest.raises(OSError, match=message):
        pipeline.run()
    assert [sink.end for sink in sinks] == [["abort"]] * 2
    assert all(len(stage.closed_in) == 1 for stage in stages)
    assert live or source.made < 100


def test_a_sink_that_cannot_finish_is_aborted_and_so_is_the_next() -> None:
    sinks = [Keep("first"), Keep("second"), Keep("third")]
    sinks[1].fail_close = True
    with pytest.raises(OSError, match="second did not close"):
        Pipeline(Numbers(3), session(Mark()), sinks).run()
    assert [sink.end for sink in sinks] == [["close"], ["close", "abort"], ["abort"]]


def test_the_first_error_wins_over_the_ones_it_causes() -> None:
    stage = Mark("stage", fail_from=2)
    stage.fail_close = True
    with pytest.raises(OSError, match="stage failed"):
        Pipeline(Numbers(), session(stage), [Keep()]).run()


def test_live_frames_are_replaced_and_not_queued() -> None:
    source = Numbers(200, live=True)
    sink = Keep()
    pipeline = Pipeline(source, call(Mark(delay_s=0.005)), [sink])
    pipeline.run()
    assert pipeline.dropped + len(sink.indices) == 200
    assert pipeline.dropped > 100
    assert pipeline.metrics.counter(DROPPED) == pipeline.dropped
    assert pipeline.metrics.counter(FRAMES) == len(sink.indices)
    assert sink.indices == sorted(sink.indices)
    assert sink.indices[-1] == 199


def test_faces_are_counted_in_every_frame() -> None:
    class Faces(Mark):
        def __call__(self, frame: Frame) -> Frame:
            return replace(super().__call__(frame), faces=with_patches(1.0, 0.0, None))

    metrics = Metrics()
    Pipeline(Numbers(4), session(Faces(), metrics=metrics), [Keep()]).run()
    counted = [metrics.counter(name) for name in (FRAMES, FACES, ENHANCED, DROPPED)]
    assert counted == [4, 12, 4, 0], "a patch that has faded out is not shown"


def test_stop_finishes_what_is_on_its_way() -> None:
    source = Numbers(1_000_000)
    sink = Keep()
    pipeline = Pipeline(source, session(Mark(delay_s=0.001)), [sink])
    pipeline.start()
    time.sleep(0.05)
    pipeline.stop()
    pipeline.wait()
    assert sink.end == ["close"]
    assert sink.indices == list(range(source.made))
    assert 0 < source.made < 1_000_000


def test_ctrl_c_stops_cleanly() -> None:
    sink = Keep()
    pipeline = Pipeline(Numbers(1_000_000), session(Mark(delay_s=0.001)), [sink])
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    timer.join()
    assert sink.end == ["abort"]


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("at", ["capture", "work", "sink first", "sink second"])
def test_ctrl_c_while_threads_start(at: str, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thread.start waits for the thread: Ctrl-C may come before the thread is there, or after."""
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name != f"closeup {at}":
            return real(thread)
        if runs:
            real(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    stage, sinks = Mark(delay_s=0.001), [Keep("first"), Keep("second")]
    pipeline = Pipeline(Numbers(1_000_000), session(stage), sinks)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    assert [sink.end for sink in sinks] == [["abort"], ["abort"]]
    assert len(stage.closed_in) == 1
    assert not pipeline.running


def test_a_pipeline_runs_only_once() -> None:
    pipeline = Pipeline(Numbers(1), session(), [])
    pipeline.run()
    with pytest.raises(RuntimeError, match="only once"):
        pipeline.start()
