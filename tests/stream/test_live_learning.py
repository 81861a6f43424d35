"""Learning in a call: only with room, never in the call's way, and gone when it is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engines.personal.close_ups import LEAST_CLOSE_UPS, crop_side
from engines.personal.gain import Gain
from engines.personal.learning_process import Learning, Task
from engines.personal.personal_weights import PersonalWeights
from engines.runtime import EngineError
from stream.errors import ConfigError
from stream.events import Event, LearningFailed, PersonLearnt
from stream.frame import Exemplar
from stream.live_learning import (
    GAIN,
    LEARNING,
    MORE,
    REST_S,
    LearningPermit,
    LiveLearning,
    check_learning,
    learning_in_words,
)
from stream.option_table import WEIGHTS
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.metrics import Metrics
from tests.fakes import BicubicRuntime
from tests.wiring import OTHER_WEIGHTS as OTHER


class FakeCall:
    """A session with people whose exemplars grow."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.load = 0.2
        self.people: dict[int, int] = {}
        self.others = 0
        self.events: list[Event] = []

    @property
    def track_ids(self) -> Sequence[int]:
        return tuple(self.people)

    def exemplars_of(self, track_id: int) -> tuple[Exemplar, ...]:
        picture = np.zeros((8, 8, 3), np.uint8)
        number = self.people.get(track_id, 0)
        return tuple(Exemplar(picture, 240, (0.0, 0.0), 1.0, float(k)) for k in range(number))

    def person_number(self, track_id: int) -> int:
        return self.others + 1 if self.people.get(track_id) else 0

    def tell(self, event: Event) -> None:
        self.events.append(event)


