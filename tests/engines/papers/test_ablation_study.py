"""The ablation studies: what each training has, and a study from end to end."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from engines.hime import train
from engines.hime.model import Hime
from engines.hime.options import parse as parse_hime
from engines.hime.paper_sizes import paper_config
from engines.papers import ablation_study
from tests.noise_people import make_people


def arguments(people: Path, out: Path, study: str) -> list[str]:
    return [
        *("--study", study, "--data", str(people), "--val", str(people), "--out", str(out)),
        *("--samples", "4", "--batch", "4", "--workers", "0", "--limit", "2"),
    ]


def test_each_training_has_the_losses_of_its_line(tmp_path: Path) -> None:
    args = ablation_study.parse(arguments(tmp_path, tmp_path, "table6"))
    found = {}
    for variant in ablation_study.table6(Path("onet.pt")):
        options = parse_hime("", ablation_study.command(variant, args))
        found[variant.name] = (options.correlation, options.adversarial, options.perceptual)
        assert options.reconstruction == 1
        assert options.init == (tmp_path / "rec+cor" / "checkpoint.pt" if variant.start else None)
    assert found == {
        "rec": (0, 0, 0),
        "rec+cor": (0.1, 0, 0),
        "p-without-cor": (0, 0.1, 0.01),
        "p-with-cor": (0.1, 0.1, 0.01),
    }
    assert "perceptual" not in str(ablation_study.table6(None))
    parts = []
    for variant in (*ablation_study.table2(), *ablation_study.table3()):
        options = parse_hime("", ablation_study.command(variant, args))
        assert (options.paper, options.correlation) == (True, 0.1)
        parts.append((options.alignment, options.aggregation))
    assert parts == [
        ("none", "similarity"),
        ("deformable", "similarity"),
        ("flow", "similarity"),
        ("deformable", "average"),
        ("deformable", "maximum"),
        ("deformable", "similarity"),
    ]
    windows = []
    for variant in ablation_study.figure8():
        options = parse_hime("", ablation_study.command(variant, args))
        windows.append((options.window, options.reconstruction, options.correlation))
    alone, tuned = windows[:5], windows[6:]
    assert alone == [(k, 0, 1) for k in (1, 3, 5, 7, 9)]
    assert tuned == [(k, 1, 0.1) for k in (1, 3, 5, 7, 9)]


def test_each_training_has_the_samples_of_its_line(tmp_path: Path) -> None:
    args = ablation_study.parse(arguments(tmp_path, tmp_path, "table4"))

    def found(variants: list[ablation_study.Variant]) -> list[Namespace]:
        return [parse_hime("", ablation_study.command(variant, args)) for variant in variants]

    assert [o.slots for o in found(ablation_study.table4())] == [{0: 1}, {1: 1}, {3: 1}]
    assert [v.exemplars for v in ablation_study.table4()] == [0, 1, 3]
    assert [o.least_photos for o in found(ablation_study.supplement2())] == [4, 1]
    assert [o.flip for o in found(ablation_study.supplement4())] == ["none", "one", "both"]


def test_a_study_trains_measures_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    make_people(people)
    monkeypatch.setattr(train, "validate", lambda network, cases: {})
    monkeypatch.setattr(ablation_study, "figure8", lambda: ablation_study.table6(None)[:2])
    argv = [*arguments(people, tmp_path / "runs", "figure8"), "--json", str(tmp_path / "x.json")]
    assert ablation_study.main(argv) == 0
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [(row["method"], row["samples"]) for row in rows] == [("rec", 4), ("rec+cor", 4)]
    assert rows[0]["psnr"] > 5
    assert "| rec+cor | 4 | " in capsys.readouterr().out
    assert ablation_study.main([*argv, "--val", str(tmp_path / "nobody")]) == 2
    assert capsys.readouterr().err.count("error: ") == 1


def test_what_was_trained_elsewhere_is_measured_and_the_rest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    people.mkdir()
    make_people(people)
    runs = tmp_path / "runs"
    argv = ["--study", "table3", "--val", str(people), "--out", str(runs), "--limit", "2"]
    assert ablation_study.main([*argv, "--measure"]) == 2
    assert "has no run of average, maximum, deformable" in capsys.readouterr().err
    network = Hime(paper_config(8, "deformable", "maximum"))
    (runs / "maximum").mkdir(parents=True)
    state = {"ema": network.state_dict(), "config": asdict(network.config), "samples": 40}
    torch.save(state, runs / "maximum" / "checkpoint.pt")
    before = sorted(runs.rglob("*"))
    assert ablation_study.main([*argv, "--measure"]) == 0
    out = capsys.readouterr().out
    assert "| maximum | 40 | " in out
    assert "left out, not trained: average, deformable" in out
    assert sorted(runs.rglob("*")) == before
    with pytest.raises(SystemExit, match="2"):
        ablation_study.parse(argv)
