"""`closeup learn`, `people` and `forget`, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from run_pipeline import main
from stream.cli import people_commands
from stream.known_people.people_store import PeopleStore
from stream.known_people.person_learning import PersonLearning
from tests.kept_people import Plain, known_person


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[str], float]]:
    """What was to be learnt."""
    asked: list[tuple[str, Sequence[str], float]] = []

    def run(self: PersonLearning, name: str, inputs: Sequence[str], minutes: float) -> None:
        asked.append((name, inputs, minutes))

    monkeypatch.setattr(PersonLearning, "run", run)
    monkeypatch.setattr(people_commands, "lacking", lambda: None)
    return asked


def test_what_is_to_be_learnt(runs: list[tuple[str, Sequence[str], float]]) -> None:
    assert main(["learn", "Ada", "--input", "webcam"]) == 0
    given = ["--input", "a.mp4", "b.mp4", "--input", "c.mp4", "--minutes", "3.5"]
    assert main(["learn", "Ada Lovelace", *given]) == 0
    assert main(["learn", "Ada"]) == 0
    assert runs == [
        ("Ada", ["webcam"], 10.0),
        ("Ada Lovelace", ["a.mp4", "b.mp4", "c.mp4"], 3.5),
        ("Ada", [], 10.0),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["learn"], "NAME"),
        (["learn", "Ada", "--minutes", "0"], "--minutes 0 is out of range; give up to 240"),
        (["learn", "Ada", "--minutes", "long"], "invalid float"),
        (["learn", "Ada", "--input", ""], "argument --input: it is empty"),
        (["learn", "../Ada", "--input", "a.mp4"], "cannot be a name"),
        (["learn", "Ada"], "nobody called Ada is kept"),
        (["forget", "Ada"], "nobody called Ada is kept"),
        (["people", "Ada"], "unrecognized arguments: Ada"),
        (["--input", "lavfi:color", "--person", "Ada", "--headless", "--output", "virtualcam"],
         "nobody called Ada is kept"),
        (["--input", "a.mp4", "--output", "b.mp4", "--person", "Ada"],
         "--person is for cameras; a recording has --learn"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    given: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(people_commands, "lacking", lambda: None)
    assert main(given) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_package_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_commands, "lacking", lambda: "learning a person needs torch")
    assert main(["learn", "Ada", "--input", "webcam"]) == 2
    assert capsys.readouterr().err == "error: learning a person needs torch\n"


def test_who_is_kept(capsys: pytest.CaptureFixture[str], no_people: Path) -> None:
    assert main(["people"]) == 0
    assert capsys.readouterr().out == "nobody is kept\n"
    store = PeopleStore(encryption=Plain())
    store.save(known_person("Ada"))
    old = known_person("Bob")
    old.close_ups[-1] = replace(old.close_ups[-1], day="2026-01-09")
    old.learnt_from[4] = ("0", "1")
    store.save(old)
    store.save(known_person("Eve"))
    (no_people / "Eve" / "person.closeup").write_bytes(b"")
    assert main(["people"]) == 0
    learnt = "learnt x4 +0.50 dB, x8 no gain, not encrypted"
    assert capsys.readouterr().out.splitlines() == [
        f"Ada: 8 close-ups (2026-01-02), {learnt}",
        f"Bob: 8 close-ups (2 days, 2026-01-02 to 2026-01-09), {learnt}; "
        "other weights are shipped now: closeup learn Bob",
        "Eve: what is kept of Eve is damaged; remove it: closeup forget Eve",
        f"kept in {no_people}",
    ]
    assert main(["forget", "Ada"]) == 0
    assert capsys.readouterr().out == "Ada is forgotten\n"
    assert store.names() == ["Bob", "Eve"]


def test_ctrl_c_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: PersonLearning, *given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PersonLearning, "run", run)
    monkeypatch.setattr(people_commands, "lacking", lambda: None)
    assert main(["learn", "Ada", "--input", "webcam"]) == 130
    assert capsys.readouterr().err == "stopped; nothing of it was kept\n"
