"""Every program of this repository can say what it does."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from engines.hime.memory import MALLOC
from engines.personal.learning_process import ALLOCATOR

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for folder in ("stream", "engines", "calibration", "bench", "tests")
    for path in ROOT.glob(f"{folder}/**/*.py")
    if not path.name.startswith("test_")
    and '__name__ == "__main__"' in (text := path.read_text(encoding="utf-8"))
    and "ArgumentParser(" in text
)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("program", PROGRAMS)
def test_help(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A percent sign, or a default that is none, would break it only when somebody asks.

    What is shown to be typed stands in lines of its own, as it is typed.
    """
    monkeypatch.setattr(sys, "argv", [program, "--help"])
    for name, value in (MALLOC | ALLOCATOR).items():
        monkeypatch.setenv(name, value)  # else some start themselves anew
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m {program} ")
    examples = shown.count(f"python -m {program}") - 1
    assert examples == sum(
        line.strip().startswith(f"python -m {program}") for line in shown.splitlines()
    )
