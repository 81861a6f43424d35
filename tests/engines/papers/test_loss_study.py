"""Table 6 and figure 8: which losses each training has, and a study from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.hime import train
from engines.hime.options import parse as parse_hime
from engines.papers import loss_study
from tests.noise_people import make_people


def arguments(people: Path, out: Path, study: str) -> list[str]:
    return [
        *("--study", study, "--data", str(people), "--val", str(people), "--out", str(out)),
        *("--samples", "4", "--batch", "4", "--workers", "0", "--limit", "2"),
    ]


def test_each_training_has_the_losses_of_its_line(tmp_path: Path) -> None:
    args = loss_study.parse(arguments(tmp_path, tmp_path, "table6"))
    found = {}
    for variant in loss_study.table6(Path("onet.pt")):
        options = parse_hime("", loss_study.command(variant, args))
        found[variant.name] = (options.correlation, options.adversarial, options.perceptual)
        assert options.reconstruction == 1
        assert options.init == (tmp_path / "rec+cor" / "checkpoint.pt" if variant.start else None)
    assert found == {
        "rec": (0, 0, 0),
        "rec+cor": (0.1, 0, 0),
        "p-without-cor": (0, 0.1, 0.01),
        "p-with-cor": (0.1, 0.1, 0.01),
    }
    assert "perceptual" not in str(loss_study.table6(None))
    windows = []
    for variant in loss_study.figure8():
        options = parse_hime("", loss_study.command(variant, args))
        windows.append((options.window, options.reconstruction, options.correlation))
    alone, tuned = windows[:5], windows[6:]
    assert alone == [(k, 0, 1) for k in (1, 3, 5, 7, 9)]
    assert tuned == [(k, 1, 0.1) for k in (1, 3, 5, 7, 9)]


def test_a_study_trains_measures_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    make_people(people)
    monkeypatch.setattr(train, "validate", lambda network, cases: {})
    monkeypatch.setattr(loss_study, "figure8", lambda: loss_study.table6(None)[:2])
    argv = [*arguments(people, tmp_path / "runs", "figure8"), "--json", str(tmp_path / "x.json")]
    assert loss_study.main(argv) == 0
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [(row["method"], row["samples"]) for row in rows] == [("rec", 4), ("rec+cor", 4)]
    assert rows[0]["psnr"] > 5
    assert "| rec+cor | 4 | " in capsys.readouterr().out
    assert loss_study.main([*argv, "--val", str(tmp_path / "nobody")]) == 2
    assert capsys.readouterr().err.count("error: ") == 1
