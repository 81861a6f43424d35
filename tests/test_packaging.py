"""Packaging: the wheel, built from the source distribution, works from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import stream.rtc
from stream.media.demo.demo_source import DemoSource
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from tests.pictures import need_models
from tests.places import ROOT

PACKAGES = ("stream", "engines", "calibration", "bench")
FOLDERS = (*PACKAGES, "docs", "examples", "tests", ".ci")
FILES = ("pyproject.toml", "MANIFEST.in", "run_pipeline.py", "Makefile", "LICENSE", "README.md",
         "CHANGELOG.md", "CONTRIBUTING.md")  # fmt: skip
NOT_OURS = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pt", "*.mp4", "*.mkv")
MODEL_CARD = "engines/weights/README.md"
LIMIT_S = 120


@dataclass(frozen=True)
class Built:
    """The distributions, and an environment with the wheel in it."""

    sdist: Path
    wheel: Path
    scripts: Path
    """Where the environment has its programs."""
    data: frozenset[str]
    """What the packages need at run time beside modules, by their place in the tree."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Source tree → source distribution → wheel → fresh environment, without a network."""
    pytest.importorskip("setuptools", "77", reason="packaging needs setuptools 77")
    place = tmp_path_factory.mktemp("packaging")
    tree = place / "tree"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=NOT_OURS)
    for name in FILES:
        shutil.copy2(ROOT / name, tree / name)
    sdist = build("sdist", tree, place)
    with tarfile.open(sdist) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    wheel = build("wheel", unpacked, place)
    found = (path for folder in PACKAGES for path in (tree / folder).rglob("*") if path.is_file())
    names = {str(path.relative_to(tree).as_posix()) for path in found}
    data = {name for name in names if not name.endswith((".py", ".md"))} | {MODEL_CARD}
    return Built(sdist, wheel, install(wheel, place / "environment"), frozenset(data))


def build(what: str, tree: Path, place: Path) -> Path:
    """Ask the build backend, as pip does. Returns: the distribution."""
    (place / what).mkdir()
    program = f"from setuptools import build_meta as b; b.build_{what}({str(place / what)!r})"
    run([sys.executable, "-c", program], tree)
    (made,) = (place / what).iterdir()
    return made


def install(wheel: Path, environment: Path) -> Path:
    """Into a fresh environment, which sees the packages of this one after its own."""
    venv.create(environment, symlinks=os.name != "nt")
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
    run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], environment)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = Path(run([str(python), "-c", asked], environment).strip())
    (theirs / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return scripts


def run(command: Sequence[str], folder: Path) -> str:
    """What a program prints; it must end well."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_distributions_have_every_file(built: Built) -> None:
    assert {name.rpartition(".")[2] for name in built.data} == {
        *("csv", "onnx", "npz", "json", "md", "toml", "css", "js", "html", "typed")
    }
    with zipfile.ZipFile(built.wheel) as wheel:
        in_wheel = set(wheel.namelist())
        metadata = next(name for name in in_wheel if name.endswith(".dist-info/METADATA"))
        head = HeaderParser().parsestr(wheel.read(metadata).decode())
    assert built.data <= in_wheel
    assert {"run_pipeline.py", "stream/cli/arguments.py", "bench/run.py"} <= in_wheel
    assert not [name for name in in_wheel if name.startswith(("tests", "docs", "examples"))]
    assert (head["Name"], head["Version"]) == ("closeup", stream.__version__)
    assert (head["Author"], head["Requires-Python"]) == ("Closeup contributors", ">=3.11")
    assert head["License-Expression"].startswith("Apache-2.0")
    assert head.get_all("License-File") == ["LICENSE", MODEL_CARD]
    with tarfile.open(built.sdist) as sdist:
        in_sdist = {name.partition("/")[2] for name in sdist.getnames()}
    assert {*built.data, *FILES, "tests/test_packaging.py"} <= in_sdist


def test_the_program_says_what_it_is(built: Built, tmp_path: Path) -> None:
    program = str(built.scripts / "closeup")
    assert run([program, "--version"], tmp_path) == f"closeup {stream.__version__}\n"
    said = run([program, "--help"], tmp_path)
    assert said.startswith("usage: closeup [")
    assert '"closeup doctor" says' in " ".join(said.split())
    assert not list(tmp_path.iterdir())


def test_it_enhances_a_recording_from_an_empty_folder(built: Built, tmp_path: Path) -> None:
    need_models()
    source = DemoSource(0.2)
    (tmp_path / "empty").mkdir()
    sink = FileSink(
        tmp_path / "demo.mp4", (source.width, source.height), source.rate, source.time_base
    )
    for frame in source:
        sink.send(frame)
    sink.close()
    run(
        [
            *(str(built.scripts / "closeup"), "--input", "../demo.mp4", "--output", "better.mp4"),
            *("--report", "report"),
        ],
        tmp_path / "empty",
    )
    with FileSource(tmp_path / "empty" / "better.mp4") as better:
        assert (better.width, better.height) == (2 * source.width, 2 * source.height)
        assert len(list(better)) == source.frames_total
    assert (tmp_path / "empty" / "report" / "index.html").is_file()


def test_what_is_installed_is_the_wheel_with_its_data(built: Built, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, run_pipeline, stream, engines, calibration, bench\n"
        "from importlib.resources import files\n"
        "place = pathlib.Path(run_pipeline.__file__).parent\n"
        "assert place.is_relative_to(sys.prefix), place\n"
        f"for name in {sorted(built.data)!r}:\n"
        "    package, _, inside = name.partition('/')\n"
        "    assert files(package).joinpath(inside).is_file(), name\n"
        "    print(name)\n"
    )
    python = built.scripts / Path(sys.executable).name
    said = run([str(python), "-c", program], tmp_path)
    assert set(said.split()) == built.data


def test_measuring_programs_run_without_a_checkout(built: Built, tmp_path: Path) -> None:
    python = str(built.scripts / Path(sys.executable).name)
    case = ("--size", "160x96", "--minutes", "0.01", "--roads", "codec", "--json")
    said = run([python, "-m", "bench.throughput", *case], tmp_path)
    assert json.loads(said)["roads"]["codec"]["frames"] == 15
    # All the others can be started: they find what they import, and nothing of a checkout.
    program = (
        "import pkgutil, sys, bench\n"
        "from importlib import import_module\n"
        "assert bench.__file__.startswith(sys.prefix), bench.__file__\n"
        "for found in pkgutil.walk_packages(bench.__path__, 'bench.'):\n"
        "    if not found.name.endswith('__main__'):\n"
        "        print(import_module(found.name).__name__)\n"
    )
    names = set(run([python, "-c", program], tmp_path).split())
    assert {"bench.soak", "bench.corpus", "bench.measures.evaluator"} <= names


@pytest.mark.parametrize("package", ["stream", "stream.rtc"])
def test_the_public_api_can_be_had(package: str) -> None:
    if package == "stream.rtc":
        pytest.importorskip("aiortc", reason="needs aiortc")
    module = import_module(package)
    assert find_spec(package) is not None
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)
    with pytest.raises(AttributeError):
        module.nothing  # noqa: B018


def test_the_errors_of_the_api_are_those_that_are_raised() -> None:
    from engines import runtime
    from stream import errors

    for name in stream.__all__:
        if name.endswith("Error"):
            assert getattr(stream, name) in (vars(errors).get(name), vars(runtime).get(name))
    assert stream.rtc.ConfigError is errors.ConfigError
