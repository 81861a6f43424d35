"""FileSource: what can be read is read, upright, in the right colours, at the right time."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image

from stream.errors import InputError
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sources.file_source import FileSource
from stream.media.sources.kinds import FORMATS, STILL
from tests.recording_files import CLOCK, VFR_PTS, picture, write_recording


def test_times_and_pictures_of_a_variable_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path)
    with FileSource(path) as source:
        assert (source.width, source.height, source.live) == (64, 48, False)
        assert source.frames_total == len(VFR_PTS)
        assert source.time_base == CLOCK
        frames = list(source)
        assert source.note is None
    assert [frame.pts for frame in frames] == list(VFR_PTS)
    assert [frame.index for frame in frames] == list(range(len(VFR_PTS)))
    for frame in frames:
        truth = picture(step=frame.index).astype(int)
        # The middle of each quarter: chroma bleeds over the borders.
        error = np.abs(frame.image.astype(int) - truth)[8:-8, 8:-8]
        assert np.median(error) <= 2
        assert frame.image.dtype == np.uint8


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_the_matrix_is_honoured(tmp_path: Path, matrix: int, pix_fmt: str) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, matrix=matrix, pix_fmt=pix_fmt, pts=(0, 3600), sounds=0)
    with FileSource(path) as source:
        image = next(iter(source)).image.astype(int)
        assert source.video_format.colour.matrix == matrix
    for y, x in ((12, 16), (12, 48), (36, 16), (36, 48)):
        assert np.abs(image[y, x] - picture()[y, x]).max() <= 4


# FFmpeg's angle is counter-clockwise; -90 is the usual phone held upright.
@pytest.mark.parametrize(
    ("turn", "mirror"), [(90, False), (-90, False), (180, False), (0, True), (90, True)]
)
def test_pictures_come_upright(tmp_path: Path, turn: int, mirror: bool) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, turn=turn, mirror=mirror, pts=(0, 3600))
    # A display matrix turns first and mirrors then.
    expected = np.rot90(picture(), turn // 90)
    expected = expected[:, ::-1] if mirror else expected
    with FileSource(path) as source:
        image = next(iter(source)).image
        assert image.shape == expected.shape == (source.height, source.width, 3)
    assert np.median(np.abs(image.astype(int) - expected)) <= 4
    assert np.mean(np.abs(image.astype(int) - expected)) <= 12


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, cover=True)
    with FileSource(path) as source:
        assert (source.width, source.height) == (64, 48)
        assert len(list(source)) == len(VFR_PTS)


def test_a_recording_that_ends_early_is_read_to_where_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=range(0, 360_000, 3600), sounds=0, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with FileSource(path) as source:
        frames = list(source)
        assert source.frames_total == 100
        assert 10 < len(frames) < 95
        assert source.note is not None
        assert "ends early" in source.note
        assert f"{len(frames)} of about 100" in source.note


def test_damage_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=range(0, 360_000, 3600), sounds=0)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)
    with FileSource(path) as source:
        frames = list(source)
    assert len(frames) >= 60
    assert all(a.pts < b.pts for a, b in pairwise(frames))
    assert frames[-1].time_s == pytest.approx(99 / 25, abs=0.05)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"Dear diary,\n" * 100, "is not a recording"),
        ("list.mp4", b"ffconcat version 1.0\nfile other.mp4\n", "is not a recording"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nother.mp4\n", "is not a recording"),
        ("zeros.mp4", bytes(5000), "is not a recording"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    write_recording(tmp_path / "other.mp4", pts=(0, 3600), sounds=0)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        FileSource(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_recording_without_its_index(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="its end is missing"):
        FileSource(path)


def test_missing_folder_and_sound_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        FileSource(tmp_path / "nothing.mp4")
    with pytest.raises(InputError, match="does not exist"):
        FileSource(tmp_path / f"{'a' * 300}.mp4")
    with pytest.raises(InputError, match="is not a file"):
        FileSource(tmp_path)
    write_recording(tmp_path / "sound.m4a", video=False)
    with pytest.raises(InputError, match="no moving pictures"):
        FileSource(tmp_path / "sound.m4a")


def test_huge_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, sounds=0)
    monkeypatch.setattr("stream.media.sources.file_source.MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(InputError, match="64x48"):
        FileSource(path)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=(0, 3600), sounds=0)
    with FileSource(path) as source:
        assert source.video_format.pixel_aspect == Fraction(1)


def test_packets_without_end_and_without_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "call.mkv", pts=(0, 3600), sounds=0)
    with av.open(str(tmp_path / "call.mkv")) as call, av.open(str(tmp_path / "e.mkv"), "w") as bad:
        stream = bad.add_stream_from_template(call.streams.video[0])
        for packet in call.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                bad.mux(packet)
        for number in range(30):
            junk = av.Packet(b"\0")
            junk.pts = junk.dts = 1000 + number
            junk.stream = stream
            bad.mux(junk)
    with FileSource(tmp_path / "e.mkv") as source:
        assert len(list(source)) == 2
    monkeypatch.setattr("stream.media.sources.file_source.MAX_BARREN", 20)
    with FileSource(tmp_path / "e.mkv") as source, pytest.raises(InputError, match="in a row"):
        list(source)


@pytest.mark.parametrize(("limit", "value"), [("MAX_APART", 15_000), ("MAX_TIME_S", 0.5)])
def test_times_that_nothing_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    write_recording(tmp_path / "call.mp4", sounds=0)
    monkeypatch.setattr(f"stream.media.sources.file_source.{limit}", value)
    with (
        FileSource(tmp_path / "call.mp4") as source,
        pytest.raises(InputError, match=r"at 0\.\d+ s; its times are damaged"),
    ):
        list(source)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("call.mxf", "mpeg2video"),
        ("call.dv", "dvvideo"),
        ("call.rm", "rv20"),
        ("call.wtv", "mpeg2video"),
        ("call.y4m", "wrapped_avframe"),
        ("call.nut", "ffv1"),
        ("call.gif", "gif"),
        ("call.vob", "mpeg2video"),
        ("call.swf", "flv"),
    ],
)
def test_other_containers_are_opened(tmp_path: Path, name: str, codec: str) -> None:
    size = (720, 576) if codec == "dvvideo" else (176, 144)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = {"gif": "rgb8"}.get(codec, "yuv420p")
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(picture(size, 8 * number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    with FileSource(path) as source:
        assert (source.width, source.height) == size
        assert len(list(source)) == 8


def test_kinds_that_open_other_files_stay_closed() -> None:
    known = {name for names in av.formats_available for name in names.split(",")}
    opened = {*FORMATS.split(","), *STILL.split(",")}
    # FFmpeg 9 has gained it.
    assert opened - {"webp_anim"} <= known
    assert not opened & {
        *("hls", "dash", "concat", "concatf", "imf", "image2", "image2pipe", "sdp", "rtsp", "rtp"),
        *("sap", "lavfi", "mlv", "vobsub", "webm_dash_manifest", "tty", "bin", "xbin", "rawvideo"),
        *("video4linux2", "v4l2", "x11grab", "fbdev", "kmsgrab", "alsa", "oss", "pulse", "dshow"),
    }


@pytest.mark.parametrize(
    "ending", [".png", ".jpg", ".bmp", ".tif", ".webp", pytest.param(".gif", id="moving gif")]
)
def test_single_pictures_are_named_as_such(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    frames = [Image.fromarray(picture(step=step)) for step in (0, 60)]
    if ending == ".gif":
        frames[0].save(path, save_all=True, append_images=frames[1:])
        with open_source(path) as source:
            assert len(list(source)) == 2
        return
    frames[0].save(path)
    with pytest.raises(InputError, match=r"^[^\n]+ is a picture and no recording; give a file"):
        open_source(path)


def test_moving_webp_is_a_recording_where_ffmpeg_decodes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    frames = [Image.fromarray(picture(step=step)) for step in (0, 60, 120)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200)
    if "webp_anim" not in av.formats_available:
        with pytest.raises(InputError, match="is a picture and no recording"):
            open_source(path)
        return
    with open_source(path) as source:
        assert len(list(source)) == 3


@pytest.mark.parametrize("opener", [FileSource, open_source])
def test_an_encrypted_recording_is_named_as_such(
    tmp_path: Path, opener: Callable[[Path], FileSource]
) -> None:
    path, key = tmp_path / "call.mp4", "00112233445566778899aabbccddeeff"
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": key,
        "encryption_kid": key,
    }
    write_recording(path, sounds=0, options=options)
    with pytest.raises(InputError, match="is encrypted"):
        opener(path)
