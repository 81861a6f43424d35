"""Curves of several trainings: both kinds of logs, and what is no log."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from engines import diagram
from engines.hime import curves
from engines.papers import learning_curves


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("gwainet", "hime-small-rec"):
        (tmp_path / name).mkdir()
    rows = "1,16,clean,-2\n1,16,clean_3_over_0,0.25\n1,16,warp,0.5\n2,32,clean,1.5\n"
    (tmp_path / "gwainet" / "log.csv").write_text(rows)
    log = tmp_path / "hime-small-rec" / "log.csv"
    for k in (1, 2):
        seen = {"step": k, "samples": 16 * k, "clean": 0.5 * k, "clean_3_over_0": 0.1, "loss": 1}
        curves.append(log, seen)
    return tmp_path


def test_both_kinds_of_logs_are_read(runs: Path) -> None:
    other = learning_curves.read(runs / "gwainet" / "log.csv")
    assert other["clean"] == [(16, -2), (32, 1.5)]
    assert other["clean_3_over_0"] == [(16, 0.25)]
    hime = learning_curves.read(runs / "hime-small-rec" / "log.csv")
    assert hime["clean"] == [(16, 0.5), (32, 1.0)]


def test_a_line_for_each_network_that_has_a_log(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}

    def panel(title: str, lines: dict[str, learning_curves.Curve], across: str) -> object:
        drawn[title] = list(lines)
        return diagram.panel(title, lines, across)

    monkeypatch.setattr(learning_curves, "panel", panel)
    out = runs / "curves.png"
    assert learning_curves.main(["--runs", str(runs), "--out", str(out)]) == 0
    assert drawn == {
        "dB over bicubic enlargement": ["gwainet +1.50", "hime-small-rec +1.00"],
        "dB that the exemplars add": ["gwainet +0.25", "hime-small-rec +0.10"],
    }
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (640, 900, 3)


@pytest.mark.parametrize("text", ["nothing of the kind\n", "1,2,clean\n", "1,x,clean,2\n"])
def test_what_is_no_log_is_one_line(
    text: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / "gwainet" / "log.csv").write_text(text)
    argv = ["--runs", str(runs), "--out", str(runs / "x.png")]
    assert learning_curves.main(argv) == 2
    assert "log.csv: no log of a training" in capsys.readouterr().err
    assert not (runs / "x.png").exists()
    assert learning_curves.main(["--runs", str(runs / "none"), "--out", "x.png"]) == 2
    assert "no log.csv in a folder of gwainet" in capsys.readouterr().err
