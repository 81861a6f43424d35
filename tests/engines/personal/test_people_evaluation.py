"""The table of what learning brings, from people to rows."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from engines.personal import people_evaluation
from engines.personal.people_evaluation import main
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, hopper


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


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--minutes", "0"], "--minutes above 0"),
        (["--close-ups", "5"], "--close-ups 6 or more"),
        (["--pairs", "63"], "--pairs 64 or more"),
        (["--people", "nobody"], "needs two people"),
    ],
)
def test_mistakes_are_named(
    people: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(people), *more]) == 2
    assert message in capsys.readouterr().err