class FakeProcess:
    """In the place of `LearningProcess`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.done: list[str] = []
        self.next: Learning | None = None
        self.error = ""

    def news(self, timeout_s: float = 0.0) -> Learning | None:
        if self.error:
            raise EngineError(self.error)
        news, self.next = self.next, None
        return news

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def close(self) -> None:
        self.done.append("close")


class Desk:
    """A call that learns, with a clock that is set by hand."""

    def __init__(self, permit: LearningPermit | None = None) -> None:
        self.call = FakeCall()
        self.personal = PersonalRuntimes(lambda weights: BicubicRuntime(weights.scale))
        self.now_s = 100.0
        self.processes: list[FakeProcess] = []
        learns: Any = self._learn
        self.learning = LiveLearning(
            *(self.call, self.personal),
            permit=permit,
            threads=1,
            learns=learns,
            clock=lambda: self.now_s,
        )

    def _learn(self, task: Task) -> FakeProcess:
        self.processes.append(FakeProcess(task))
        return self.processes[-1]

    def look(self, load: float | None = None, later_s: float = 0.5) -> None:
        self.now_s += later_s
        if load is not None:
            self.call.load = load
        self.learning.look()

    @property
    def gauge(self) -> float:
        return self.call.metrics.snapshot().gauges[LEARNING]


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.call.people = {1: LEAST_CLOSE_UPS, 2: LEAST_CLOSE_UPS - 1}
    return made


def better(gain_db: float = 0.6, *, done: bool = False) -> Learning:
    weights = PersonalWeights(4, {"bias": np.ones(3, np.float32)}, ())
    return Learning(10, 80, 60.0, Gain(gain_db, 0.02), weights, done)


def test_it_begins_with_enough_close_ups_and_room(desk: Desk) -> None:
    desk.look(load=0.7)
    assert not desk.processes, "the call has little time to spare"
    desk.look(load=0.3)
    (process,) = desk.processes
    assert len(process.task.close_ups) == LEAST_CLOSE_UPS
    assert process.task.lowest_priority
    assert (process.task.threads, process.task.scale) == (1, 4)
    desk.call.people = {1: 0, 2: 0}


def test_it_learns_at_a_size_that_close_ups_have_the_detail_for(desk: Desk) -> None:
    desk.look(0.3)
    assert desk.processes[0].task.side == 64
    assert crop_side(4, 64.0, []) == crop_side(4, 64.0, [120.0]) == 32
    assert crop_side(4, 64.0, [170.0]) == crop_side(4, 50.0, [250.0]) == 48
    assert crop_side(4, 80.0, [120.0, 230.0, 250.0]) == 64
    assert (crop_side(8, 16.0, [250.0]), crop_side(8, 30.0, [250.0])) == (16, 32)


def test_what_is_better_takes_its_place_and_is_said(desk: Desk) -> None:
    desk.look()
    desk.processes[0].next = news = better()
    desk.look()
    assert desk.personal.get(1, 4) is not None
    assert desk.call.events == [PersonLearnt(1, 0.6, 0.02)]
    assert desk.call.metrics.snapshot().gauges[GAIN] == 0.6
    assert news.weights is not None
    assert not news.weights.parameters["bias"].any(), "wiped when it is open"
    assert desk.processes[0].done == []


def test_it_rests_while_the_call_has_no_time_and_longer_each_time(desk: Desk) -> None:
    desk.look()
    process = desk.processes[0]
    desk.look(load=0.9)
    assert process.done == ["pause"]
    assert desk.gauge == 0
    desk.look(load=0.3, later_s=REST_S - 1)
    assert process.done == ["pause"], "it rests for a while"
    desk.look(later_s=2.0)
    assert process.done == ["pause", "resume"]
    assert desk.gauge == 1
    desk.look(load=0.9)
    desk.look(load=0.3, later_s=REST_S + 1)
    assert process.done[2:] == ["pause"], "twice as long now"
    desk.look(later_s=REST_S)
    assert process.done[3:] == ["resume"]


def test_a_person_is_learnt_again_with_many_more_close_ups(desk: Desk) -> None:
    desk.look()
    desk.processes[0].next = better(done=True)
    desk.look()
    assert desk.processes[0].done == ["close"]
    desk.call.people = {1: LEAST_CLOSE_UPS + 1}
    desk.look()
    assert len(desk.processes) == 1
    desk.call.people = {1: int(MORE * LEAST_CLOSE_UPS)}
    desk.look()
    assert len(desk.processes) == 2


def test_who_is_forgotten_is_not_learnt_any_more(desk: Desk) -> None:
    desk.look()
    desk.processes[0].next = better()
    desk.look()
    desk.call.people = {}
    desk.look()
    assert desk.processes[0].done == ["close"]
    assert desk.personal.get(1, 4) is None


def test_somebody_else_in_the_same_place_does_not_get_what_was_learnt(desk: Desk) -> None:
    desk.look()
    desk.processes[0].next = better()
    desk.look()
    assert desk.personal.get(1, 4) is not None
    desk.call.others += 1  # with as many close-ups, before anybody has looked
    desk.look()
    assert desk.processes[0].done == ["close"]
    assert desk.personal.get(1, 4) is None
    assert len(desk.processes) == 2, "who is there now is learnt"
    desk.processes[1].next = better()
    desk.look()
    assert desk.personal.get(1, 4) is not None


def test_what_was_learnt_of_somebody_who_is_forgotten_while_it_is_opened_is_not_used() -> None:
    desk = Desk()

    def opens(weights: PersonalWeights) -> BicubicRuntime:
        desk.call.others += 1  # the key f, and the face is close again
        return BicubicRuntime(weights.scale)

    desk.personal = desk.learning._personal = PersonalRuntimes(opens)
    desk.call.people = {1: LEAST_CLOSE_UPS}
    desk.look()
    desk.processes[0].next = better()
    desk.look()
    assert desk.personal.get(1, 4) is None
    assert desk.call.events == []
    desk.look()
    assert desk.processes[0].done == ["close"]


def test_what_fails_is_said_once_and_the_call_goes_on(desk: Desk) -> None:
    desk.look()
    desk.processes[0].error = "out of memory"
    desk.look()
    desk.look()
    assert desk.call.events == [LearningFailed("out of memory")]
    assert len(desk.processes) == 1
    assert desk.processes[0].done == ["close"]


def test_the_window_says_what_it_does(desk: Desk) -> None:
    assert learning_in_words(desk.call.metrics.snapshot().gauges) == ""
    desk.look()
    desk.look()
    assert learning_in_words(desk.call.metrics.snapshot().gauges) == "learning"
    desk.processes[0].next = better()
    desk.look()
    desk.look(load=0.9)
    assert learning_in_words(desk.call.metrics.snapshot().gauges) == "learning rests +0.6 dB"


def test_of_several_calls_one_person_is_learnt_at_a_time() -> None:
    permit = LearningPermit()
    one, other = Desk(permit), Desk(permit)
    for desk in (one, other):
        desk.call.people = {1: LEAST_CLOSE_UPS}
        desk.look()
    assert (len(one.processes), len(other.processes)) == (1, 0)
    one.processes[0].next = better(done=True)
    one.look()
    other.look()
    assert len(other.processes) == 1
    one.call.people = {1: int(MORE * LEAST_CLOSE_UPS)}
    one.look()
    assert len(one.processes) == 1, "the other one learns"
    with other.learning:
        pass
    assert other.processes[0].done == ["close"]
    one.look()
    assert len(one.processes) == 2


def test_learning_rests_while_any_call_has_no_time() -> None:
    permit = LearningPermit()
    one, other = Desk(permit), Desk(permit)
    one.call.people = {1: LEAST_CLOSE_UPS}
    one.look()
    other.look(load=0.9)
    one.look()
    assert one.processes[0].done == ["pause"]
    other.look(load=0.1)
    one.look(later_s=REST_S + 1)
    assert one.processes[0].done == ["pause", "resume"]
    other.look(load=0.9)
    with other.learning:
        other.call.load = 0.9
    one.look()
    assert one.processes[0].done == ["pause", "resume"], "a call that has ended is never short"


def test_a_permit_is_given_back_when_nothing_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    permit = LearningPermit()
    one, other = Desk(permit), Desk(permit)

    def fails(task: Task) -> FakeProcess:
        raise EngineError("no memory")

    monkeypatch.setattr(one.learning, "_learns", fails)
    for desk in (one, other):
        desk.call.people = {1: LEAST_CLOSE_UPS}
        desk.look()
    assert one.call.events == [LearningFailed("no memory")]
    assert len(other.processes) == 1


def test_what_nobody_can_be_learnt_with_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    check_learning(WEIGHTS.default)
    with pytest.raises(ConfigError, match=f"from the {WEIGHTS.default} weights, not {OTHER}"):
        check_learning(OTHER)
    monkeypatch.setattr("stream.live_learning.lacking", lambda: "learning needs torch")
    with pytest.raises(ConfigError, match="needs torch"):
        check_learning(WEIGHTS.default)


def test_its_thread_ends_with_the_call(desk: Desk) -> None:
    with desk.learning:
        while not desk.processes:
            desk.call.load = 0.1
    assert desk.processes[0].done == ["close"]
