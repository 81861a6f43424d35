"""Dependency versions: the tests of what dependencies do, with the oldest and the newest allowed.

    python -m tests.dependency_versions
    python -m tests.dependency_versions --only lowest --python 3.13 -- -k sandbox

uv resolves every set of versions from pyproject.toml and installs it into an environment of its
own, for the oldest Python that Closeup takes and for the newest one that is here. The exit status
is 1 where a set cannot be installed or a test fails; with --where-possible a set is skipped whose
packages cannot be fetched.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".venv-versions"
SETS = {"lowest": "lowest-direct", "highest": "highest"}
"""Of versions, and uv's names for how to choose them."""
OLDEST = (3, 11)
EXTRAS = ("webrtc", "test-versions")
UNREACHABLE = 2
"""uv's exit status where it cannot fetch a package; 1 where no versions fit together."""
ROUNDS = (("-m", "not real_time", "-n", "2", "--dist", "loadfile"), ("-m", "real_time"))
"""What pytest is told, one after the other: tests that work by the clock run one at a time."""
NO_TESTS = 5
"""pytest's exit status where a choice leaves none."""
SHOWN = ("av", "numpy", "openvino", "onnxruntime", "mediapipe", "aiortc")
TESTS = (
    *("stream/test_session.py", "stream/test_pipeline.py", "stream/test_api.py"),
    *("stream/media/sandbox", "stream/media/sources/test_file_source.py"),
    *("stream/media/sinks/test_file_sink.py", "stream/media/sinks/test_encoder.py"),
    *("stream/media/test_remux.py", "stream/media/test_stream_copy.py"),
    *("stream/media/test_converted_sound.py", "stream/media/test_deinterlacer.py"),
    *("stream/recordings/test_verify.py", "stream/recordings/test_picture_properties.py"),
    *("stream/recordings/test_people_learning.py", "stream/stages/tracking"),
    *("engines/runtimes", "engines/test_runtime.py", "engines/onnx_variants"),
    *("stream/rtc/test_relay.py", "stream/rtc/test_offers.py", "stream/rtc/test_enhanced_track.py"),
    *("stream/rtc/test_sound.py", "test_run_pipeline.py"),
)
"""What depends on the versions of others: recordings, sessions, networks, calls."""


def pythons() -> list[str]:
    """The interpreters to try: the oldest allowed one, and the newest that is here."""
    found = {_version(one): one for one in _candidates()}
    found.pop(None, None)
    allowed = {version: one for version, one in found.items() if version and version >= OLDEST}
    return [allowed[version] for version in sorted({min(allowed), max(allowed)})]


def _candidates() -> Iterator[str]:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(pyenv.glob("3.*/bin/python")))
    for minor in range(OLDEST[1], 20):
        if path := shutil.which(f"python3.{minor}"):
            yield path
    yield sys.executable


def _version(python: str) -> tuple[int, int] | None:
    """(3, 13) of an interpreter; None of one that does not run, or not as usual."""
    free_threaded = "sysconfig.get_config_var('Py_GIL_DISABLED') or 0"
    asked = f"import sys, sysconfig; print(*sys.version_info[:2], {free_threaded})"
    try:
        told = subprocess.run([python, "-c", asked], capture_output=True, text=True, timeout=60)
        major, minor, free = map(int, told.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return None if free else (major, minor)


def environment(python: str, name: str) -> Path:
    """An environment with a set of versions. Returns: its interpreter.

    Args:   python: of the base. name: a key of `SETS`.
    Raises: subprocess.CalledProcessError: there is none, or it cannot be installed.
    """
    version = _version(python)
    assert version is not None
    folder = PLACE / f"{name}-{version[0]}.{version[1]}"
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    chosen = PLACE / f"{folder.name}.txt"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", python, str(folder)], check=True)
    extras = [f"--extra={extra}" for extra in EXTRAS]
    # Without a wheel for this Python a version cannot be installed by most people.
    subprocess.run(
        [
            *(*uv, "pip", "compile", "--quiet", "pyproject.toml", *extras, "--no-build"),
            *("--python", str(inside), "--resolution", SETS[name], "--output-file", str(chosen)),
        ],
        cwd=ROOT,
        check=True,
    )
    subprocess.run(
        [
            *uv,
            "pip",
            "install",
            "--quiet",
            "--no-build",
            "--python",
            str(inside),
            "-r",
            str(chosen),
        ],
        check=True,
    )
    lines = [line for line in chosen.read_text().splitlines() if re.match(r"[a-z]", line)]
    told = [line for line in lines if line.partition("==")[0] in SHOWN]
    print(f"Python {version[0]}.{version[1]}, {name}: {', '.join(told)}", flush=True)
    return inside


def tried(python: str, name: str, more: Sequence[str], *, where_possible: bool) -> bool:
    """Whether the tests pass with a set. Args: more: arguments of pytest. where_possible: a set
    whose packages cannot be fetched is skipped."""
    begun_s = time.monotonic()
    try:
        inside = environment(python, name)
    except subprocess.CalledProcessError as error:
        skipped = where_possible and error.returncode == UNREACHABLE
        told = "SKIPPED, its packages cannot be fetched" if skipped else error
        print(f"{name} for {python}: {told}", file=sys.stderr)
        return skipped
    paths = [str(ROOT / "tests" / path) for path in TESTS]
    statuses = [
        subprocess.run(
            [str(inside), "-m", "pytest", "-q", *one, *more, *paths], cwd=ROOT, check=False
        ).returncode
        for one in ROUNDS
    ]
    print(f"{name}: status {statuses}, {time.monotonic() - begun_s:.0f} s", flush=True)
    return set(statuses) <= {0, NO_TESTS}


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns: its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=SETS, help="one set of versions (default: both)")
    parser.add_argument("--python", help="one Python, such as 3.13 (default: oldest and newest)")
    parser.add_argument(
        "--where-possible",
        action="store_true",
        help="skip, visibly, a set whose packages cannot be fetched",
    )
    parser.add_argument("pytest", nargs="*", help="after --: what pytest is told")
    chosen = parser.parse_args(arguments)
    wanted = None if chosen.python is None else tuple(map(int, chosen.python.split(".")))
    bases = (
        pythons() if wanted is None else [one for one in _candidates() if _version(one) == wanted]
    )
    if not bases:
        parser.error(f"there is no Python {chosen.python} here")
    names = [chosen.only] if chosen.only else list(SETS)
    if wanted is not None:
        bases = bases[:1]
    sets = [(base, name) for base in bases for name in names]
    may_skip = chosen.where_possible
    failed = [one for one in sets if not tried(*one, chosen.pytest, where_possible=may_skip)]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
