"""Fingerprint: a result depends on every source file of the packages, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.recordings.resume import fingerprint
from tests.places import ROOT


def test_every_source_file_counts() -> None:
    """A folder counted wrongly would find none, and resuming would accept segments of old code."""
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("stream", "engines")
        for path in (ROOT / package).rglob("*.py")
    }
    found = fingerprint.sources()
    assert set(found) == expected
    assert len(found) > 100
    deepest = "stream/stages/enhancement/enhancer.py"
    assert found[deepest].samefile(ROOT / deepest)


def test_other_code_is_another_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "frame.py"
    changed.write_text("changed = True")
    before = fingerprint._code()
    sources = {**fingerprint.sources(), "stream/frame.py": changed}
    monkeypatch.setattr(fingerprint, "sources", lambda: sources)
    fingerprint._code.cache_clear()
    assert fingerprint._code() != before
    fingerprint._code.cache_clear()
