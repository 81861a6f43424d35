"""Which weights are taken where nobody says: one constant, which every program follows."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from engines.contract import DEFAULT_WEIGHTS
from stream.option_table import WEIGHTS
from tests.recording_files import write_recording

ROOT = Path(__file__).parents[2]
ROOMS = ("engines", "stream", "bench", "calibration")
PROGRAMS = """
import contextlib, io, json, sys

import engines.contract

# there are no such weights: a program that follows the default misses them, and says so
engines.contract.DEFAULT_WEIGHTS = "other"
engines.contract.WEIGHTS = (*engines.contract.WEIGHTS, "other")

import run_pipeline
from calibration.quantisation import __main__ as quantisation
from engines.hime import evaluate

recording, output, people = sys.argv[1:]
call = ["--output", output, "--headless", "--no-measure"]
MAINS = {
    "recording": (run_pipeline, ["--input", recording, "--output", output, "--no-measure"]),
    "call": (run_pipeline, ["--input", "lavfi:testsrc=size=96x72:rate=30:duration=1", *call]),
    "relay": (run_pipeline, ["--input", "webrtc", "--no-measure"]),
    "recording that learns": (
        run_pipeline,
        ["--input", recording, "--output", output, "--learn", "1", "--passes", "2", "--no-measure"],
    ),
    "evaluate": (evaluate, ["--data", people]),
    "quantisation": (quantisation, ["--data", people, "--out", people + "/out"]),
}
said = {}
for name, (program, argv) in MAINS.items():
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        status = program.main(argv)
    said[name] = (status, err.getvalue())
print(json.dumps(said))
"""


def defaults(path: Path) -> list[str]:
    """The default of every parameter named `weights` that stands for one of several sets."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            given = node.args
            ordinary = [*given.posonlyargs, *given.args]
            named = ordinary[len(ordinary) - len(given.defaults) :]
            pairs = [
                *zip(named, given.defaults, strict=True),
                *zip(given.kwonlyargs, given.kw_defaults, strict=True),
            ]
            found += [
                ast.unparse(default)
                for name, default in pairs
                if name.arg == "weights" and default is not None
                if name.annotation is not None and ast.unparse(name.annotation) == "str"
            ]
    return found


def test_every_default_is_the_constant() -> None:
    found = [
        one for room in ROOMS for path in (ROOT / room).rglob("*.py") for one in defaults(path)
    ]
    assert len(found) > 10
    assert set(found) == {"DEFAULT_WEIGHTS", "WEIGHTS.default"}
    assert WEIGHTS.default == DEFAULT_WEIGHTS
    assert f"(default {DEFAULT_WEIGHTS})" in WEIGHTS.help.format(default=WEIGHTS.default)
    lines = (ROOT / "docs" / "options.md").read_text().splitlines()
    (row,) = (line for line in lines if line.startswith("| `--weights` |"))
    assert row.endswith(f"| `{DEFAULT_WEIGHTS}` |")


def test_every_program_follows_it_and_missing_weights_are_one_line(tmp_path: Path) -> None:
    """From the command line to the files that are looked for, with another default."""
    write_recording(tmp_path / "call.mp4")
    command = [sys.executable, "-c", PROGRAMS, str(tmp_path / "call.mp4"), str(tmp_path / "o.mp4")]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name, (status, said) in json.loads(done.stdout).items():
        assert status == 2, name
        (line,) = said.splitlines()
        assert line.startswith("error: no other weights that enlarge 4 times are installed; th"), (
            name
        )
