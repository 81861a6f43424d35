"""The session: what it runs, counts, reports and survives, whoever drives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.events import (
    Event,
    ExemplarAdmitted,
    QualityDegraded,
    QualityRecovered,
    RuntimeChosen,
    StageFailedOpen,
    StageRecovered,
    note_of,
)
from stream.fail_open import FAILURES, GOOD_FRAMES, RETRY_S
from stream.frame import Face, Frame, Image, Patch, View
from stream.graph import Stages
from stream.protocols import FaceState, Stage
from stream.quality_controller import LEVEL
from stream.quality_ladder import FULL, LADDER, QualityLevel
from stream.session import EnhancementSession
from stream.telemetry.metrics import FRAMES, Metrics
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import scene_with_face

RATE = Fraction(30)
SIZE = (32, 16)
WHOLE = View((0.0, 0.0, 32.0, 16.0), (64, 32))
FRAMES_SHOWN = 6
Work = Callable[[Frame], Frame]


def picture() -> Image:
    return np.full((16, 32, 3), 90, np.uint8)


def frame(index: int) -> Frame:
    return Frame(picture(), index, index, 1 / RATE, round(index * 1e9 / RATE))


def draw(one: Frame) -> Frame:
    return replace(one, view=WHOLE, output=np.full((32, 64, 3), 7, np.uint8))


def broken(one: Frame) -> Frame:
    raise OSError("out of\nsorts")


class Diary(Stage):
    """A stage that writes down what it is asked."""

    def __init__(self, name: str = "diary", work: Work = draw) -> None:
        self.name = name
        self.work = work
        self.asked: list[object] = []

    def __call__(self, frame: Frame) -> Frame:
        self.asked.append("process")
        return self.work(frame)

    def replay(self, frame: Frame) -> Frame:
        self.asked.append("replay")
        return frame

    def apply(self, quality: QualityLevel) -> None:
        self.asked.append(quality)

    def forget(self) -> None:
        self.asked.append("forget")

    def restore(self, faces: Mapping[int, FaceState]) -> None:
        self.asked.append("restore")

    def close(self) -> None:
        self.asked.append("close")


class TwoFaces(Diary):
    """All stages in one: two faces in every frame, one of them shown enhanced."""

    def __call__(self, frame: Frame) -> Frame:
        box, points = np.array([2, 2, 8, 8], np.float32), np.zeros((6, 2), np.float32)
        patch = Patch(np.zeros((64, 64, 3), np.uint8), (0, 0, 16, 16), 4)
        faded = Face(2, box, points, 0.9, patch=replace(patch, weight=0.0))
        return replace(draw(frame), faces=(Face(1, box, points, 0.9, patch=patch), faded))


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def live(*stages: Stage, clock: Callable[[], float] = time.monotonic) -> EnhancementSession:
    made = Stages(list(stages), whole=WHOLE)
    return EnhancementSession(made, live_rate=RATE, clock=clock)


def drive(session: EnhancementSession, frames: int, first: int = 0) -> list[Frame]:
    made = []
    for index in range(first, first + frames):
        made.append(session.process(frame(index)))
        assert session.hand_on(made[-1])
    return made


def test_in_a_recording_every_stage_works_or_its_error_comes_out() -> None:
    first, second = Diary("first"), Diary("second")
    session = EnhancementSession(Stages([first, second]))
    assert session.prepare()
    (done,) = drive(session, 1)
    assert done.output is not None
    second.work = broken
    with pytest.raises(OSError, match="sorts"):
        session.process(frame(1))
    assert first.asked == second.asked == ["process", "process"]
    assert not session.late
    assert not session.events
    assert set(session.metrics.summaries()) == {"first", "second"}
    assert session.quality is FULL


def test_live_a_stage_fails_open_and_recovers_and_both_are_events() -> None:
    clock = Clock()
    tracker = Diary("tracker", broken)
    heard: list[Event] = []
    session = EnhancementSession(
        Stages([tracker, Diary("compositor")], whole=WHOLE),
        live_rate=RATE, clock=clock, on_event=heard.append,
    )  # fmt: skip
    for done in drive(session, FAILURES + 2):
        assert done.output is not None
    failed = StageFailedOpen("tracker", "raised", "out of sorts")
    assert heard == [failed]
    assert list(session.failing) == [failed]
    assert session.stats().failed_open == FAILURES + 2
    tracker.work = draw
    clock.now_s += RETRY_S + 1.0
    drive(session, GOOD_FRAMES, first=100)
    assert heard == [failed, StageRecovered("tracker")]
    assert session.events == tuple(heard)
    assert not session.failing
    assert session.stats().failed_open == FAILURES + 2
    assert [note_of(event) for event in heard] == [
        "the tracker failed (out of sorts); the camera's picture is shown where it is needed",
        "the tracker works again",
    ]


def test_quality_degrades_for_every_stage_and_recovers_and_both_are_events() -> None:
    clock = Clock()

    def work(one: Frame) -> Frame:
        clock.now_s += 0.06 if session.quality.search_every == 1 else 0.005
        return draw(one)

    stages = Diary("slow", work), Diary("other")
    session = live(*stages, clock=clock)
    drive(session, 30)
    (down,) = session.events
    assert isinstance(down, QualityDegraded)
    assert (down.level, down.quality) == (session.stats().level, session.quality.name)
    assert down.level > 0
    assert all(LADDER[down.level] in stage.asked for stage in stages)
    assert session.metrics.snapshot().gauges[LEVEL] == down.level
    for index in range(30, 400):
        drive(session, 1, index)
        clock.now_s += 0.02
        if len(session.events) > 1:
            break
    up = session.events[1]
    assert isinstance(up, QualityRecovered)
    assert up.level < down.level
    assert LADDER[up.level] in stages[1].asked
    assert note_of(up) is None, "figures show it"


def test_the_total_of_several_sessions_has_no_level_of_any() -> None:
    total = Metrics()
    made = [
        EnhancementSession(Stages([TwoFaces()]), live_rate=RATE, metrics=Metrics(total))
        for _ in range(2)
    ]
    for session in made:
        drive(session, 3)
    assert total.counter(FRAMES) == 6
    assert [one.stats().frames for one in made] == [3, 3]
    assert total.summaries()["diary"].count == 6
    assert not total.snapshot().gauges


def test_frames_are_late_until_the_models_are_loaded_and_that_is_no_failure() -> None:
    loaded: list[str] = []

    def load() -> None:
        assert session.late
        assert session.preparing
        plain = session.plain(frame(0))
        assert plain.output is not None
        assert plain.output.shape == (32, 64, 3)
        loaded.append("model")

    def try_out() -> float:
        loaded.append("tried")
        return 0.01

    stage = Diary()
    stages = Stages([stage], whole=WHOLE, to_load=(load,), try_out=try_out)
    session = EnhancementSession(stages, live_rate=RATE)
    assert session.prepare()
    assert loaded == ["model", "tried"]
    assert not session.late
    assert session.stats().failed_open == 0
    assert session.stats().level > 0, "nobody has measured this machine"
    assert not session.events, "a beginning is no step down"
    assert stage.asked == [session.quality]
    again = EnhancementSession(stages, live_rate=RATE)
    assert not again.prepare(lambda: True)
    assert again.late, "nothing works"
    assert loaded == ["model", "tried"]


def test_a_frame_that_was_overtaken_is_dropped_and_costs_nothing() -> None:
    stage = Diary()
    session = live(stage)
    assert session.hand_on(session.plain(frame(5)))
    old = frame(4)
    assert session.process(old) is old
    assert not session.hand_on(old)
    assert not stage.asked
    assert (session.stats().frames, session.stats().dropped) == (1, 1)


def test_finished_frames_are_replayed() -> None:
    stage = Diary()
    session = EnhancementSession(Stages([stage]), finished=lambda one: one.index < 2)
    drive(session, 4)
    assert stage.asked == ["replay", "replay", "process", "process"]


def test_every_stage_is_asked_to_forget_and_to_close_whatever_the_others_do() -> None:
    class Stuck(Diary):
        def close(self) -> None:
            super().close()
            raise OSError(f"{self.name} is stuck")

    stages = [Stuck("first"), Stuck("second"), Diary("third")]
    session = live(*stages)
    session.forget()
    with pytest.raises(OSError, match="first is stuck"):
        session.close()
    assert [stage.asked for stage in stages] == [["forget", "close"]] * 3


def test_exemplars_and_the_runtime_are_events(camera: OneFace, opened: OpenedRuntimes) -> None:
    stages = Stages.build((640, 480), Fraction(10), framing="fixed", scale=2.0)
    session = EnhancementSession(stages)
    rate = Fraction(10)
    for index in range(14):
        if index == 12:
            camera.width = 30.0
        image = scene_with_face(camera.width, (640, 480))
        pts = index if index < 12 else index + 40
        assert session.hand_on(session.process(Frame(image, index, pts, 1 / rate, 0)))
    admitted = [event for event in session.events if isinstance(event, ExemplarAdmitted)]
    assert len(admitted) == session.stats().exemplars > 0
    assert len(session.exemplars_of(admitted[0].track_id)) == len(admitted)
    assert [e for e in session.events if isinstance(e, RuntimeChosen)] == [
        RuntimeChosen(4, "bicubic")
    ]
    assert session.stats().runtime == "bicubic"
    assert session.stats().enhanced > 0
    session.strength = 0.5
    assert stages.compositor.strength == session.strength == 0.5
    before = session.stats()
    session.reframe((320, 240), rate, "fixed", 2.0)
    assert session.exemplars_of(admitted[0].track_id), "remembered across the change"
    assert session.stats() == before
    session.forget()
    assert not session.exemplars_of(admitted[0].track_id)
    session.close()
    assert not opened.runtimes[0].is_open


@pytest.mark.parametrize("name", ["strength", "detail"])
@pytest.mark.parametrize("odd", [float("nan"), 1.01, -0.01, "0.5"])
def test_what_is_no_setting_is_refused_not_drawn(camera: OneFace, name: str, odd: float) -> None:
    session = EnhancementSession(Stages.build((640, 480), RATE, framing="auto"), live_rate=RATE)
    before = getattr(session, name)
    with pytest.raises(ConfigError, match=name):
        setattr(session, name, odd)
    assert getattr(session, name) == before
    session.close()
