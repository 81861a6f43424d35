"""Ctrl-C ends every program of this repository with one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engines.errors import STOPPED
from tests.places import ROOT
from tests.test_help import PROGRAMS

OWN_WAY = {
    "tests.dependency_versions": "runs where nothing of Closeup is installed yet",
}


@pytest.mark.parametrize("program", [one for one in PROGRAMS if one not in OWN_WAY])
def test_every_program_is_run_so_that_it_can_be_stopped(program: str) -> None:
    path = ROOT / f"{program.replace('.', '/')}.py"
    path = path if path.exists() else path.with_suffix("") / "__main__.py"
    source = path.read_text(encoding="utf-8")
    assert source.rstrip().endswith("    run_program(main)")


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (("bench.soak", "--minutes", "5"), "drawing the scene"),
        (("bench.throughput", "--minutes", "5"), "making the recording"),
    ],
)
def test_ctrl_c_is_one_line_and_leaves_nothing(
    words: tuple[str, ...], begun: str, tmp_path: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr is not None
    said = ""
    while begun not in said:
        said += program.stderr.read(1)
        assert program.poll() is None, said
    program.send_signal(signal.SIGINT)
    said += program.communicate(timeout=60)[1]
    assert program.returncode == STOPPED
    assert said.splitlines()[-1] == "stopped"
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
