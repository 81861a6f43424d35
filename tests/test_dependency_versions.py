"""What cannot be fetched is skipped where that is allowed, and nothing else."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import dependency_versions
from tests.dependency_versions import HUNG, UnfetchedError, environment, main

UNFETCHED = UnfetchedError()
CONFLICT = subprocess.CalledProcessError(1, ["uv"])


@pytest.mark.parametrize(
    ("error", "more", "expected", "said"),
    [
        (UNFETCHED, ["--where-possible"], 0, "SKIPPED, its packages cannot be fetched"),
        (CONFLICT, ["--where-possible"], 1, "exit status 1"),
        (UNFETCHED, [], 1, ": its packages cannot be fetched"),
        (UNFETCHED, ["--minutes", "-1"], 0, "SKIPPED, -1 minutes are over"),
    ],
)
def test_a_set_that_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    more: list[str],
    expected: int,
    said: str,
) -> None:
    def failing(python: str, name: str) -> Path:
        raise error

    monkeypatch.setattr(dependency_versions, "environment", failing)
    monkeypatch.setattr(dependency_versions, "pythons", lambda: ["python3"])
    assert main(more) == expected
    err = capsys.readouterr().err
    assert err.count(said) == 2, "of the oldest and of the newest versions"
    assert "SKIPPED: a newer Python, python3 is the only one here" in err


@contextmanager
def registry(status: int | None) -> Iterator[str]:
    """One that answers with a status, or never. Yields: its address."""
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status is None:
                ended.wait()
            else:
                self.send_response(status)
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [None, 403, 404, 503], ids=["no answer", "403", "404", "503"])
def test_a_registry_that_gives_nothing(
    status: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dependency_versions, "PLACE", tmp_path)
    for name in [one for one in os.environ if one.startswith("UV_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_NO_CACHE", "1")
    patience = {"UV_HTTP_TIMEOUT": "1", "UV_HTTP_RETRIES": "0"}
    monkeypatch.setattr(dependency_versions, "PATIENCE", patience)
    with registry(status) as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        with pytest.raises(UnfetchedError):
            environment(sys.executable, "lowest")


def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dependency_versions, "PLACE", tmp_path)
    monkeypatch.setattr(dependency_versions, "INSTALL_S", 0.0)
    with pytest.raises(UnfetchedError):
        environment(sys.executable, "lowest")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [((0, 0), 0), ((0, 5), 0), ((1, 0), 1), ((0, 1, 0), 0), ((0, 1, 1), 1)],
)
def test_tests_that_work_by_the_clock_run_by_themselves(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], expected: int
) -> None:
    told = tried(monkeypatch, statuses, expected)
    assert ["real_time" in one for one in told] == [False, True, True][: len(told)]
    assert all("-x" in one for one in told)
    assert ["-n" in one for one in told] == [True, False, False][: len(told)]
    assert ["--last-failed" in one for one in told] == [False, False, True][: len(told)]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((HUNG, 0, 0), 0),
        ((HUNG, 1, 0), 1),
        ((HUNG, HUNG, 0), 1),
        ((0, HUNG, 0), 0),
        ((0, HUNG, 1, 0), 0),
        ((0, HUNG, HUNG, HUNG), 1),
    ],
)
def test_a_round_that_hangs_is_repeated_once(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], expected: int
) -> None:
    told = tried(monkeypatch, statuses, expected)
    first = statuses.index(HUNG)
    assert told[first] == told[first + 1]


def tried(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...], expected: int
) -> list[tuple[str, ...]]:
    """Returns: what pytest was told, where it ended with these."""
    told: list[tuple[str, ...]] = []

    def tested(_: Path, *words: str) -> int:
        told.append(words)
        return statuses[len(told) - 1]

    monkeypatch.setattr(dependency_versions, "environment", lambda *_: Path("a/bin/python"))
    monkeypatch.setattr(dependency_versions, "pythons", lambda: ["python3"])
    monkeypatch.setattr(dependency_versions, "_tested", tested)
    assert main(["--only", "lowest", "--", "-x"]) == expected
    assert len(told) == len(statuses)
    return told


HANGS = """
import subprocess, sys, threading, time
def test_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    open("child", "w").write(str(child.pid))
    threading.Event().wait()
"""


def test_a_hang_is_said_with_its_stacks_and_nothing_is_left_of_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "test_hang.py").write_text(HANGS)
    monkeypatch.setattr(dependency_versions, "ROOT", tmp_path)
    monkeypatch.setattr(dependency_versions, "STACKS_S", 2)
    monkeypatch.setattr(dependency_versions, "ROUND_S", 10.0)
    assert dependency_versions._tested(Path(sys.executable), "-p", "no:cacheprovider") == HUNG
    err = capfd.readouterr().err
    assert 'test_hang.py", line 6 in test_hangs' in err
    assert "HUNG: no end within 10 s: " in err
    if sys.platform == "linux":
        child = int((tmp_path / "child").read_text())
        deadline_s = time.monotonic() + 10.0
        while Path(f"/proc/{child}").exists() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert not Path(f"/proc/{child}").exists()


def test_a_status_is_that_of_pytest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert False\n")
    monkeypatch.setattr(dependency_versions, "ROOT", tmp_path)
    quiet = ("-p", "no:cacheprovider")
    assert dependency_versions._tested(Path(sys.executable), *quiet) == 1
    assert dependency_versions._tested(Path(sys.executable), *quiet, "-k", "no") == 5
