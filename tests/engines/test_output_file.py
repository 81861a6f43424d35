"""What could not be written after hours is refused at the start, by all that takes long."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

PROGRAMS = (
    *(
        ("bench.framing", "--json"),
        ("bench.changed_people", "--json"),
        ("bench.corpus", "--report"),
    ),
    *(("bench.changed_people", "--sheet"), ("calibration.speed", "--json")),
    *(("engines.benchmark", "--json"), ("engines.hime.size_curve", "--markdown")),
    *(("engines.hime.temporal", "--json"), ("engines.hime.evaluate", "--json")),
    *(("engines.hime.evaluate", "--markdown"), ("engines.hime.evaluate", "--sheet")),
    *(("engines.hime.fairness", "--json"), ("engines.hime.flow_training", "--out")),
    *(("engines.papers.compare", "--json"), ("engines.papers.identity_encoder", "--out")),
    *(("engines.papers.ablation_study", "--json"), ("engines.papers.heat_maps", "--sheet")),
    ("engines.papers.learning_curves", "--out"),
    ("engines.personal.people_evaluation", "--json"),
    ("engines.personal.people_evaluation", "--plot"),
)


def test_no_program_learns_it_at_its_end() -> None:
    for folder in ("bench", "calibration", "engines"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            found = re.search(r'"--(json|sheet|markdown|plot)", type=Path', path.read_text("utf-8"))
            assert found is None, f"{path.name}: {found}"


@pytest.mark.parametrize(("program", "option"), PROGRAMS)
def test_a_folder_that_is_not_there(
    program: str,
    option: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = importlib.import_module(program).main
    for path, reason in ((tmp_path / "none" / "it.png", "no folder"), (tmp_path, "is a folder")):
        monkeypatch.setattr(sys, "argv", [program, option, str(path)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert reason in capsys.readouterr().err
