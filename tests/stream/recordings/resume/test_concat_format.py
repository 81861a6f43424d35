"""Concat: orientation, pixel aspect, colours and HDR of the segments are those of the whole
file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Frame
from stream.media.colour import Colour
from stream.media.sinks.encoder import CodecName, Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.media.video_format import Turn, VideoFormat
from stream.recordings.resume.concat import Concat
from tests.recording_files import picture
from tests.stream.media.sinks.test_encoder import LIGHT, lacking

CLOCK = Fraction(1, 25)
QUARTER = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_the_form_of_segments_stays(tmp_path: Path, ending: str, codec: CodecName) -> None:
    if lacking(codec):
        pytest.skip(f"this build of PyAV lacks the encoder of {codec}")
    if (codec, ending) == ("av1", ".mov"):
        pytest.skip("FFmpeg puts no AV1 into mov")
    # See test_encoder: Matroska does not tell the shape of pixels for AV1.
    aspect = Fraction(1) if (codec, ending) == ("av1", ".mkv") else Fraction(4, 3)
    video_format = VideoFormat(
        (64, 96),
        "yuv420p10le",
        Colour(9, 9, 16),
        (9, 9, 16, 1),
        Turn(True, flip_x=True),
        QUARTER,
        aspect,
        LIGHT,
    )
    segments = [tmp_path / f"{number}{ending}" for number in range(2)]
    for number, segment in enumerate(segments):
        sink = FileSink(
            segment,
            (96, 64),
            Fraction(25),
            CLOCK,
            video_format=video_format,
            encoding=Encoding(codec, 4),
        )
        for index in range(3 * number, 3 * number + 3):
            sink.send(Frame(picture((96, 64), index), index, index, CLOCK, 0))
        sink.close()
    Concat(segments).write(tmp_path / f"joined{ending}", Fraction(25), CLOCK, None)
    with FileSource(segments[0]) as one, FileSource(tmp_path / f"joined{ending}") as whole:
        assert whole.video_format == one.video_format
        assert (whole.width, whole.height) == (96, 64)
        assert whole.video_format.display_matrix == QUARTER
        assert whole.video_format.pixel_aspect == aspect
        assert whole.video_format.light is not None
        frames = list(whole)
    assert len(frames) == 6
    with av.open(str(tmp_path / f"joined{ending}")) as container:
        tag = container.streams.video[0].codec_context.codec_tag
        assert codec != "hevc" or ending == ".mkv" or tag == "hvc1"
    for first in (0, 3):
        assert np.median(np.abs(frames[first].image.astype(int) - frames[0].image)) <= 5
