"""What the CPU runtimes share."""

from __future__ import annotations

import os

import pytest

from engines.runtimes.cpu import default_threads, first_line


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (16, 4)])
def test_a_face_gets_few_threads(cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    assert default_threads() == threads
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows have none
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_threads() == threads
    for asked, taken in (("1", 1), ("3", 3), ("64", 4), ("0", threads), ("many", threads)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert default_threads() == taken


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("Exception from a.cpp:1:\nCheck 'x' failed at b.cpp:2:\n\nwhat it is\nmore", "what it is"),
        ("Exception from a.cpp:1:", "Exception from a.cpp:1:"),
        ("", "RuntimeError"),
    ],
)
def test_long_errors_become_one_line(text: str, line: str) -> None:
    assert first_line(RuntimeError(text)) == line
