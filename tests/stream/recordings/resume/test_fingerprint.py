"""Fingerprint: a result depends on every source file of the packages, wherever they lie."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from stream.options import Options
from stream.recordings.resume import fingerprint
from tests.places import ROOT


def test_settings_that_are_new_change_nothing_at_their_defaults(tmp_path: Path) -> None:
    """An archive is not made anew because there is a new option; other values count."""
    options = Options(
        input=tmp_path / "a.mkv", output=tmp_path / "b.mkv", overwrite=False, framing="fixed",
        scale=None, strength=1.0, report=None,
    )  # fmt: skip
    known = {k: v for k, v in asdict(options).items() if k not in fingerprint.NOT_SETTINGS}
    before = {k: v for k, v in known.items() if k not in ("network", "speed")}
    assert len(before) == len(known) - 2
    assert fingerprint.settings_of(options) == fingerprint.sha256_of_json(before)
    others = [replace(options, network="small"), replace(options, speed="fast")]
    assert len({fingerprint.settings_of(one) for one in (options, *others)}) == 3


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
