"""What an output cannot show as it was: changes on the way, a beginning that is not decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from stream.media.sandbox.sandboxed_source import open_source
from tests.recording_files import picture, write_recording

SIZE = (64, 48)


def write(
    path: Path,
    size: tuple[int, int] = SIZE,
    pixels: str = "yuv420p",
    aspect: int = 1,
    turn: int = 0,
    first: int = 0,
) -> bytes:
    """Eight pictures of H.264 in a transport stream. Args: first: the number of the first."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.options = {"preset": "ultrafast", "bf": "0"}
        stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        insert = f"h264_metadata=rotate={turn}:display_orientation=insert" if turn else "null"
        turned = BitStreamFilterContext(insert, stream)
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(picture(size, number), format="rgb24")
            frame.pts = first + number
            for packet in stream.encode(frame.reformat(format=pixels)):
                container.mux(turned.filter(packet))
        for packet in stream.encode(None):
            container.mux(turned.filter(packet))
    return path.read_bytes()


def told(path: Path) -> tuple[Sequence[str], str | None]:
    """What is lost of a recording, and what was wrong with it."""
    with open_source(path) as source:
        for _ in source:
            pass
        return source.losses, source.note


@pytest.mark.parametrize(
    ("second", "loss"),
    [
        ({}, None),
        ({"size": (96, 64)}, "8 pictures of another size than the first were scaled"),
        ({"pixels": "yuv444p"}, "8 pictures with other pixels than the first were converted"),
        ({"aspect": 2}, "left out: later pictures say that their pixels have another shape"),
        ({"turn": 90}, "left out: later pictures say that they are turned another way"),
    ],
)
def test_what_is_otherwise_later_is_said(
    tmp_path: Path, second: dict[str, object], loss: str | None
) -> None:
    path, make = tmp_path / "call.ts", tmp_path / "part.ts"
    write_second: Callable[..., bytes] = write
    path.write_bytes(write(make) + write_second(make, first=8, **second))
    assert told(path)[0] == (() if loss is None else (loss,))


def test_one_that_stays_turned_is_none_that_changes(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, turn=90)
    assert told(path) == ((), None)


def test_a_beginning_without_a_key_picture_is_said(tmp_path: Path) -> None:
    """The first two of twenty pictures are missing; the ninth is the next key picture."""
    whole, path = tmp_path / "whole.mkv", tmp_path / "call.mkv"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "bf": "0", "g": "8"}
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(picture(step=number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    with av.open(str(whole)) as old, av.open(str(path), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(old.demux(old.streams.video[0])):
            if packet.size and number >= 2:
                packet.stream = copy
                new.mux(packet)
    assert told(path) == ((), "call.mkv begins with 0.24 s that need pictures before them")


def test_a_last_picture_that_was_cut_off_is_said(tmp_path: Path) -> None:
    path = tmp_path / "call.flv"
    write_recording(path, pts=range(0, 90_000, 3600), sounds=0)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 80])
    with open_source(path) as source:
        count = len(list(source))
        assert (count, source.note) in ((25, None), (24, "call.flv has 1 damaged places"))
        assert (source.intact is None) == (count == 24)
