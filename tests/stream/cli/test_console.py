"""Whoever reads the output, or nobody: it never decides whether the work is done."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.cli.console import LenientStream, lenient_console
from tests.places import ROOT

SAY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from stream.cli.console import lenient_console
with lenient_console():
    for _ in range(3000):
        print("a line of a report, again and again")
        print("note: имя\\udcff", file=sys.stderr)
os.write(int(sys.argv[2]), b"done")
"""


def said(shell: str, tmp_path: Path, **environment: str) -> str:
    """What the program says through a descriptor of its own, and its exit status."""
    done = tmp_path / "done"
    with done.open("wb") as file:
        status = subprocess.run(
            ["bash", "-c", shell, "bash", sys.executable, "-c", SAY, str(ROOT), str(file.fileno())],
            pass_fds=[file.fileno()],
            env=dict(os.environ) | environment,
            check=False,
            timeout=60,
        ).returncode
    return f"{done.read_text()} {status}"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    "shell",
    [
        '"$@" >&- 2>&-',
        '"$@" 2>/dev/null | head -1 >/dev/null; exit ${PIPESTATUS[0]}',
        '"$@" 2>&1 >/dev/null | head -1 >/dev/null; exit ${PIPESTATUS[0]}',
        '"$@" >/dev/full 2>/dev/full',
    ],
)
def test_a_console_that_fails_costs_nothing(shell: str, tmp_path: Path) -> None:
    assert said(shell, tmp_path) == "done 0"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_names_that_the_encoding_does_not_have(tmp_path: Path) -> None:
    shell = '"$@" >/dev/null 2>/dev/null'
    assert said(shell, tmp_path, PYTHONIOENCODING="ascii:strict") == "done 0"


def test_unknown_letters_are_written_as_numbers() -> None:
    raw = io.BytesIO()
    stream = LenientStream(io.TextIOWrapper(raw, encoding="ascii"))
    assert stream.write("звонок.mp4 written") == len("звонок.mp4 written")
    stream.flush()
    assert raw.getvalue() == rb"\u0437\u0432\u043e\u043d\u043e\u043a.mp4 written"


def test_missing_streams_are_made_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with lenient_console():
        print("to nobody")
        assert not sys.stdout.isatty()
    assert sys.stdout is None
