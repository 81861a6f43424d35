"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import speed_profile
from tests.fakes import OneFace, OpenedRuntimes


@pytest.fixture(scope="session", autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C works as at a terminal: a shell that starts the tests in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was measured yet, whatever this machine's owner has measured."""
    monkeypatch.setattr(speed_profile, "folder", lambda: tmp_path / "no speed profile")


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> OneFace:
    """Stands in for the detector."""
    one = OneFace()
    monkeypatch.setattr("stream.graph.FaceDetector", lambda **_: one)
    return one


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> OpenedRuntimes:
    """Stands in for the network."""
    runtimes = OpenedRuntimes()
    monkeypatch.setattr("stream.graph.open_runtime", runtimes)
    return runtimes
