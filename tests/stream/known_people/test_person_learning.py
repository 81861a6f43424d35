"""Learning somebody for all calls: from everything that is kept, and kept as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.personal.learning_process import Task
from engines.personal.personal_weights import shipped_digests
from stream.errors import ConfigError, OutputError
from stream.known_people.identity import Identity
from stream.known_people.known_person import KeptCloseUp
from stream.known_people.people_store import PeopleStore
from stream.known_people.person_learning import PersonLearning
from stream.telemetry.progress import Progress
from tests.kept_people import Plain, close_up, known_person
from tests.stream.recordings.test_people_learning import FakeLearning


class FakeCollector:
    """Has looked through recordings already."""

    def __init__(self, **found: list[KeptCloseUp]) -> None:
        self.found = found

    def collect(self, name: str) -> list[KeptCloseUp]:
        return self.found[name]


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    monkeypatch.setattr(FakeLearning, "started", [])
    monkeypatch.setattr(FakeLearning, "pays", True)
    monkeypatch.setattr(FakeLearning, "interrupts", 0)
    return FakeLearning.started


@pytest.fixture
def store() -> PeopleStore:
    return PeopleStore(encryption=Plain())


def learning(store: PeopleStore, said: list[str], **found: list[KeptCloseUp]) -> PersonLearning:
    collector = FakeCollector(**found)
    return PersonLearning(store, said.append, Progress, collector, FakeLearning)  # type: ignore[arg-type]


def day(day: str, count: int = 7) -> list[KeptCloseUp]:
    return [close_up(50 + k, day, 0.1 * k) for k in range(count)]


def test_another_day_is_added_and_all_are_learnt_from(
    store: PeopleStore, started: list[Task]
) -> None:
    said: list[str] = []
    learning(store, said, monday=day("2026-01-05")).run("Ada", ["monday"], 3.0)
    assert [(task.scale, task.minutes, len(task.close_ups), task.side) for task in started] == [
        (4, 3.0, 7, 64)
    ]
    assert said[0] == "7 close-ups in monday"
    assert "; x4 +0.50 dB" in said[1]
    assert said[2:] == ["kept without encryption: no keyring"]
    learning(store, said, tuesday=day("2026-01-06", 5)).run("Ada", ["tuesday"], 3.0)
    assert len(started[-1].close_ups) == 12
    kept = store.load("Ada")
    assert kept.days == ["2026-01-05", "2026-01-06"]
    assert set(kept.weights) == {4}


@pytest.mark.parametrize(("sides_px", "side"), [((140, 120, 130), 32), ((140, 400, 230), 64)])
def test_learnt_at_the_size_that_the_close_ups_have_the_detail_for(
    store: PeopleStore, started: list[Task], sides_px: tuple[int, ...], side: int
) -> None:
    found = [replace(one, side_px=sides_px[k % 3]) for k, one in enumerate(day("2026-01-05", 9))]
    learning(store, [], monday=found).run("Ada", ["monday"], 3.0)
    assert [task.side for task in started] == [side]


def test_nothing_is_used_that_does_not_pay(store: PeopleStore) -> None:
    store.save(known_person("Ada"))
    FakeLearning.pays = False
    said: list[str] = []
    learning(store, said).run("Ada", [], 3.0)
    assert not store.load("Ada").weights
    assert "the shipped weights are as good" in said[0]


def test_new_shipped_weights_are_learnt_from_what_is_kept(
    store: PeopleStore, started: list[Task]
) -> None:
    person = known_person("Ada")
    person.weights[4] = replace(person.weights[4], of=("0", "1"))
    person.learnt_from[4] = ("0", "1")
    store.save(person)
    assert store.load("Ada").outdated
    learning(store, []).run("Ada", [], 3.0)
    assert len(started[0].close_ups) == 8
    again = store.load("Ada")
    assert not again.outdated
    assert again.learnt_from == {scale: shipped_digests(scale) for scale in (4, 8)}


@pytest.mark.parametrize("fits", [True, False])
def test_what_was_learnt_for_x8_before_stays_as_long_as_it_fits(
    store: PeopleStore, fits: bool
) -> None:
    person = known_person("Ada")
    of = shipped_digests(8) if fits else ("0", "1")
    person.weights[8] = replace(person.weights[4], scale=8, of=of)
    person.learnt_from[8] = of
    store.save(person)
    learning(store, []).run("Ada", [], 3.0)
    again = store.load("Ada")
    assert not again.outdated
    assert set(again.weights) == set(again.gains) == ({4, 8} if fits else {4})


def test_who_is_not_kept_needs_an_input_and_enough_close_ups(store: PeopleStore) -> None:
    with pytest.raises(ConfigError, match="nobody called Ada is kept"):
        learning(store, []).run("Ada", [], 3.0)
    with pytest.raises(ConfigError, match="5 close-ups of Ada, 6 are needed"):
        learning(store, [], short=day("2026-01-05", 5)).run("Ada", ["short"], 3.0)
    with pytest.raises(ConfigError, match="cannot be a name"):
        learning(store, []).run("../Ada", ["short"], 3.0)
    assert store.names() == []


def test_a_folder_that_takes_nothing_is_said_before_anything_is_learnt(
    store: PeopleStore, started: list[Task]
) -> None:
    store.folder.parent.mkdir(parents=True, exist_ok=True)
    store.folder.write_text("a file in the folder's place")
    with pytest.raises(OutputError, match="Ada cannot be written"):
        learning(store, [], monday=day("2026-01-05")).run("Ada", ["monday"], 3.0)
    assert not started


def test_somebody_else_is_not_put_into_the_same_name(
    store: PeopleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(known_person("Ada"))
    monkeypatch.setattr(Identity, "is_stranger", lambda self, found: True)
    found = day("2026-01-06")
    with pytest.raises(ConfigError, match="bob does not look like Ada"):
        learning(store, [], bob=found).run("Ada", ["bob"], 3.0)
    assert not any(np.any(one.image) for one in found), "wiped"
    assert store.load("Ada").days == ["2026-01-02"]


def test_ctrl_c_keeps_what_there_is_and_a_second_one_what_there_was(store: PeopleStore) -> None:
    FakeLearning.interrupts = 2
    with pytest.raises(KeyboardInterrupt):
        learning(store, [], monday=day("2026-01-05")).run("Ada", ["monday"], 3.0)
    assert store.names() == []
    FakeLearning.interrupts = 1
    learning(store, [], monday=day("2026-01-05")).run("Ada", ["monday"], 3.0)
    assert set(store.load("Ada").weights) == {4}
