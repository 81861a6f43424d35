"""Dependency versions: the tests of what dependencies do, with the oldest and the newest allowed.

    python -m tests.dependency_versions
    python -m tests.dependency_versions --only lowest --python 3.13 -- -k sandbox

uv resolves every set of versions from pyproject.toml and installs it into an environment of its
own, for the oldest Python that Closeup takes and for the newest one that is here. The exit status
is 1 where a set cannot be installed or a test fails. With --where-possible a set is skipped whose
packages cannot be fetched, and with --minutes those whose turn comes later: each is said.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".venv-versions"
SETS = {"lowest": "lowest-direct", "highest": "highest"}
"""Of versions, and uv's names for how to choose them."""
OLDEST = (3, 11)
EXTRAS = ("webrtc", "test-versions")
UNREACHABLE = 2
"""uv's exit status where it cannot fetch a package; 1 where no versions fit together, or where the
registry says that it has no such package."""
INSTALL_S = 300.0
"""The longest that one step of an installation may take, however slowly a registry answers."""
PATIENCE = {"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "1"}
"""uv waits so many seconds for an answer, and asks once more."""
ROUNDS = (("-m", "not real_time", "-n", "2", "--dist", "loadfile"), ("-m", "real_time"))
"""What pytest is told, one after the other: tests that work by the clock run one at a time."""
AGAIN = ("-m", "real_time", "--last-failed", "--last-failed-no-failures", "none")
"""Those of the last round that failed, once more: another program may have slowed them down."""
STACKS_S = 300
"""Of a test that takes longer the stacks of all threads are printed; it may go on."""
ROUND_S = 900.0
"""A round of tests that takes longer hangs. It is said, with the stacks, and repeated once: of more
than a hundred rounds one hung, and nothing was known of where."""
HUNG = -1
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


class UnfetchedError(Exception):
    """A package cannot be fetched: the registry does not answer in time, or does not have it."""


def environment(python: str, name: str) -> Path:
    """An environment with a set of versions. Returns: its interpreter.

    Args:   python: of the base. name: a key of `SETS`.
    Raises: UnfetchedError. subprocess.CalledProcessError: no versions fit together.
    """
    version = _version(python)
    assert version is not None
    folder = PLACE / f"{name}-{version[0]}.{version[1]}"
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    chosen = PLACE / f"{folder.name}.txt"
    _uv("venv", "--clear", "--python", python, str(folder))
    extras = [f"--extra={extra}" for extra in EXTRAS]
    # Without a wheel for this Python a version cannot be installed by most people.
    usual = ("--no-build", "--python", str(inside))
    resolve = ("pip", "compile", *usual, "--output-file", str(chosen))
    try:
        _uv(*resolve, "--resolution", SETS[name], *extras, "pyproject.toml")
    except subprocess.CalledProcessError:
        _uv_must_have(*resolve, "--no-deps", "-", given="\n".join(_unbounded()))
        raise
    _uv("pip", "install", *usual, "-r", str(chosen))
    lines = [line for line in chosen.read_text().splitlines() if re.match(r"[a-z]", line)]
    told = [line for line in lines if line.partition("==")[0] in SHOWN]
    print(f"Python {version[0]}.{version[1]}, {name}: {', '.join(told)}", flush=True)
    return inside


def _unbounded() -> Iterator[str]:
    """What is asked for, in any version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = list(project["dependencies"])
    for extra in EXTRAS:
        asked += project["optional-dependencies"][extra]
    for line in asked:
        requirement, semicolon, marker = line.partition(";")
        yield re.split(r"[<>=!~ ]", requirement)[0] + semicolon + marker


def _uv(*told: str, given: str = "") -> None:
    """Run uv. Raises: UnfetchedError, subprocess.CalledProcessError: its status is another one."""
    command = [sys.executable, "-m", "uv", *told, "--quiet"]
    more = PATIENCE | _registry() | os.environ
    try:
        subprocess.run(
            command, cwd=ROOT, check=True, env=more, input=given, text=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired as error:
        raise UnfetchedError from error
    except subprocess.CalledProcessError as error:
        if error.returncode == UNREACHABLE:
            raise UnfetchedError from error
        raise


def _uv_must_have(*told: str, given: str) -> None:
    """Run uv. Raises: UnfetchedError: whatever its status is, unless it is 0."""
    try:
        _uv(*told, given=given)
    except subprocess.CalledProcessError as error:
        raise UnfetchedError from error


def _registry() -> dict[str, str]:
    """The registry that pip uses here, for uv, which does not read pip's settings."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings = (line.partition("=") for line in listed.stdout.splitlines())
    found = [value.strip("'") for key, _, value in settings if key.endswith(".index-url")]
    return {"UV_DEFAULT_INDEX": found[-1]} if found else {}


def tried(python: str, name: str, more: Sequence[str]) -> bool:
    """Whether the tests pass with a set.

    Args:   more: arguments of pytest.
    Raises: UnfetchedError.
    """
    begun_s = time.monotonic()
    try:
        inside = environment(python, name)
    except subprocess.CalledProcessError as error:
        print(f"{name} for {python}: {error}", file=sys.stderr)
        return False
    paths = [str(ROOT / "tests" / path) for path in TESTS]
    cache = ("-o", f"cache_dir={inside.parents[1] / 'pytest'}")
    statuses = []
    for one in ROUNDS:
        statuses.append(_tested(inside, *cache, *one, *more, *paths))
        if statuses[-1] == HUNG:
            statuses[-1] = _tested(inside, *cache, *one, *more, *paths)
        if one == ROUNDS[-1] and statuses[-1] not in (0, NO_TESTS):
            statuses[-1] = _tested(inside, *cache, *AGAIN, *more, *paths)
    print(f"{name}: status {statuses}, {time.monotonic() - begun_s:.0f} s", flush=True)
    return set(statuses) <= {0, NO_TESTS}


def _tested(inside: Path, *told: str) -> int:
    """pytest's exit status; `HUNG` where it did not end."""
    stacks = (f"faulthandler_timeout={STACKS_S}", "faulthandler_exit_on_timeout=false")
    options = [word for one in stacks for word in ("-o", one)]
    command = [str(inside), "-m", "pytest", "-q", *options, *told]
    # a session of their own, so that the processes that pytest has started end with it
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as tests:
        try:
            return tests.wait(ROUND_S)
        except subprocess.TimeoutExpired:
            print(f"HUNG: no end within {ROUND_S:.0f} s: {' '.join(command)}", file=sys.stderr)
            return HUNG
        finally:
            _end(tests)


def _end(tests: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(tests.pid, signal.SIGKILL)
    elif tests.poll() is None:
        tests.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns: its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.dependency_versions", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", choices=SETS, help="one set of versions (default: both)")
    parser.add_argument("--python", help="one Python, such as 3.13 (default: oldest and newest)")
    parser.add_argument(
        "--where-possible",
        action="store_true",
        help="skip, visibly, a set whose packages cannot be fetched",
    )
    parser.add_argument(
        "--minutes", type=float, help="begin no set later than this, and say so (default: no end)"
    )
    parser.add_argument("pytest", nargs="*", help="after --: what pytest is told")
    chosen = parser.parse_args(arguments)
    wanted = None if chosen.python is None else tuple(map(int, chosen.python.split(".")))
    bases = (
        pythons() if wanted is None else [one for one in _candidates() if _version(one) == wanted]
    )
    if not bases:
        parser.error(f"there is no Python {chosen.python} here")
    if wanted is not None:
        bases = bases[:1]
    elif len(bases) == 1:
        print(f"SKIPPED: a newer Python, {bases[0]} is the only one here", file=sys.stderr)
    names = [chosen.only] if chosen.only else list(SETS)
    return int(not _all_pass([(base, name) for base in bases for name in names], chosen))


def _all_pass(sets: Sequence[tuple[str, str]], chosen: argparse.Namespace) -> bool:
    """Whether no set has failed. Args: sets: Python and name of each. chosen: see `main`."""
    begun_s, passed = time.monotonic(), True
    for python, name in sets:
        if chosen.minutes is not None and time.monotonic() - begun_s > 60.0 * chosen.minutes:
            told = f"SKIPPED, {chosen.minutes:g} minutes are over"
        else:
            try:
                passed &= tried(python, name, chosen.pytest)
                continue
            except UnfetchedError:
                told = "its packages cannot be fetched"
                if chosen.where_possible:
                    told = f"SKIPPED, {told}"
                else:
                    passed = False
        print(f"{name} for {python}: {told}", file=sys.stderr)
    return passed


if __name__ == "__main__":
    sys.exit(main())
