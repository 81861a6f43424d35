"""Every program of this repository can say what it does."""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for folder in ("stream", "engines", "calibration", "bench", "tests")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if '__name__ == "__main__"' in (text := path.read_text(encoding="utf-8"))
    and "ArgumentParser(" in text
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A percent sign, or a default that is none, would break it only when somebody asks."""
    monkeypatch.setattr(sys, "argv", [program, "--help"])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
        warnings.simplefilter("ignore", RuntimeWarning)  # it was imported before
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")
