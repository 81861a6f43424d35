"""The table of what learning brings, from people to rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from engines.diagram import HEIGHT, WIDTH
from engines.hime.model import Hime
from engines.hime.people import Person
from engines.personal import people_evaluation
from engines.personal.gain import Scores
from engines.personal.people_evaluation import Row, Setting, main
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, hopper

LITTLE, MORE = Scores(20.0, 0.5, 0.4), Scores(21.0, 0.6, 0.5)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two people who look alike, nine photos of each."""
    (x, y), half = HOPPER_FACE_CENTER, HOPPER_FACE_PX
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(9):
            left, top = round(x - half + 3 * k), round(y - half + 2 * k)
            picture = hopper()[top : top + 340, left : left + 340, ::-1]
            cv2.imwrite(str(tmp_path / name / f"{k}.png"), cv2.resize(picture, (128, 128)))
    return tmp_path


def test_rows_of_a_person(
    people: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(people_evaluation, "CASES", 3)
    monkeypatch.setattr("engines.personal.held_out.MOST_CASES", 2)
    monkeypatch.setattr(people_evaluation, "MARKS", (0.5, 1.0))
    file = people / "rows.json"
    argv = ["--data", str(people), "--pairs", "128", "--people", "a", "--json", str(file)]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = json.loads(file.read_text())
    assert [(row["person"], row["close_ups"], row["samples"]) for row in rows] == [
        ("a", 6, 0),
        ("a", 6, 64),
        ("a", 6, 128),
    ]
    assert rows[0]["scores"] != rows[2]["scores"]
    for row in rows[1:]:
        assert row["used"] == (row["in_use"] != rows[0]["scores"]), "refused: as shipped"
    assert rows[0]["alone"]["psnr"] < rows[0]["scores"]["psnr"], "exemplars help"
    assert len(lines) == 2 + 3 + 3
    assert lines[-1].startswith("| mean of 1 | 6 |")


def test_every_combination_has_rows_and_a_line_in_the_diagram(
    people: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Setting] = []

    def learnt(person: Person, other: Person, network: Hime, setting: Setting) -> list[Row]:
        asked.append(setting)
        one = Row(person.name, 6, 0.0, 0, LITTLE, LITTLE, LITTLE, False, str(setting))
        later = replace(one, minutes=1.0, scores=MORE, used=True, control=-0.5)
        return [one, later]

    monkeypatch.setattr(people_evaluation, "evaluate", learnt)
    plot, general = people / "curves.png", str(people)
    argv = ["--data", str(people), "--train", "all,last", "--general", general]
    argv += ["--general-share", "0,0.25", "--rate", "1e-4", "--parts", "0.1", "--plot", str(plot)]
    assert main(argv) == 0
    methods = [(one.method.train, one.method.share) for one in asked]
    assert methods == [(t, s) for t in ("all", "last") for s in (0.0, 0.25) for _ in range(2)]
    assert {one.method.rate for one in asked} == {1e-4}
    assert {one.parts for one in asked} == {(0.1, 1.0)}
    assert [bool(one.method.general) for one in asked] == [share > 0.0 for _, share in methods]
    out = capsys.readouterr().out
    assert out.count("mean of 2") == 2 * 4
    assert "**last, 0.0001, 25 % general, 36 close-ups**" in out
    assert "| 21.00 (+1.00) |" in out
    assert "| -0.50 |" in out
    drawn = cv2.imread(str(plot))
    assert drawn is not None
    assert drawn.shape == (3 * HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--minutes", "0"], "--minutes above 0"),
        (["--minutes", "nan"], "--minutes above 0"),
        (["--minutes", "1e308"], "--minutes above 0"),
        (["--close-ups", "5"], "--close-ups 6 or more"),
        (["--close-ups", "6.5"], "whole numbers"),
        (["--close-ups", "inf"], "'inf': expected numbers"),
        (["--pairs", "63"], "--pairs 64 or more"),
        (["--people", "nobody"], "needs two people"),
        (["--people", "a,nobody"], "--people as many"),
        (["--parts", "0.5,2"], "--parts above 0, up to 1"),
        (["--rate", "fast"], "'fast': expected numbers"),
        (["--rate", "0"], "rate must be above 0"),
        (["--rate", "nan"], "'nan': expected numbers"),
        (["--rate", "2"], "above 0, up to 1"),
        (["--train", "first"], "one of all, enhance, last, not first"),
        (["--general-share", "0.5"], "need each other"),
        (["--plot", "curves.doc"], "a name with .png or .jpg"),
    ],
)
def test_mistakes_are_named(
    people: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(people), *more]) == 2
    assert message in capsys.readouterr().err
