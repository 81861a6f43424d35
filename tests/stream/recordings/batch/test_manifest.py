"""Manifest: it only grows, and a torn line costs only itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.errors import OutputError
from stream.recordings.batch.manifest import Manifest, Record
from stream.recordings.resume.fingerprint import Stamp
from stream.recordings.resume.lock import TakenError, held


def record(output: str = "a.mp4", **change: object) -> Record:
    given: dict[str, object] = {
        "input": "calls/a.mp4",
        "output": output,
        "result": "done",
        "settings": "s" * 64,
        "model": "m" * 64,
        "source": Stamp(10, 20, "1" * 64),
        "made": Stamp(30, 40, "2" * 64),
        "notes": ("ends early",),
        "figures": {"frames": 3},
    }
    return Record(**{**given, **change})  # type: ignore[arg-type]


def test_what_is_added_is_there_again(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    assert manifest.done("a.mp4") is None
    failed = record("b.mp4", result="failed", made=None, error="is empty\nor not")
    for one in (record(), failed, record(settings="t" * 64)):
        manifest.add(one)
    assert len(manifest.path.read_text(encoding="ascii").splitlines()) == 3
    for read in (manifest, Manifest(tmp_path)):
        assert read.done("a.mp4") == record(settings="t" * 64)
        assert read.done("b.mp4") is None


def test_a_failure_later_on_does_not_undo_what_was_done(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.add(record())
    manifest.add(record(result="failed", made=None, error="the disk is full"))
    assert Manifest(tmp_path).done("a.mp4") == record()


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.add(record())
    whole = manifest.path.read_bytes()
    for cut in range(1, len(record("b.mp4").line()), 37):
        manifest.path.write_bytes(whole + record("b.mp4").line().encode()[:cut])
        torn = Manifest(tmp_path)
        assert torn.done("a.mp4") == record()
        assert torn.done("b.mp4") is None
        torn.add(record("c.mp4"))
        assert Manifest(tmp_path).done("c.mp4") == record("c.mp4")
    manifest.path.write_bytes(b"\xff\x00[]\n3\n{}\n" + whole)
    assert Manifest(tmp_path).done("a.mp4") == record()


def test_a_manifest_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(OutputError, match="cannot be read"):
        Manifest(tmp_path)
    manifest = Manifest(tmp_path / "gone")
    with pytest.raises(OutputError, match="cannot be written"):
        manifest.add(record())


def test_a_stamp_knows_its_file_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    stamp = Stamp.of(path)
    assert stamp.fits(path)
    path.touch()
    assert stamp.fits(path)
    path.write_bytes(b"two")
    assert not stamp.fits(path)
    path.write_bytes(b"three")
    assert not stamp.fits(path)
    path.unlink()
    assert not stamp.fits(path)


def test_a_lock_has_one_holder_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path):
        with pytest.raises(TakenError), held(path):
            pass
        assert path.exists()
    assert not path.exists()
    path.write_bytes(b"")  # left by a process that was killed
    with held(path):
        pass
    assert not path.exists()
