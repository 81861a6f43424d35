"""Concat: segments become one file in which every picture keeps its time."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.media.sinks.encoder import Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.stream_copy import CopiedStreams
from stream.recordings.resume.concat import Concat
from tests.recording_files import packets_of, times_of, write_recording

FRAMES, SEGMENT = 23, 6
SIZE = (64, 48)


def times(step: int) -> list[int]:
    """A variable frame rate, with pictures one tick apart and long gaps."""
    chance = random.Random(3)
    found = [7 * step]
    while len(found) < FRAMES:
        found.append(found[-1] + chance.choice([1, step, step, step, 10 * step]))
    return found


def write(path: Path, pts: list[int], first: int, time_base: Fraction) -> Path:
    sink = FileSink(path, SIZE, Fraction(30), time_base, encoding=Encoding(repeatable=True))
    for index, one in enumerate(pts, first):
        image = np.random.default_rng(index).integers(0, 255, (SIZE[1], SIZE[0], 3))
        sink.send(Frame(image.astype(np.uint8), index, one, time_base, 0))
    sink.close()
    return path


def joined(folder: Path, ending: str, pts: list[int], time_base: Fraction) -> Path:
    segments = [
        write(folder / f"{first}{ending}", pts[first : first + SEGMENT], first, time_base)
        for first in range(0, FRAMES, SEGMENT)
    ]
    target = folder / f"joined{ending}"
    Concat(segments).write(target, Fraction(30), Fraction(1, 30), None)
    assert not list(folder.glob(".*"))
    return target


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("time_base", "step"),
    [(Fraction(1, 90_000), 3003), (Fraction(1001, 30_000), 1), (Fraction(1, 1000), 33)],
)
def test_times_and_tags_are_those_of_one_encoder(
    tmp_path: Path, ending: str, time_base: Fraction, step: int
) -> None:
    pts = times(step)
    target = joined(tmp_path, ending, pts, time_base)
    whole = write(tmp_path / f"whole{ending}", pts, 0, time_base)
    assert times_of(target) == times_of(whole)
    if ending != ".mkv":  # which counts in milliseconds
        assert times_of(target) == [one * time_base for one in pts]
    tags = []
    for path in (target, whole):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            tags.append((stream.time_base, stream.sample_aspect_ratio, context.colorspace))
            decoding = [one.dts for one in container.demux(stream) if one.dts is not None]
            assert decoding == sorted(decoding)
            keys = [frame.key_frame for frame in _decoded(path)]
            assert path == whole or [i for i, key in enumerate(keys) if key] == [0, 6, 12, 18]
    assert tags[0] == tags[1]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_same_segments_make_the_same_file_with_its_sound(suffix: str, tmp_path: Path) -> None:
    sound = tmp_path / "call.mp4"
    write_recording(sound, sounds=2)
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        segments = [write(folder / f"0{suffix}", times(3003), 0, Fraction(1, 90_000))]
        stream_copy = CopiedStreams(sound)
        join = Concat(segments)
        join.write(folder / f"out{suffix}", Fraction(30), Fraction(1, 30), stream_copy)
        stream_copy.close()
        assert join.packets_left_out == 0
        made.append(folder / f"out{suffix}")
    assert made[0].read_bytes() == made[1].read_bytes()
    copied, original = (sorted(packets_of(path, "audio")) for path in (made[0], sound))
    if suffix == ".mp4":
        assert copied == original
    # Matroska has times of its own
    assert [one[::2] for one in copied] == [one[::2] for one in original]


def _decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))
