"""Files are there completely or not at all; one cache folder for everything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engines.files import cache_folder, hidden_beside, part_path, replacing, write_whole
from engines.tensorrt.engine_cache import default_folder


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    with replacing(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert part.name.startswith(".report.json.")
        assert part.name.endswith(".part")
    assert path.read_bytes() == b"new"
    write_whole(path, "ü", durable=True)
    assert path.read_bytes() == b"\xc3\xbc"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_bytes(b"half")
            raise kind

    with pytest.raises(kind):
        fail()
    with pytest.raises(FileNotFoundError), replacing(path):
        pass  # nothing was written
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with replacing(path) as one, replacing(path) as other:
        one.write_bytes(b"one")
        other.write_bytes(b"other")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="names are counted in characters there")
@pytest.mark.parametrize("name", ["a" * 251 + ".mp4", "ü" * 125 + ".mp4", "a" * 244 + ".mp4"])
def test_the_longest_names_can_be_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_whole(path, b"whole")
    part_path(path).write_bytes(b"")
    hidden_beside(path, "closeup").mkdir()
    assert path.read_bytes() == b"whole"
    assert part_path(path) != part_path(tmp_path / ("b" + name[1:]))


def test_an_ordinary_part_is_named_after_its_file(tmp_path: Path) -> None:
    assert part_path(tmp_path / "call.mp4") == tmp_path / ".call.mp4.part"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its own folders")
def test_everything_is_kept_in_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOSEUP_CACHE", str(tmp_path / "own"))
    assert cache_folder("models") == tmp_path / "own" / "models"
    assert default_folder() == tmp_path / "own" / "engines"
    monkeypatch.setenv("CLOSEUP_CACHE", "~/own")
    assert cache_folder("models") == Path.home() / "own" / "models"
    monkeypatch.delenv("CLOSEUP_CACHE")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert default_folder() == tmp_path / "closeup" / "engines"
        for ignored in ("relative", ""):  # the XDG rule
            monkeypatch.setenv("XDG_CACHE_HOME", ignored)
            assert cache_folder("models") == Path.home() / ".cache" / "closeup" / "models"
    assert "CLOSEUP_CACHE" not in os.environ
