"""What an exemplar is worth when time has passed."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.hime import temporal
from tests.recording_files import write_recording


def test_a_close_up_comes_from_as_long_ago_as_asked() -> None:
    # frame k is grey of level k
    squares = [np.full((64, 64, 3), k, np.uint8) for k in range(80)]
    made = temporal.cases(squares, (1, 30, 60), 4, "clean")
    assert len(made) == 20  # of the 20 frames that have one 60 frames before
    for case in made:
        now = round(float(case.truth.mean()) * 255)
        ago = [now - round(float(x.mean()) * 255) for x in case.exemplars]
        assert ago == [1, 30, 60]
    with pytest.raises(ValueError, match="60 frames are too few for an interval of 60"):
        temporal.cases(squares[:60], (60,), 4, "call")


def test_the_table_of_a_clip(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    write_recording(clip, pts=range(0, 40 * 3600, 3600), size=(128, 96), sounds=0)
    written = tmp_path / "table.json"
    argv = ["--clip", str(clip), "--weights", str(weights), "--size", "16", "--intervals", "1,30"]
    assert temporal.main([*argv, "--degradation", "call", "--json", str(written)]) == 0
    assert "10 frames, 16 px x4, call" in capsys.readouterr().out
    table = json.loads(written.read_text())
    assert [line["given"] for line in table] == [
        "bicubic",
        "none",
        "1 frames ago",
        "30 frames ago",
        "blank",
    ]
    assert all(5 < line["psnr"] < 100 for line in table)


def test_the_middle_square_is_taken(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    write_recording(clip, pts=range(0, 3 * 3600, 3600), size=(128, 96), sounds=0)
    squares = temporal.read_squares(clip, 32)
    capture = cv2.VideoCapture(str(clip))
    _, picture = capture.read()
    capture.release()
    height, width = picture.shape[:2]
    assert len(squares) == 3
    assert squares[0].shape == (32, 32, 3)
    left = (width - height) // 2
    middle = picture[:, left : left + height, ::-1].astype(float)
    assert abs(float(squares[0].mean()) - float(middle.mean())) < 6


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--clip", "nowhere.mp4"], "nowhere.mp4"),
        (["--size", "2048"], "are needed"),
        (["--intervals", "900"], "too few"),
        (["--scale", "8"], "enlarge 4 times, not 8"),
    ],
)
def test_refuses_with_one_line(
    argv: list[str], words: str, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    write_recording(clip, pts=range(0, 40 * 3600, 3600), size=(128, 96), sounds=0)
    given = [] if "--clip" in argv else ["--clip", str(clip)]
    assert temporal.main([*given, "--weights", str(weights), "--size", "16", *argv]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
