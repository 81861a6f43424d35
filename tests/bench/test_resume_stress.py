"""bench.resume_stress: what the program itself says is passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.resume_stress import main


def test_a_recording_that_cannot_be_enhanced_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--input", str(tmp_path / "absent.mp4"), "--times", "1"]) == 2
    said = capfd.readouterr().err
    assert "absent.mp4" in said
    assert "Traceback" not in said
