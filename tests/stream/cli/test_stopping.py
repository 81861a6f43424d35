"""Signals end a run, and leave nothing half-written, however often they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from engines.files import grows, replacing
from stream.cli.stopping import AGAIN_S, SIGNALS, stopped_by_signals
from stream.errors import StoppedError, heed
from tests.places import ROOT

SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from engines.files import replacing
from stream.cli.stopping import stopped_by_signals
with stopped_by_signals(), replacing(Path(sys.argv[2])) as part:
    part.write_text("half of it")
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("ending", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_stops_a_run_and_removes_its_files(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    output = tmp_path / "call.mp4"

    def run() -> None:
        with stopped_by_signals(), replacing(output) as part:
            part.write_text("half of it")
            signal.raise_signal(number)

    with pytest.raises(StoppedError) as stopped:
        run()
    assert stopped.value.number == number
    assert signal.getsignal(number) == before
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_left_half_written_goes_at_the_end(tmp_path: Path) -> None:
    part = tmp_path / ".call.mp4.part"
    with stopped_by_signals():
        grows(part)
        part.write_text("half of it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a program without a signal")
def test_the_second_one_waits_for_nothing(tmp_path: Path) -> None:
    output = tmp_path / "call.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(ROOT), str(output)], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        run.send_signal(signal.SIGTERM)
        assert run.stdout.readline() == "ending\n"
        run.send_signal(signal.SIGTERM)
        assert run.wait(30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGHUP")
def test_what_was_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_request_that_a_library_loses_is_made_again(number: int) -> None:
    """pybind11 makes an ImportError of it while it loads a module."""

    def load() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    def run() -> None:
        with stopped_by_signals():
            with suppress(ImportError):
                load()
            time.sleep(30.0)

    with pytest.raises(StoppedError) as stopped:
        run()
    assert stopped.value.number == number


def test_one_that_was_heeded_is_not() -> None:
    with stopped_by_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as interrupt:
            heed(interrupt)
        time.sleep(4 * AGAIN_S)


def test_one_that_ended_the_run_is_not_made_again() -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: again.append(number))
    again: list[int] = []
    try:
        with suppress(StoppedError), stopped_by_signals():
            signal.raise_signal(signal.SIGTERM)
        time.sleep(4 * AGAIN_S)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert again == []
