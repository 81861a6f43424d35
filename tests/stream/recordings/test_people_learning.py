"""Who is learnt between the passes, for how long, and what is kept for a run that goes on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from engines.personal.close_ups import LEAST_CLOSE_UPS
from engines.personal.gain import Gain
from engines.personal.learning_process import Learning, Task
from engines.personal.personal_weights import PersonalWeights, shipped_digests
from engines.runtime import EngineError
from stream.frame import Exemplar, Face, Frame
from stream.recordings.first_pass import FirstPass
from stream.recordings.outcome import Outcome
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.people_learning import PeopleLearning
from stream.recordings.resume.work_dir import WorkDir
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.exemplars.exemplar_set import Exemplars
from stream.telemetry.progress import Progress
from tests.fakes import BicubicRuntime

STEPS = 40
BIAS = "reconstruction.last.bias"


class FakeLearning:
    """In the place of `LearningProcess`: ten steps at a time, better weights after the first."""

    started: ClassVar[list[Task]] = []
    pays = True
    interrupts = 0
    """So many Ctrl-C come."""

    def __init__(self, task: Task) -> None:
        self.started.append(task)
        self.steps = task.steps or STEPS
        self.step = 0
        self.stopped = False

    def news(self, timeout_s: float = 0.0) -> Learning | None:
        if self.interrupts and self.step == 20:
            type(self).interrupts -= 1
            raise KeyboardInterrupt
        self.step = min(self.step + 10, self.steps)
        gain = Gain(0.5, 0.02) if self.pays else Gain(0.0, 0.0)
        weights = None
        if self.step == 10 and self.pays:
            parameters = {BIAS: np.full(12, 0.1, np.float32)}
            weights = PersonalWeights(self.started[-1].scale, parameters, shipped_digests(4))
        done = self.stopped or self.step == self.steps
        return Learning(self.step, self.steps, 1.0, gain, weights, done)

    def stop(self) -> None:
        self.stopped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


@pytest.fixture(autouse=True)
def fake_learning(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setattr(FakeLearning, "started", [])
    monkeypatch.setattr(FakeLearning, "pays", True)
    monkeypatch.setattr(FakeLearning, "interrupts", 0)
    opens = partial(PersonalRuntimes, lambda weights: BicubicRuntime(weights.scale))
    monkeypatch.setattr("stream.recordings.people_learning.PersonalRuntimes", opens)
    return FakeLearning.started


def known_people(
    sizes: dict[int, tuple[float, int, int]], monkeypatch: pytest.MonkeyPatch
) -> FirstPass:
    """A first pass that has seen people: number -> width of the face, frames, close-ups."""
    index = PersonIndex()
    seen = FirstPass(index)
    longest = max(frames for _, frames, _ in sizes.values())
    for pts in range(longest):
        faces = tuple(
            Face(
                track_id,
                np.array([0, 0, width, width], np.float32),
                np.zeros((6, 2), np.float32),
                1.0,
            )
            for track_id, (width, frames, _) in sizes.items()
            if pts < frames
        )
        image = np.zeros((8, 8, 3), np.uint8)
        seen.tracks.add(Frame(image, pts, pts, Fraction(1, 25), 0, faces, None))
    people = {}
    for number, (_, _, count) in sizes.items():
        people[number] = Exemplars(capacity=64)
        for k in range(count):
            picture = np.full((256, 256, 3), 10 + k, np.uint8)
            people[number].admit(Exemplar(picture, 240, (0.3 * k, 0.0), 1.0, float(k)))
    monkeypatch.setattr(index, "finish", lambda: people)
    index.number_of = {number: number for number in sizes}
    return seen


def learning(zoom: float = 2.0, place: WorkDir | None = None) -> PeopleLearning:
    return PeopleLearning(2.0, zoom, Progress, place, FakeLearning)  # type: ignore[arg-type]


def test_who_is_far_the_longest_comes_first(
    monkeypatch: pytest.MonkeyPatch, fake_learning: list[Task]
) -> None:
    people = {
        1: (40.0, 20, 8),
        2: (40.0, 50, 7),
        3: (200.0, 50, 9),  # never far
        4: (40.0, 50, LEAST_CLOSE_UPS - 1),
        5: (40.0, 5, 9),  # hardly ever far
    }
    learns = learning()
    runtimes = learns.run(known_people(people, monkeypatch))
    assert [len(task.close_ups) for task in fake_learning] == [7, 8]
    assert {(task.minutes, task.steps, task.scale) for task in fake_learning} == {(2.0, None, 4)}
    assert [(one.person, one.used, one.steps) for one in learns.learnt] == [
        (2, True, STEPS),
        (1, True, STEPS),
    ]
    assert [runtimes.get(number, 4) is None for number in people] == [False, False, *[True] * 3]


def test_x8_is_learnt_where_it_is_used(
    monkeypatch: pytest.MonkeyPatch, fake_learning: list[Task]
) -> None:
    for zoom, scale in ((4.0, 4), (6.0, 8)):
        learning(zoom).run(known_people({1: (15.0, 20, 8)}, monkeypatch))
        assert fake_learning[-1].scale == scale


def test_it_is_learnt_at_the_size_that_the_face_has_far_away(
    monkeypatch: pytest.MonkeyPatch, fake_learning: list[Task]
) -> None:
    for width, zoom, side in ((12.0, 2.0, 32), (20.0, 2.0, 48), (40.0, 2.0, 64), (15.0, 6.0, 32)):
        learning(zoom).run(known_people({1: (width, 20, 8)}, monkeypatch))
        assert fake_learning[-1].side == side, width


def test_what_does_not_pay_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeLearning.pays = False
    learns = learning()
    runtimes = learns.run(known_people({1: (40.0, 20, 8)}, monkeypatch))
    assert not runtimes
    outcome = learns.told_in(Outcome({}))  # type: ignore[typeddict-item]
    assert [note.text for note in outcome.notes] == ["learnt 0 of 1 people"]
    assert outcome.report["learnt"][0]["used"] is False


def test_nobody_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    learns = learning()
    learns.run(known_people({1: (40.0, 20, 2)}, monkeypatch))
    (note,) = learns.told_in(Outcome({})).notes  # type: ignore[typeddict-item]
    assert note.text.startswith("nobody was learnt")


def test_ctrl_c_ends_the_learning_and_a_second_one_the_run(
    monkeypatch: pytest.MonkeyPatch, fake_learning: list[Task]
) -> None:
    people = known_people({1: (40.0, 50, 8), 2: (40.0, 20, 8)}, monkeypatch)
    FakeLearning.interrupts = 1
    learns = learning()
    runtimes = learns.run(people)
    assert len(fake_learning) == 1, "the next person is left out"
    assert (learns.learnt[0].steps, learns.learnt[0].used) == (30, True)
    assert runtimes.get(1, 4) is not None
    FakeLearning.interrupts = 2
    with pytest.raises(KeyboardInterrupt):
        learning().run(people)


def test_a_run_that_goes_on_learns_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_learning: list[Task]
) -> None:
    people = known_people({1: (40.0, 50, 8), 2: (40.0, 20, 8)}, monkeypatch)
    output = tmp_path / "better.mp4"
    with WorkDir(output, "key") as place:
        FakeLearning.interrupts = 2
        with pytest.raises(KeyboardInterrupt):
            learning(place=place).run(people)
    with WorkDir(output, "key") as place:
        first = learning(place=place)
        first.run(people)
        before, now = (replace(task, close_ups=()) for task in fake_learning[:2])
        assert now == replace(before, steps=STEPS), "decided once"
        again = learning(place=place)
        runtimes = again.run(people)
        assert len(fake_learning) == 3
        assert again.learnt == first.learnt
        assert runtimes.get(1, 4) is not None
        kept: list[Any] = sorted(path.name for path in place.folder.glob("learnt-*"))
        assert kept == [f"learnt-{n}-x4.{kind}" for n in (1, 2) for kind in ("json", "npz")]
    with WorkDir(output, "another key") as place:
        assert not list(place.folder.glob("learnt-*")), "of another recording or other settings"


def test_what_fails_there_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeLearning, timeout_s: float = 0.0) -> None:
        raise EngineError("learning failed: out of memory")

    monkeypatch.setattr(FakeLearning, "news", fail)
    with pytest.raises(EngineError, match="out of memory"):
        learning().run(known_people({1: (40.0, 20, 8)}, monkeypatch))
