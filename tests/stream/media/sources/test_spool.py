"""A recording through a pipe."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from stream.errors import InputError
from stream.media.sources.spool import spooled


class Pipe(io.TextIOWrapper):
    """Standard input with these bytes in it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))


def test_it_is_a_file_for_its_owner_alone_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(b"a call" * 1_000_000))
    with spooled(tmp_path / "better.mp4") as path:
        assert path.read_bytes() == b"a call" * 1_000_000
        assert path.parent == tmp_path
        if sys.platform != "win32":
            assert path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_errors_name_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Pipe(b"no recording"))

    def run() -> None:
        with spooled(tmp_path / "better.mp4") as path:
            raise InputError(f"{path} is not a recording")

    with pytest.raises(InputError, match=r"^standard input is not a recording$"):
        run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stdin", [None, b""])
def test_nothing_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stdin: bytes | None
) -> None:
    monkeypatch.setattr(sys, "stdin", None if stdin is None else Pipe(stdin))
    with pytest.raises(InputError, match="standard input is"), spooled(tmp_path / "better.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []
