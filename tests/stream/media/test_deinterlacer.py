"""Interlaced pictures become whole ones, as many, at the same times; others stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Image
from stream.media.deinterlacer import Deinterlacer
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sources.file_source import FileSource
from stream.media.video_format import VideoFormat

SIZE = (128, 96)
TIMES_MS = [0, 40, 80, 130, 170, 400, 440, 480]
INTERLACED_FLAG = 1 << 18
"""AV_CODEC_FLAG_INTERLACED_DCT."""


def moving_bar(index: int, *, fields: bool) -> Image:
    """A bright bar that moves from field to field, or from picture to picture."""
    grey = np.full((SIZE[1], SIZE[0]), 40, np.uint8)
    for field in (0, 1):
        left = (2 * index + field * fields) * 6
        grey[field::2, left : left + 20] = 220
    return np.repeat(grey[..., None], 3, axis=2)


def write(path: Path, *, fields: bool) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"crf": "4", "x264-params": "tff=1" if fields else "tff=0"}
        if fields:
            stream.codec_context.flags |= INTERLACED_FLAG
        for index, time in enumerate(TIMES_MS):
            rgb = av.VideoFrame.from_ndarray(moving_bar(index, fields=fields), format="rgb24")
            picture = rgb.reformat(format="yuv420p")
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def combs(image: Image) -> float:
    """How much a line differs from those above and below it."""
    lines = image.astype(np.float64)
    return float(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]).mean())


@pytest.mark.parametrize("open_it", [FileSource, open_source])
def test_fields_are_made_whole_and_nothing_is_lost(
    tmp_path: Path, open_it: Callable[[Path], FileSource]
) -> None:
    path = tmp_path / "fields.mkv"
    write(path, fields=True)
    with open_it(path) as source:
        frames = list(source)
        losses = source.losses
        assert not source.video_format.interlaced
    assert [round(1000 * frame.time_s) for frame in frames] == TIMES_MS
    assert losses == ("8 interlaced pictures were made whole (bwdif)",)
    before = combs(moving_bar(4, fields=True))
    assert max(combs(frame.image) for frame in frames) < 0.1 * before


def test_whole_pictures_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "whole.mkv"
    write(path, fields=False)
    with FileSource(path) as source:
        assert len(list(source)) == len(TIMES_MS)
        assert source.losses == ()
    frame = av.VideoFrame(*SIZE, format="yuv420p")
    deinterlacer = Deinterlacer()
    assert list(deinterlacer(frame)) == [frame]
    assert list(deinterlacer.flush()) == []


def test_another_size_on_the_way(tmp_path: Path) -> None:
    write(tmp_path / "fields.mkv", fields=True)
    deinterlacer, done = Deinterlacer(), 0
    with av.open(str(tmp_path / "fields.mkv")) as container:
        for frame in container.decode(video=0):
            done += len(list(deinterlacer(frame)))
    done += len(list(deinterlacer(av.VideoFrame(64, 48, format="yuv420p"))))
    done += len(list(deinterlacer.flush()))
    assert done == len(TIMES_MS) + 1


def test_what_lies_beside_the_pictures_is_named() -> None:
    frame = av.VideoFrame(*SIZE, format="yuv420p")
    found = VideoFormat.of(frame, sides={"SPHERICAL": b"", "DOVI_METADATA": b""}).unkept
    assert found == ("the mapping of 360° video", "the Dolby Vision metadata")
    assert VideoFormat.of(frame).unkept == ()
