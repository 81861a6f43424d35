"""An interrupted recording goes on inside, and its result is the same, byte for byte."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.recordings.resume.work_dir import work_folder
from tests.batches import PROGRAM, run_program, write_call
from tests.pictures import need_models

SEGMENT = 10


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    need_models()
    write_call(tmp_path / "call.mp4", frames=36, close=16)
    return tmp_path


def command(output: str, *more: str) -> list[str]:
    words = ["--input", "call.mp4", "--output", output, "--scale", "1", "--resume"]
    return [*words, "--segment", str(SEGMENT), *more]


def killed_at(output: str, segments: int, *more: str) -> int:
    """Run, and kill the process when so many segments are finished. Returns how many there are."""
    folder = work_folder(Path(output))
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), *command(output, *more)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 120.0
    while len(finished(folder)) < segments and process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    process.kill()
    assert process.wait(30) == -9
    return len(finished(folder))


def finished(folder: Path) -> list[Path]:
    return sorted(folder.glob("0*.mp4"))


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize("more", [(), ("--speed", "fast", "--network", "small")])
def test_killed_again_and_again_the_result_is_the_same(call: Path, more: tuple[str, ...]) -> None:
    assert run_program(*command("whole.mp4", *more)).returncode == 0
    kept = 0
    for segments in (1, 3):
        found = killed_at("cut.mp4", segments, *more)
        assert found >= segments
        assert found >= kept
        kept = found
        assert not (call / "cut.mp4").exists()
        assert work_folder(call / "cut.mp4").stat().st_mode & 0o777 == 0o700
    result = run_program(*command("cut.mp4", "--report", "report.json", *more))
    assert result.returncode == 0, result.stderr
    assert sha256("cut.mp4") == sha256("whole.mp4")
    figures = json.loads(Path("report.json").read_text(encoding="utf-8"))
    # Faces of the finished segments are counted, but the network did not see them again.
    assert figures["frames"] == 36
    assert figures["faces_enhanced"] > 36 - 10 * kept
    names = {path.name for path in call.iterdir()}
    assert names == {"call.mp4", "whole.mp4", "cut.mp4", "report.json"}
