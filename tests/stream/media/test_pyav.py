"""Rationals of any release of PyAV are exact fractions, or None."""

from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from stream.media.pyav import exact
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sources.file_source import FileSource, open_recording
from tests.recording_files import picture, write_recording


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


def test_side_data_that_pyav_cannot_name_does_not_refuse_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "exif.avi"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x06\0\0\0\x1aMaker\0\0\0\0\0"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture(), format="rgb24")
            frame.pts = number
            for packet in stream.encode(frame.reformat(format="yuvj420p")):
                jpeg = bytes(packet)
                length = (len(exif) + 2).to_bytes(2, "big")
                with_exif = av.Packet(jpeg[:2] + b"\xff\xe1" + length + exif + jpeg[2:])
                with_exif.stream, with_exif.time_base = stream, packet.time_base
                with_exif.pts = with_exif.dts = number
                container.mux(with_exif)
    with open_source(path) as source:
        assert source.video_format.size == (64, 48)
        assert len(list(source)) == 3
        assert source.note is None


def test_pictures_go_when_nobody_has_them_without_the_collector(tmp_path: Path) -> None:
    """They are large and few objects: many were there before the collector had a reason to run."""
    write_recording(tmp_path / "call.mp4", sounds=0)
    gc.collect()
    gc.disable()
    try:
        with FileSource(tmp_path / "call.mp4") as source:
            there = [_pictures_there() for _ in source.decoded()]
    finally:
        gc.enable()
    assert len(there) >= 10
    assert max(there) <= 5


def _pictures_there() -> int:
    return sum(type(one) is av.VideoFrame for one in gc.get_objects())
