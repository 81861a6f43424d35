"""TimeJumps: parts that were joined follow each other, pictures and sound alike."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest

from stream.cli.arguments import parse
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.time_jumps import TimeJumps
from stream.options import Options
from stream.recordings.job import run_recording
from tests.recording_files import packets_of, times_of, write_recording

STEADY = tuple(range(0, 90_000, 3600))
"""25 pictures in a second."""


def part(path: Path, begin_s: float) -> bytes:
    write_recording(path, pts=STEADY, options={"output_ts_offset": str(begin_s)})
    return path.read_bytes()


def enhanced(source: Path, target: Path, *more: str) -> tuple[list[str], list[str]]:
    """Returns: the notes, and what the check says."""
    options = parse(["--input", str(source), "--output", str(target), *more])
    assert isinstance(options, Options)
    with open_source(source) as opened:
        outcome = run_recording(opened, options)
    assert outcome.report["check"] is not None
    notes = [note.text for note in outcome.notes if not note.is_result]
    return notes, outcome.report["check"]["differences"]


@pytest.mark.parametrize("second_s", [0.0, 5000.0, 90_000.0])
@pytest.mark.parametrize("passes", ["1", "2"])
@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_joined_stream_is_as_long_as_its_parts(
    tmp_path: Path, second_s: float, passes: str, ending: str
) -> None:
    joined, target = tmp_path / "joined.ts", tmp_path / f"better.{ending}"
    joined.write_bytes(part(tmp_path / "a.ts", 0.0) + part(tmp_path / "b.ts", second_s))
    notes, differences = enhanced(joined, target, "--passes", passes)
    assert differences == []
    assert notes[0].startswith("joined.ts is joined: its times begin anew at 1 places")
    shown = times_of(target)
    assert len(shown) == 2 * len(STEADY)
    steps = [float(b - a) for a, b in pairwise(shown)]
    # The sound of the first part ends a little after its pictures.
    assert steps.pop(len(STEADY) - 1) == pytest.approx(0.04, abs=0.06)
    assert steps == pytest.approx([0.04] * len(steps), abs=0.0011)
    heard = [float(time) for _, time, _ in packets_of(target, "audio")]
    assert min(b - a for a, b in pairwise(heard)) > 0.015
    assert max(b - a for a, b in pairwise(heard)) < 0.06
    # Both begin together in the second part, as in the first.
    second = float(shown[len(STEADY)]) - min(heard[len(heard) // 2 :], key=lambda s: abs(
        s - float(shown[len(STEADY)])))  # fmt: skip
    assert abs(second) < 0.03


@pytest.mark.parametrize("passes", ["1", "2"])
@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_a_clock_that_overflows_costs_no_picture(tmp_path: Path, ending: str, passes: str) -> None:
    """33 bits of 1/90000 s; what comes before has times below 0."""
    source, target = tmp_path / "call.ts", tmp_path / f"better.{ending}"
    options = {"output_ts_offset": str(2**33 / 90_000 - 0.5), "mpegts_copyts": "1"}
    write_recording(source, pts=STEADY, options=options)
    assert times_of(source)[0] < 0
    assert enhanced(source, target, "--passes", passes) == ([], [])
    shown = times_of(target)
    assert len(shown) == len(STEADY)
    assert shown[0] >= 0


def test_pauses_and_single_wrong_times_are_no_jumps(tmp_path: Path) -> None:
    source = tmp_path / "a.ts"
    write_recording(source, pts=(0, 3600, 7200, 1_000_000, 1_003_600), sounds=0)
    with av.open(str(source)) as container:
        assert TimeJumps.of(source, container).count == 0
    other = tmp_path / "a.mkv"
    write_recording(other)
    with av.open(str(other)) as container:
        assert TimeJumps.of(other, container).count == 0


def test_one_wrong_time_begins_no_part(tmp_path: Path) -> None:
    """A packet that says that it is an hour and more later, between others."""
    source, target = tmp_path / "b.ts", tmp_path / "better.mkv"
    parts = []
    for number, (pts, begin_s) in enumerate(((STEADY, 0.0), ((0,), 5000.0), (STEADY, 1.04))):
        path = tmp_path / f"{number}.ts"
        options = {"output_ts_offset": str(begin_s)}
        write_recording(path, pts=pts, sounds=0, options=options)
        parts.append(path.read_bytes())
    source.write_bytes(b"".join(parts))
    with av.open(str(source)) as container:
        assert TimeJumps.of(source, container).count == 0
    enhanced(source, target)
    shown = times_of(target)
    assert len(shown) == 2 * len(STEADY) + 1
    steps = [float(b - a) for a, b in pairwise(shown)]
    assert steps == pytest.approx([0.04] * len(steps), abs=0.0011)
