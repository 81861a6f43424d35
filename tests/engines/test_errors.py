"""How every program tells of an error that people can act on."""

from __future__ import annotations

import pytest

from engines.errors import EngineError, one_line, reported


def test_an_error_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(EngineError("no room:\n  delete  something")) == 2
    assert capsys.readouterr() == ("", "error: no room: delete something\n")


def test_an_error_that_says_nothing_is_named() -> None:
    assert one_line(MemoryError()) == "MemoryError"
