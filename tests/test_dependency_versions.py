"""What cannot be fetched is skipped where that is allowed, and nothing else."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import dependency_versions
from tests.dependency_versions import UnfetchedError, environment, main

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
    [((0, 0), 0), ((0, 5), 0), ((1, 0), 1), ((0, 1, 0), 0), ((0, 1, 1), 1), ((0, None, 1), 1)],
)
def test_tests_that_work_by_the_clock_run_by_themselves(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int | None, ...], expected: int
) -> None:
    told: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        told.append(command)
        status = statuses[len(told) - 1]
        if status is None:
            raise subprocess.TimeoutExpired(command, 1800.0)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(dependency_versions, "environment", lambda *_: Path("a/bin/python"))
    monkeypatch.setattr(dependency_versions, "pythons", lambda: ["python3"])
    monkeypatch.setattr(subprocess, "run", run)
    assert main(["--only", "lowest", "--", "-x"]) == expected
    assert len(told) == len(statuses)
    assert ["real_time" in one for one in told] == [False, True, True][: len(told)]
    assert all("-x" in one for one in told)
    assert ["-n" in one for one in told] == [True, False, False][: len(told)]
    assert ["--last-failed" in one for one in told] == [False, False, True][: len(told)]
