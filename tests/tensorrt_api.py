"""Types of the real TensorRT versions, for a type check of the calls that engines/ makes.

TensorRT's bindings wheel is small and public; its libraries are neither. The bindings are imported
on top of empty libraries that export every symbol they ask for, their types are written down by
pybind11-stubgen, and mypy reads engines/ with these types in place of the module that a user has.
It finds names and signatures that a version does not have. It runs nothing of TensorRT.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.places import ROOT

CHECKED = ("engines/tensorrt/build.py", "engines/tensorrt/engine.py")
"""Every file that calls TensorRT (tests/test_architecture.py)."""
PICK = "trt = api.module"
"""How these files take the module that was found at run time; here it is a known one."""
BINDINGS = "tensorrt_bindings"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries=1")
STUB_WRITER = "pybind11-stubgen==3.0.0"
NVIDIA = re.compile(r"nvinfer|nvonnxparser")
SYMBOL = re.compile(r"^(create|get|init)\w*(Infer|NvOnnx|Plugin)\w*$")
ANY_DEF = "(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any:"


class CannotCheckError(Exception):
    """Something that the check needs is not on this machine; says what."""


def types_of(version: str, folder: Path) -> Path:
    """Make, or find in `folder`, the types of a version of TensorRT.

    Returns: a folder for MYPYPATH, with the package `tensorrt`.
    Raises:  CannotCheckError: no compiler, no such wheel, no network.
    """
    # other mending makes other types
    mending = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    types = folder / f"types-{version}-{mending}"
    result = types / "tensorrt" / "__init__.pyi"
    if not result.is_file():
        wheel = _download(version, folder / f"wheel-{version}")
        raw = folder / f"raw-{version}"
        paths = {
            "LD_LIBRARY_PATH": str(_empty_libraries(wheel, folder / f"libraries-{version}")),
            "PYTHONPATH": os.pathsep.join((str(wheel), str(_stub_writer(folder / "stub-writer")))),
        }
        command = ["-m", "pybind11_stubgen", f"{BINDINGS}.tensorrt", "--ignore-all-errors"]
        _call([sys.executable, *command, "-o", str(raw)], paths)
        text = readable((raw / BINDINGS / "tensorrt.pyi").read_text())
        result.parent.mkdir(parents=True, exist_ok=True)
        part = result.with_suffix(".part")
        part.write_text(text)
        part.replace(result)
    return types


def _stub_writer(folder: Path) -> Path:
    """pybind11-stubgen, outside of the environment: it brings a package `tests` of its own."""
    if not (folder / "pybind11_stubgen").is_dir():
        _call([*PIP, "install", "--no-deps", "--target", str(folder), STUB_WRITER])
    return folder


def _download(version: str, folder: Path) -> Path:
    """The bindings, unpacked."""
    if not (folder / BINDINGS).is_dir():
        name = f"tensorrt_cu13_bindings=={version}"
        _call([*PIP, "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), name])
        (wheel,) = folder.glob("*.whl")
        _call([sys.executable, "-m", "zipfile", "-e", str(wheel), str(folder)])
    return folder


def _empty_libraries(wheel: Path, folder: Path) -> Path:
    """A library under each name that the bindings link, with each function they take from them."""
    (module,) = (wheel / BINDINGS).glob("tensorrt*.so")
    dynamic = _call(["readelf", "--dynamic", "--wide", str(module)])
    needed = [n for n in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic) if NVIDIA.search(n)]
    wanted = _call(["nm", "--dynamic", "--undefined-only", "--format=posix", str(module)])
    symbols = [line.split()[0].partition("@")[0] for line in wanted.splitlines() if line.strip()]
    source = "".join(f"void *{s}(void) {{ return 0; }}\n" for s in symbols if SYMBOL.match(s))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "empty.c").write_text(source)
    for name in needed:
        output = ["-o", str(folder / name), f"-Wl,-soname,{name}"]
        _call(["gcc", "-shared", "-fPIC", "-w", *output, str(folder / "empty.c")])
    return folder


def _call(command: list[str], environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=120,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCheckError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        line = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise CannotCheckError(f"{Path(command[0]).name} {' '.join(command[1:4])}: {line}")
    return done.stdout


def readable(text: str) -> str:
    """Mend what pybind11-stubgen writes where a C++ signature has no Python spelling."""
    lines = text.split("\n")
    while True:
        try:
            ast.parse("\n".join(lines))
            break
        except SyntaxError as error:
            at = (error.lineno or 1) - 1
            line = lines[at]
            indent = line[: len(line) - len(line.lstrip())]
            if found := re.match(r"\s*def (\w+)\(", line):
                lines[at] = f"{indent}def {found[1]}{ANY_DEF}"
            elif found := re.match(r"\s*(\w+)\s*[:=]", line):
                lines[at] = f"{indent}{found[1]}: typing.Any"
            else:
                lines[at] = f"{indent}pass"
    text = "\n".join(lines)
    # "..." stands for a type that it does not know
    text = re.sub(r"(->|:) \.\.\.(?=[:,)\]])", r"\1 typing.Any", text).replace(
        "[...]", "[typing.Any]"
    )
    # what pybind11 converts by itself, and what subclasses of ours are handed in for
    text = re.sub(r"\blogger: Logger\b", "logger: ILogger", text)
    for name, method in (
        ("Dims", "__iter__(self) -> collections.abc.Iterator[int]"),
        ("IHostMemory", "__buffer__(self, flags: int, /) -> memoryview"),
    ):
        text = text.replace(f"class {name}:\n", f"class {name}:\n    def {method}: ...\n", 1)
    return (
        f"# mypy: ignore-errors\nimport collections.abc\nimport typing\n{text}\n__version__: str\n"
    )


def check(version: str, folder: Path, change: tuple[str, str] | None = None) -> list[str]:
    """Type-check the files that call TensorRT against one version.

    Args:    change: a text in these files and what to read in its place, to see the check fail.
    Returns: mypy's errors in these files.
    Raises:  CannotCheckError.
    """
    types = types_of(version, folder)
    shadows = []
    for name in CHECKED:
        text = (ROOT / name).read_text()
        if change:
            text = text.replace(*change)
        shadow = folder / f"shadow-{version}" / Path(name).name
        shadow.parent.mkdir(exist_ok=True)
        shadow.write_text(text.replace(PICK, "import tensorrt as trt"))
        shadows += ["--shadow-file", name, str(shadow)]
    # the bindings do not say what may be None: code that asks for it would look unreachable
    options = ["--no-warn-unused-ignores", "--no-warn-unreachable", "--no-error-summary"]
    options += ["--follow-imports=silent", "--cache-dir", str(folder / f"mypy-{version}")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *shadows, *CHECKED],
        env={**os.environ, "MYPYPATH": str(types)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode > 1 or done.stderr.strip():
        raise RuntimeError(done.stderr or done.stdout)
    return [line for line in done.stdout.splitlines() if ": error:" in line]
