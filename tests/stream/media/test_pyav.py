"""Rationals of any release of PyAV are exact fractions, or None."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.media.pyav import exact
from stream.media.sources.file_source import open_recording
from tests.recording_files import write_recording


@pytest.mark.parametrize(("top", "bottom"), [(0, 1), (0, 0), (1, 0), (-1, 0)])
def test_what_a_file_does_not_say_is_none(top: int, bottom: int) -> None:
    assert exact(SimpleNamespace(numerator=top, denominator=bottom)) is None
    assert exact(None) is None


def test_products_are_exact(tmp_path: Path) -> None:
    write_recording(tmp_path / "call.mp4", sounds=0)
    with open_recording(tmp_path / "call.mp4") as recording:
        base, rate = (
            exact(recording.streams.video[0].time_base),
            exact(recording.streams.video[0].average_rate),
        )
    assert type(base) is type(rate) is Fraction
    # PyAV's own rationals would round this to 32 bits.
    large = Fraction(2**31 - 1, 2**30 + 1)
    assert base is not None
    assert (base * large).denominator > 2**31


def test_titles_in_an_old_encoding_do_not_refuse_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, sounds=0)
    path.write_bytes(path.read_bytes().replace(b"A call", b"Gr\xfc\xdfe"))
    with open_recording(path) as recording:
        assert recording.metadata["title"].startswith("Gr")
