"""Numbers that no program can use, and empty paths, are refused in one line at the start."""

from __future__ import annotations

import importlib
import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from engines.option_types import named_path, number, one_of, output_folder, whole
from tests.places import ROOT

TRAINING = ("engines.hime.train", "--data", "people", "--val", "people", "--out", "run")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "", "many", "1e999", "1.01"])
def test_no_number_in_the_range(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="no number in the range; give 0 to 1"):
        number(0.0, 1.0)(text)
    assert number(0.0, 1.0)("1e-3") == 0.001


@pytest.mark.parametrize("text", ["nan", "1.5", "0", "-1", ""])
def test_no_whole_number_in_the_range(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="no whole number in the range; give 1 or more"):
        whole(1)(text)
    assert whole(1)("12") == 12


def test_a_name_that_there_is_not_is_told_those_that_there_are() -> None:
    with pytest.raises(ArgumentTypeError, match="there is no 'c'; there are a, b"):
        one_of(["a", "b"])("c")
    assert one_of(["a", "b"])("b") == "b"


def test_an_empty_path_is_not_the_current_folder() -> None:
    with pytest.raises(ArgumentTypeError, match="the path is empty"):
        named_path("")
    assert named_path("people.zip") == Path("people.zip")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "within"):
        with pytest.raises(ArgumentTypeError, match="is a file, not a folder"):
            output_folder(str(path))
    assert output_folder(str(tmp_path / "new" / "one")) == tmp_path / "new" / "one"


def test_every_program_that_measures_or_trains_refuses_an_empty_path() -> None:
    for folder in ("bench", "calibration", "engines"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            assert "type=Path" not in path.read_text("utf-8"), f"{path.name}: named_path"


@pytest.mark.parametrize(
    "words",
    [
        ("bench", "--pace", "0"),
        ("bench", "--pace", "nan"),
        ("bench", "--pace", "-1"),
        ("bench", "--seed", "-1"),
        ("bench", "--learn", "inf"),
        ("bench", "--learn", "1e308"),
        ("bench", "--scale", "nan"),
        ("bench", "--clips", ""),
        ("bench", "--out", str(ROOT / "README.md")),
        ("bench", "--pictures", str(ROOT / "README.md" / "within")),
        ("bench.round_trip", "trip", "--seconds", "nan"),
        ("bench.round_trip", "trip", "--rounds", "0"),
        ("bench.corpus_files", "folder", "--most", "-1"),
        ("bench.resume_stress", "--input", "call.mp4", "--times", "-1"),
        ("calibration.quantisation", "--data", "people", "--seconds", "nan"),
        ("bench.strangers", "--rounds", "0"),
        ("bench.sandbox_cost", "--frames", "0"),
        ("tests.network_faults", "--seconds", "nan"),
        ("tests.relay_attacks", "--calls", "0"),
        ("tests.relay_attacks", "--runtime", "abacus"),
        ("tests.shown_pictures", "--runs", "0"),
        ("bench.strangers", "--people", ""),
        ("calibration.reidentification", "--people", ""),
        ("calibration.reidentification", "--people", ".", "--call", "--width", "-5"),
        ("calibration.reidentification", "--people", ".", "--width", "1000000"),
        ("calibration.thresholds", "--data", ""),
        (*TRAINING, "--seed", "-1"),
        (*TRAINING, "--lr", "nan"),
        (*TRAINING, "--batch", "0"),
        (*TRAINING, "--steps", "0"),
        (*TRAINING, "--workers", "-1"),
        (*TRAINING, "--clean", "2"),
        (*TRAINING, "--changed", "nan"),
        (*TRAINING, "--strange", "-1"),
        (*TRAINING, "--ema", "2"),
        (*TRAINING, "--save", "nan"),
        (*TRAINING, "--sizes", "0:1"),
        (*TRAINING, "--slots", "3:0"),
        (*TRAINING, "--init", ""),
    ],
)
def test_a_program_says_it_at_the_start(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = (ROOT / words[0].replace(".", "/")).is_dir()
    module = f"{words[0]}.__main__" if package else words[0]
    monkeypatch.setattr(sys, "argv", list(words))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(module).main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(f"error: argument {words[-2]}: ", said)
