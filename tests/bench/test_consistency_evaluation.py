"""bench.consistency_evaluation: own exemplars help, and what harms is seen by a measure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import consistency_evaluation
from bench.consistency_evaluation import main
from tests.pictures import hopper


def test_every_kind_of_exemplars_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = cv2.resize(np.ascontiguousarray(hopper()[40:440, 60:460]), (256, 256))
    for name, look in (("one", head), ("two", 255 - head)):
        (tmp_path / name).mkdir()
        for k in range(4):
            path = tmp_path / name / f"photo_{k}.png"
            assert cv2.imwrite(str(path), np.roll(look, 2 * k, axis=1)[:, :, ::-1])
    monkeypatch.setattr(consistency_evaluation, "ASIDE", (1.0,))
    assert main(["--data", str(tmp_path), "--size", "16", "--photos", "1"]) == 0
    shown = capsys.readouterr().out
    rows = {
        line[:8].strip() + " " + line[8:25].strip(): line[25:].split()
        for line in shown.splitlines()
    }
    none, own = rows["call own"][:2]
    assert float(own) > float(none) + 0.5
    assert {"call stranger", "call blurred", "call covered", "call one good"} <= rows.keys()
    assert "in its place" in shown


def test_a_folder_without_people_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
