"""Somebody who is kept, in a call: with what fits, and wiped at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.errors import UnavailableError
from engines.install import install_command
from engines.personal.personal_weights import PersonalWeights
from engines.runtime import Runtime
from stream.errors import ConfigError
from stream.known_people import called_person as home
from stream.known_people.called_person import called_person
from stream.known_people.identity import Identity
from stream.known_people.known_person import KnownPerson
from stream.known_people.people_store import PeopleStore
from stream.stages.enhancement.runtime_set import KNOWN, PersonalRuntimes
from tests.fakes import BicubicRuntime
from tests.kept_people import Plain, known_person


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> PeopleStore:
    def opens(weights: PersonalWeights) -> Runtime:
        return BicubicRuntime(weights.scale)

    monkeypatch.setattr(home, "PersonalRuntimes", lambda: PersonalRuntimes(opens))
    monkeypatch.setattr(Identity, "across_days", True)
    return PeopleStore(encryption=Plain())


def outdated(person: KnownPerson) -> KnownPerson:
    person.weights[4] = replace(person.weights[4], of=("0", "1"))
    person.learnt_from[4] = ("0", "1")
    return person


def test_nobody_is_called() -> None:
    with called_person(None, print) as called:
        assert called is None


def test_close_ups_and_weights_are_there_and_wiped_at_the_end(store: PeopleStore) -> None:
    store.save(known_person("Ada"))
    said: list[str] = []
    with called_person("Ada", said.append, store) as called:
        assert called is not None
        called.load()
        assert called.runtimes.get(KNOWN, 4) is not None
        assert called.runtimes.get(KNOWN, 8) is None
        kept = called.face.exemplars()
        assert len(kept) == 8
        assert kept[0].time_s < 0.0, "what the person has now wins"
        assert kept[0].image.any()
    assert called.face.exemplars() == []
    assert said == []


def test_weights_of_other_shipped_ones_do_not_run_and_one_line_says_so(store: PeopleStore) -> None:
    store.save(outdated(known_person("Ada")))
    said: list[str] = []
    with called_person("Ada", said.append, store) as called:
        assert called is not None
        called.load()
        assert not called.runtimes
        assert len(called.face.exemplars()) == 8
    (line,) = said
    assert "closeup learn Ada" in line


def test_weights_that_cannot_be_opened_leave_the_shipped_ones(
    store: PeopleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opens(weights: PersonalWeights) -> Runtime:
        raise UnavailableError("no runtime")

    monkeypatch.setattr(home, "PersonalRuntimes", lambda: PersonalRuntimes(opens))
    store.save(known_person("Ada"))
    said: list[str] = []
    with called_person("Ada", said.append, store) as called:
        assert called is not None
        called.load()
        assert not called.runtimes
    assert said == ["what was learnt of Ada cannot be used: no runtime"]


def test_without_a_recogniser_one_line_says_what_is_missing(
    store: PeopleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Identity, "across_days", False)
    store.save(known_person("Ada"))
    said: list[str] = []
    with called_person("Ada", said.append, store):
        pass
    (line,) = said
    assert install_command("identity") in line


def test_who_is_not_kept_cannot_be_called(store: PeopleStore) -> None:
    with pytest.raises(ConfigError, match="nobody called Ada"), called_person("Ada", print, store):
        pass
