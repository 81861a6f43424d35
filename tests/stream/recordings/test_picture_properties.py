"""What pictures are beside their content is carried on, or the check says that it is not."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from stream.media.colour import Colour
from stream.media.remux import copy_recording
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sinks.encoder import CodecName, Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.media.video_format import Light, Turn, VideoFormat
from stream.recordings.picture_properties import PictureProperties
from stream.recordings.verify import check_recording
from tests.recording_files import picture

SIZE = (64, 48)


def write(path: Path, pixels: str, place: str = "", codec: str = "ffv1") -> None:
    """A recording of three pictures; transparency, if any, is another one at every pixel."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        if codec == "libvpx":
            # Without it there is no transparency.
            stream.options = {"auto-alt-ref": "0"}
        if place:
            stream.codec_context.options = {"chroma_sample_location": place}
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture(SIZE, number), format="rgb24")
            frame = frame.reformat(format=pixels)
            if pixels.startswith("yuva"):
                deep = np.dtype(np.uint16 if "10" in pixels else np.uint8)
                plane = frame.planes[3]
                samples = np.arange(plane.buffer_size // deep.itemsize) * (number + 1) % 251
                plane.update(samples.astype(deep).tobytes())
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def written_anew(source_path: Path, target: Path, codec: CodecName) -> tuple[list[str], list[str]]:
    """Returns: what the check says, and what was noted."""
    with FileSource(source_path) as source:
        sink = FileSink(
            target, source.video_format.size, source.rate, source.time_base,
            video_format=source.video_format, encoding=Encoding(codec), overwrite=True,
        )  # fmt: skip
        for frame in source:
            sink.send(frame)
        sink.close()
        check = check_recording(source_path, target, source.intact, PictureProperties.of(source))
        return check["differences"], [*sink.notes, *source.losses]


def planes(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(plane) for frame in container.decode(video=0) for plane in frame.planes]


@pytest.mark.parametrize("pixels", ["yuva420p", "yuva422p", "yuva444p", "yuva444p10le"])
def test_transparency_is_carried_on_by_ffv1(tmp_path: Path, pixels: str) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write(source, pixels)
    assert written_anew(source, target, "ffv1") == ([], [])
    assert planes(target) == planes(source)


@pytest.mark.parametrize(("pixels", "codec"), [("bgra", "ffv1"), ("argb", "qtrle")])
def test_transparency_of_rgb_as_well(tmp_path: Path, pixels: str, codec: str) -> None:
    source = tmp_path / ("a.mkv" if codec == "ffv1" else "a.mov")
    write(source, pixels, codec=codec)
    assert written_anew(source, tmp_path / "b.mkv", "ffv1") == ([], [])
    with av.open(str(tmp_path / "b.mkv")) as container:
        assert container.streams.video[0].format.name == "yuva444p"


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_transparency_is_noted_and_found_missing(tmp_path: Path, codec: CodecName) -> None:
    source = tmp_path / "a.mkv"
    write(source, "yuva420p")
    differences, notes = written_anew(source, tmp_path / "b.mkv", codec)
    assert differences == ["the pictures are opaque"]
    assert [note[:28] for note in notes] == ["transparency is left out: li"]


@pytest.mark.parametrize("place", ["left", "topleft", "center", "bottom"])
@pytest.mark.parametrize(
    ("codec", "ending"),
    [("h264", "mp4"), ("h264", "mkv"), ("hevc", "mov"), ("vp9", "mkv"), ("ffv1", "mkv")],
)
def test_the_place_of_colours_is_carried_on(
    tmp_path: Path, place: str, codec: CodecName, ending: str
) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / f"b.{ending}"
    write(source, "yuv420p", place, "libx264")
    with FileSource(source) as opened:
        assert opened.video_format.chroma == place
    differences, _ = written_anew(source, target, codec)
    if place == "bottom" and codec in ("vp9", "ffv1"):
        # Matroska has no word for it.
        assert differences == ["colour samples at the center instead of bottom"]
        return
    assert differences == []
    with FileSource(target) as opened:
        assert opened.video_format.chroma == place


def test_of_vp9_in_mp4_ffmpeg_does_not_read_the_place(tmp_path: Path) -> None:
    source, box = tmp_path / "a.mp4", []
    for place in ("left", "topleft"):
        write(source, "yuv420p", place, "libx264")
        assert written_anew(source, tmp_path / "b.mp4", "vp9") == ([], [])
        data = (tmp_path / "b.mp4").read_bytes()
        at = data.index(b"vpcC") + 4
        # Version and flags, profile, level; then four bits of depth, three of chroma.
        box.append(data[at + 6] >> 1 & 7)
    assert box == [0, 1]


@pytest.mark.parametrize("codec", ["h264", "vp9", "ffv1"])
@pytest.mark.parametrize("pixels", ["yuv440p", "yuv411p", "bgr0", "ya8", "nv21"])
def test_no_colours_are_lost(tmp_path: Path, pixels: str, codec: CodecName) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write(source, pixels, codec="rawvideo" if pixels == "nv21" else "ffv1")
    if pixels == "nv21":
        source = source.rename(tmp_path / "a.mkv")
    differences, notes = written_anew(source, target, codec)
    opaque = pixels == "ya8" and codec != "ffv1"
    assert differences == (["the pictures are opaque"] if opaque else [])
    assert len(notes) == opaque


@pytest.mark.parametrize("codec", ["h264", "vp9", "ffv1", "hevc"])
@pytest.mark.parametrize("pixels", ["gray", "gray10le"])
def test_silent_grey_stays_as_bright(tmp_path: Path, pixels: str, codec: CodecName) -> None:
    """FFmpeg takes it for full range, and YUV that says nothing for limited."""
    source, target = tmp_path / "a.mkv", tmp_path / "b.mkv"
    write(source, pixels)
    written_anew(source, target, codec)
    shown = []
    for path in (source, target):
        with FileSource(path) as opened:
            shown.append(next(iter(opened)).image.astype(float))
    assert np.abs(shown[0] - shown[1]).mean() < 1.0
    assert np.ptp(shown[0]) > 50


def test_light_that_is_unknown_is_none() -> None:
    """0 as MaxCLL and MaxFALL (CTA-861.3)."""
    frame = av.VideoFrame(*SIZE, format="yuv420p10le")
    for levels, known in (((0, 0), None), ((1000, 0), Light(None, (1000, 0)))):
        sides = {"CONTENT_LIGHT_LEVEL": struct.pack("=2I", *levels)}
        assert VideoFormat.of(frame, sides=sides).light == known


def test_what_is_lost_is_said() -> None:
    light = Light(None, (1000, 400))
    full = VideoFormat(
        SIZE, "yuv444p10le", Colour(), (1, 1, 1, 1), turn=Turn(flip_x=True),
        pixel_aspect=Fraction(4, 3), light=light, stereo="left_right",
    )  # fmt: skip
    bare = VideoFormat(SIZE, "yuv420p", Colour(), (1, 1, 1, 1))
    before, after = (
        PictureProperties(full, interlaced=True),
        PictureProperties(bare, interlaced=False),
    )
    assert before.lost_in(before) == after.lost_in(after) == []
    assert before.lost_in(after) == [
        "the pictures are whole, no fields",
        "the samples have 8 bits instead of 10",
        "fewer colour samples: yuv420p instead of yuv444p10le",
        "the HDR metadata is missing",
        "the stereo mapping is missing",
        "the pictures are turned another way",
        "the pixels are 1 wide, not 4/3",
    ]


def test_a_file_without_a_picture_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"nothing")
    assert PictureProperties.read(tmp_path / "a.mkv") is None


