"""Recordings in one pass and in two, by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.media.sources.file_source import FileSource
from tests.fake_stages import run_main, use_fake_stages
from tests.recording_files import picture, times_of, write_recording


@pytest.fixture
def fake_stages(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces the real stages, which need models; see `use_fake_stages`."""
    return partial(use_fake_stages, monkeypatch)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.mp4"
    write_recording(path)
    return path


def refuse(frame: Frame) -> None:
    raise AssertionError("nobody should work on this")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_pass_streams(
    fake_stages: Callable[..., None], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_stages(first_pass=refuse)
    output, report = recording.with_name("better.mp4"), recording.with_name("report.json")
    arguments = ("--input", recording, "--output", output, "--report", report, "--passes", "1")
    assert run_main(*arguments) == 0
    written = json.loads(report.read_text(encoding="utf-8"))
    assert set(written["stages"]) == {"source", "enlarge", "write"}
    assert written["people"] is None
    said = capsys.readouterr()
    assert "people" not in said.out
    assert "of 2" not in said.err


def test_both_passes_see_the_same_frames(
    fake_stages: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a recording with damaged places, too; and what was wrong with it is said once."""
    path = tmp_path / "call.mp4"
    write_recording(path, pts=range(0, 360_000, 3600), size=(320, 240))
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    start = data.index(b"mdat") + 2000
    for place in rng.integers(start, len(data) // 2, 25):
        data[place] ^= 0xFF
    path.write_bytes(data)
    first: list[int] = []
    second: list[int] = []
    fake_stages(
        first_pass=lambda frame: first.append(frame.pts),
        meet=lambda frame: second.append(frame.pts),
    )
    assert run_main("--input", path, "--output", tmp_path / "better.mp4") == 0
    assert len(first) > 50
    assert first == second
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note")]
    assert len(notes) == 1
    assert "damaged" in notes[0]


@pytest.mark.parametrize("passes", [1, 2])
def test_a_damaged_recording_without_a_face(
    fake_stages: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    passes: int,
) -> None:
    path, output = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(path, pts=range(0, 180_000, 3600), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    fake_stages(face=False)
    assert run_main("--input", path, "--output", output, "--passes", passes) == 0
    said = capsys.readouterr()
    assert "passed through unchanged" in said.out
    assert "call.mp4 ends early" in said.err
    assert output.read_bytes() == path.read_bytes()


def test_the_second_pass_is_left_out_where_there_is_no_face(
    fake_stages: Callable[..., None], recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_stages(face=False, meet=refuse)
    output, report = recording.with_name("better.mp4"), recording.with_name("report.json")
    assert run_main("--input", recording, "--output", output, "--report", report) == 0
    assert output.read_bytes() == recording.read_bytes()
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["frames"], written["faces_seen"], written["people"]) == (10, 0, 0)
    assert "passed through unchanged" in capsys.readouterr().out
    assert names(recording.parent) == {"call.mp4", "better.mp4", "report.json"}


@pytest.mark.parametrize("passes", [1, 2])
def test_without_a_face_but_into_another_kind(
    fake_stages: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    passes: int,
) -> None:
    """VP8 has no place in mp4: the picture is converted after all."""
    with av.open(str(tmp_path / "call.mkv"), "w") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(picture((64, 48), index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    fake_stages(face=False)
    output = tmp_path / "better.mp4"
    given = ("--input", tmp_path / "call.mkv", "--output", output, "--passes", passes)
    assert run_main(*given) == 0
    assert "only converted" in capsys.readouterr().out
    assert len(times_of(output)) == 5


def test_a_canvas_that_is_too_large_is_said_before_the_work(
    fake_stages: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recording(tmp_path / "call.mp4", size=(2048, 16))
    fake_stages(first_pass=refuse)
    given = ("--input", tmp_path / "call.mp4", "--output", tmp_path / "better.mp4", "--scale", 3)
    assert run_main(*given) == 2
    assert "use --scale 2 or less" in capsys.readouterr().err


def test_the_output_is_as_long_as_the_recording(
    fake_stages: Callable[..., None], recording: Path
) -> None:
    fake_stages()
    output = recording.with_name("better.mp4")
    assert run_main("--input", recording, "--output", output) == 0
    with FileSource(output) as source:
        assert len(list(source)) == 10
