"""Pictures with odd sides stay as they are where the encoder has them, else lose a line, said."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from stream.media.planes import Layout, planes_of
from stream.media.sinks.encoder import CodecName, Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from tests.stream.media.sinks.test_native import noise, with_face

ODD = [(95, 63), (93, 61), (96, 63), (95, 64)]
BOX = (67, 33, 91, 57)
"""Of a face whose patch reaches to the last columns and rows."""


def write_lossless(path: Path, size: tuple[int, int], pix_fmt: str) -> list[av.VideoFrame]:
    """Three pictures, and what they are."""
    pictures = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for index in range(3):
            rgb = av.VideoFrame.from_ndarray(noise(index, size), format="rgb24")
            picture = rgb.reformat(format=pix_fmt)
            picture.pts = index
            container.mux(stream.encode(picture))
            pictures.append(picture)
        container.mux(stream.encode(None))
    return pictures


def written(source: FileSource, target: Path, codec: CodecName, *, face: bool) -> tuple[str, ...]:
    """Through the sink; returns its notes."""
    sink = FileSink(
        target,
        (source.width, source.height),
        source.rate,
        source.time_base,
        video_format=source.video_format,
        encoding=Encoding(codec, None if codec == "ffv1" else 0),
    )
    for frame in source:
        sink.send(with_face(frame, (source.width, source.height), BOX) if face else frame)
    sink.close()
    return sink.notes


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p"])
@pytest.mark.parametrize("codec", ["ffv1", "h264", "vp9"])
def test_nothing_is_resampled_for_an_odd_side(
    tmp_path: Path, size: tuple[int, int], pix_fmt: str, codec: CodecName
) -> None:
    before = write_lossless(tmp_path / "odd.mkv", size, pix_fmt)
    with FileSource(tmp_path / "odd.mkv") as source:
        notes = written(source, tmp_path / "out.mkv", codec, face=False)
    even = codec == "h264" and pix_fmt == "yuv420p"
    kept = (size[0] // 2 * 2, size[1] // 2 * 2) if even else size
    assert notes == (
        (f"libx264 needs even sides here: {kept[0]}x{kept[1]} of {size[0]}x{size[1]} pixels "
         "are kept",) if even else ()
    )  # fmt: skip
    with av.open(str(tmp_path / "out.mkv")) as container:
        after = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in after} == {kept}
    for old, new in zip(before, after, strict=True):
        layout = Layout.of(pix_fmt)
        assert layout is not None
        for was, shown in zip(planes_of(old, layout), planes_of(new, layout), strict=True):
            assert np.array_equal(shown, was[: shown.shape[0], : shown.shape[1]])


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("codec", ["ffv1", "h264"])
def test_a_face_at_the_odd_edge(tmp_path: Path, size: tuple[int, int], codec: CodecName) -> None:
    write_lossless(tmp_path / "odd.mkv", size, "yuv420p")
    with FileSource(tmp_path / "odd.mkv") as source:
        written(source, tmp_path / "out.mkv", codec, face=True)
    with av.open(str(tmp_path / "odd.mkv")) as one, av.open(str(tmp_path / "out.mkv")) as other:
        pairs = zip(one.decode(video=0), other.decode(video=0), strict=True)
        for old, new in pairs:
            a, b = (
                np.asarray(memoryview(frame.planes[0])).reshape(-1, frame.planes[0].line_size)
                for frame in (old, new)
            )
            high, wide = min(old.height, new.height), min(old.width, new.width)
            changed = a[:high, :wide] != b[:high, :wide]
            assert changed[36:54, 70:88].mean() > 0.5
            assert not changed[:30].any()
            assert not changed[:, :64].any()