@pytest.mark.parametrize("mode", ["left_right", "top_bottom", "right_left"])
@pytest.mark.parametrize(("codec", "ending"), [("h264", "mkv"), ("vp9", "mkv"), ("h264", "mp4")])
def test_two_views_are_told_apart_where_the_file_can(
    tmp_path: Path, mode: str, codec: CodecName, ending: str
) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mkv", "b.mkv", f"c.{ending}"))
    write(plain, "yuv420p", codec="libx264")
    with av.open(str(plain)) as old, av.open(str(source), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        copy.metadata["stereo_mode"] = mode
        for packet in old.demux():
            if packet.size:
                packet.stream = copy
                new.mux(packet)
    with FileSource(source) as opened:
        assert opened.video_format.stereo == mode
    differences, notes = written_anew(source, target, codec)
    if ending == "mp4" and mode == "right_left":
        assert differences == ["the stereo mapping is missing"]
        assert notes == ["left out, libx264 does not write it: the stereo mapping"]
    else:
        assert (differences, notes) == ([], [])


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_transparency_that_is_not_decoded_is_noted_and_copied(tmp_path: Path, codec: str) -> None:
    """VP8 and VP9 have it in pictures of their own, beside the others."""
    source, target, copy = (tmp_path / name for name in ("a.webm", "b.mp4", "c.mkv"))
    write(source, "yuva420p", codec=codec)
    differences, notes = written_anew(source, target, "h264")
    assert notes == ["left out, no encoder writes it: transparency"]
    assert differences == ["transparency is missing"]
    with open_source(source) as opened:
        assert opened.losses == tuple(notes)
    assert copy_recording(source, copy) == ()
    properties = PictureProperties.read(source)
    assert check_recording(source, copy, properties=properties)["differences"] == []
