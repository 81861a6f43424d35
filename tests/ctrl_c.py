"""Ctrl-C while a part starts: KeyboardInterrupt where Python waits."""

from __future__ import annotations

import threading

import pytest


def in_thread_start(monkeypatch: pytest.MonkeyPatch, name: str, *, runs: bool) -> None:
    """Ctrl-C comes in `Thread.start` of the thread with this name.

    Args: runs: the thread runs already; otherwise it never does.
    """
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name != name:
            return real(thread)
        if runs:
            real(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)


def ended(name: str) -> bool:
    """Wait until the threads with this name have ended; whether they did in time."""
    found = [thread for thread in threading.enumerate() if thread.name == name]
    for thread in found:
        thread.join(20.0)
    return not any(thread.is_alive() for thread in found)
