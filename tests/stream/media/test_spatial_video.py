"""Spatial video, as phones and headsets record it: HEVC of two views, of which one is decoded.

No encoder here makes it. So the video parameter set of an ordinary stream is replaced by one of two
views (ITU-T H.265, F.7.3.2.1): FFmpeg then marks every picture with side data of type 29, which
PyAV does not know.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import av
import pytest

from stream.media.remux import copy_recording
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.video_format import VIEW_ID
from stream.recordings.picture_properties import PictureProperties
from stream.recordings.verify import check_recording
from tests.recording_files import picture, rewrite

SIZE, PICTURES = (64, 48), 6
PARAMETER_SET = 32
"""The type of a NAL unit."""


def golomb(number: int) -> str:
    """ue(v)."""
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def of_two_views(parameters: bytes) -> bytes:
    """A video parameter set, NAL unit with its header, that announces two views."""
    bits = "".join(f"{byte:08b}" for byte in parameters[2:].replace(b"\0\0\3", b"\0\0"))
    profile, level = bits[32:128], bits[120:128]
    said = [
        *("0000", "11", "000001", "000", "1", "1" * 16),  # two layers, one sub-layer
        *(profile, "1", golomb(4), golomb(2), golomb(0)),
        *("000001", golomb(1), "11", "0", "1"),  # layer sets; no timing; an extension
    ]
    start = "".join(said)
    start += "1" * (-len(start) % 8)
    said = [
        *(level, "0", "0100000000000000", "000", "0", "1"),  # layers differ in the view
        *("0001", "01"),  # names of the views, 0 and 1
        *("1", "0", "0", "1", golomb(1), golomb(0), "00", "11"),  # the second needs the first
        *(golomb(0), f"{SIZE[0]:016b}", f"{SIZE[1]:016b}", "1", "01", "0000", "0000", "0"),
        *("1", "0", "0", golomb(4), golomb(4), golomb(2), golomb(0)),
        *(golomb(0), "1", "00", golomb(0), "0", "0", "1"),
    ]
    whole = start + "".join(said)
    whole += "0" * (-len(whole) % 8)
    data = int(whole, 2).to_bytes(len(whole) // 8, "big")
    return parameters[:2] + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", data)


@pytest.fixture
def call(tmp_path: Path) -> Path:
    if "libx265" not in av.codecs_available:
        pytest.skip("this build of PyAV has no encoder libx265")
    plain, stereo, path = (tmp_path / name for name in ("plain.hevc", "two.hevc", "call.mov"))
    with av.open(str(plain), "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}
        for number in range(PICTURES):
            frame = av.VideoFrame.from_ndarray(picture(SIZE, number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    units = [one for one in re.split(rb"\x00\x00\x00?\x01", plain.read_bytes()) if one]
    units = [of_two_views(one) if one[0] >> 1 == PARAMETER_SET else one for one in units]
    stereo.write_bytes(b"".join(b"\0\0\0\1" + one for one in units))
    with av.open(str(stereo)) as source, av.open(str(path), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        packets = [one for one in source.demux(video=0) if one.size]
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = number * (packet.duration or 1)
            packet.stream = copy
            target.mux(packet)
    return path


def test_its_pictures_are_read(call: Path) -> None:
    with av.open(str(call)) as container:
        sides: Any = next(container.decode(video=0)).side_data
        kinds = [sides[number].type.value for number in range(len(sides))]
    assert VIEW_ID in kinds
    with open_source(call) as source:
        assert len(list(source)) == PICTURES
        assert source.note is None


@pytest.mark.parametrize("ending", ["mov", "mp4", "mkv"])
def test_a_copy_keeps_both_views_and_another_coding_says_what_is_missing(
    call: Path, ending: str
) -> None:
    copied, coded = (call.with_name(f"{name}.{ending}") for name in ("copied", "coded"))
    before = PictureProperties.read(call)
    copy_recording(call, copied)
    assert check_recording(call, copied, properties=before)["same"]
    rewrite(call, coded)
    found = check_recording(call, coded, properties=before)
    assert found["differences"] == ["the other eye's view of spatial video is missing"]
