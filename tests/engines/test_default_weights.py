"""Which weights are taken where nobody says: one constant, which every program follows."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import av
import onnxruntime
import pytest

from engines.contract import DEFAULT_WEIGHTS, SCALES
from engines.contract import WEIGHTS as CHOICES
from engines.weights import manifest
from engines.weights.manifest import HALVES, network_name, sha256
from run_pipeline import main
from stream.option_table import WEIGHTS
from tests.fakes import OneFace
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


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both sets of weights: the default ones stand in for either."""
    folder = tmp_path / "weights"
    folder.mkdir()
    networks = {}
    for name in CHOICES:
        for scale in SCALES:
            network = network_name(scale, weights=name)
            for half, path in zip(HALVES, manifest.weights_files(scale), strict=True):
                (folder / f"{network}.{half}.onnx").write_bytes(path.read_bytes())
            files = {path.name: sha256(path) for path in folder.glob(f"{network}.en*.onnx")}
            networks[network] = {"files": files}
    card = {"networks": networks, "quantised": {}}
    (folder / manifest.MANIFEST).write_text(json.dumps(card))
    for one in (manifest.read_manifest, manifest.weights_files, manifest.quantised_files):
        monkeypatch.setattr(one, "__defaults__", (folder,))
    monkeypatch.setattr(manifest.weights_used, "__defaults__", ((), folder))
    return folder


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "use",
    [
        ["--input", "call.mp4", "--output", "better.mp4"],
        ["--input", "lavfi:testsrc=size=96x72", "--output", "better.mp4", "--headless"],
        ["--input", "webrtc", "--port", "0"],
    ],
    ids=["recording", "call", "relay"],
)
def test_damage_is_said_before_the_first_frame(
    use: list[str], scale: int, half: str, both: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Not at the first far face, whose network is opened then: no detector is asked here."""
    monkeypatch.chdir(tmp_path)
    write_recording(tmp_path / "call.mp4", size=(192, 144))
    path = both / f"{network_name(scale)}.{half}.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert main([*use, "--no-measure"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {path} is not the file in the manifest; install Closeup again"
    assert not (tmp_path / "better.mp4").exists()


@pytest.mark.parametrize("asked", [None, *CHOICES])
def test_the_files_that_are_asked_for_are_opened_and_named_in_the_output(
    asked: str | None, both: Path, camera: OneFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = onnxruntime.InferenceSession

    def session(path: Path, *more: object) -> object:
        opened.append(path)
        return real(path, *more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    camera.width = 30.0
    write_recording(tmp_path / "call.mp4", size=(192, 144))
    output = tmp_path / "better.mp4"
    argv = ["--input", str(tmp_path / "call.mp4"), "--output", str(output), "--no-measure"]
    argv += ["--runtime", "onnxruntime-cpu", "--framing", "fixed"]
    assert main(argv + (["--weights", asked] if asked else [])) == 0
    name = network_name(4, weights=asked or DEFAULT_WEIGHTS)
    assert {path for path in opened if path.parent == both} >= {
        both / f"{name}.{half}.onnx" for half in HALVES
    }
    others = {network_name(s, weights=one) for s in SCALES for one in CHOICES if one != asked}
    if asked:
        assert not {path.name.split(".")[0] for path in opened} & others
    with av.open(str(output)) as made:
        said = made.metadata["comment"]
    assert f"{name}.enhance.onnx sha256:{sha256(both / f'{name}.enhance.onnx')}" in said
