"""What cannot be fetched is skipped where that is allowed, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import dependency_versions


@pytest.mark.parametrize(
    ("status", "more", "expected", "said"),
    [
        (2, ["--where-possible"], 0, "SKIPPED, its packages cannot be fetched"),
        (1, ["--where-possible"], 1, "exit status 1"),
        (2, [], 1, "exit status 2"),
    ],
)
def test_a_set_that_cannot_be_installed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    more: list[str],
    expected: int,
    said: str,
) -> None:
    def failing(python: str, name: str) -> Path:
        raise subprocess.CalledProcessError(status, ["uv", python, name])

    monkeypatch.setattr(dependency_versions, "environment", failing)
    monkeypatch.setattr(dependency_versions, "pythons", lambda: ["python3"])
    assert dependency_versions.main(more) == expected
    assert capsys.readouterr().err.count(said) == 2, "of the oldest and of the newest versions"


@pytest.mark.parametrize(("statuses", "expected"), [((0, 0), 0), ((0, 5), 0), ((0, 1), 1)])
def test_tests_that_work_by_the_clock_run_by_themselves(
    monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, int], expected: int
) -> None:
    told: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        told.append(command)
        return subprocess.CompletedProcess(command, statuses[len(told) - 1])

    monkeypatch.setattr(dependency_versions, "environment", lambda *_: Path("python"))
    monkeypatch.setattr(dependency_versions, "pythons", lambda: ["python3"])
    monkeypatch.setattr(subprocess, "run", run)
    assert dependency_versions.main(["--only", "lowest", "--", "-x"]) == expected
    assert ["real_time" in one for one in told] == [False, True]
    assert all("-x" in one for one in told)
    assert ["-n" in one for one in told] == [True, False]
