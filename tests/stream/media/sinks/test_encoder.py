"""Encoder: every codec in every container, HDR and 10 bits, and a card that is not there."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec import Codec
from av.error import FFmpegError

from stream.errors import OutputError
from stream.frame import Frame
from stream.media.colour import Colour
from stream.media.sinks import encoder
from stream.media.sinks.encoder import KINDS, CodecName, Encoding, check_encoding, choose_encoder
from stream.media.sinks.file_sink import FORMATS, FileSink
from stream.media.sources.file_source import FileSource
from stream.media.video_format import Light, VideoFormat
from tests.recording_files import picture, rewrite, times_of

CLOCK = Fraction(1, 25)
LIGHT = Light(
    mastering=(34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 50, 10_000_000),
    levels=(1000, 400),
)
ENDINGS = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv"}


def lacking(codec: str) -> bool:
    try:
        Codec(KINDS[codec].software, "w")
    except (FFmpegError, ValueError):
        return True
    return False


def write_hdr(path: Path, codec: CodecName = "hevc") -> None:
    """A few pictures of 10 bits, PQ, BT.2020, with the metadata of a display."""
    if lacking(codec):
        pytest.skip(f"this build of PyAV has no {KINDS[codec].software}")
    chosen = choose_encoder(Encoding(codec), "yuv420p10le", (64, 48), LIGHT)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(chosen.name, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.options = chosen.options
        context.colorspace, context.color_primaries, context.color_trc = 9, 9, 16
        context.color_range = 1
        for index in range(5):
            rgb = av.VideoFrame.from_ndarray(picture(step=index), format="rgb24")
            frame = rgb.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("codec", "container"),
    [(codec, container) for codec, kind in KINDS.items() for container in kind.containers],
)
@pytest.mark.parametrize("crf", [None, 0])
def test_every_codec_in_every_container(
    tmp_path: Path, codec: CodecName, container: str, crf: int | None
) -> None:
    if lacking(codec):
        pytest.skip(f"this build of PyAV has no {KINDS[codec].software}")
    target = tmp_path / f"better{ENDINGS[container]}"
    encoding = Encoding(codec, None if codec == "ffv1" else crf)
    assert check_encoding(encoding, container) is None
    sink = FileSink(target, (64, 48), Fraction(25), CLOCK, encoding=encoding)
    for index in range(4):
        sink.send(Frame(picture(step=index), index, index, CLOCK, 0))
    sink.close()
    with av.open(str(target)) as written:
        stream = written.streams.video[0]
        assert stream.codec_context.name.removeprefix("lib").startswith(
            {"av1": ("av1", "dav1d")}.get(codec, codec)
        )
        if codec == "hevc" and container != "matroska":
            assert stream.codec_context.codec_tag == "hvc1"
    assert times_of(target) == [index * CLOCK for index in range(4)]
    with FileSource(target) as source:
        for index, frame in enumerate(source):
            error = np.abs(frame.image.astype(int) - picture(step=index))
            assert np.median(error) <= 3


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "ffv1", "av1"])
def test_without_loss(tmp_path: Path, codec: CodecName) -> None:
    if lacking(codec):
        pytest.skip(f"this build of PyAV has no {KINDS[codec].software}")
    source, target = tmp_path / "call.mkv", tmp_path / "better.mkv"
    sink = FileSink(source, (64, 48), Fraction(25), CLOCK)
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)
        sink.send(Frame(noise, index, index, CLOCK, 0))
    sink.close()
    rewrite(source, target, encoding=Encoding(codec, None if codec == "ffv1" else 0))
    planes = []
    for path in (source, target):
        with av.open(str(path)) as container:
            planes.append([frame.to_ndarray() for frame in container.decode(video=0)])
    assert len(planes[1]) == 4
    assert all(np.array_equal(a, b) for a, b in zip(*planes, strict=True))


@pytest.mark.parametrize(
    ("codec", "ending"),
    [("auto", "mp4"), ("auto", "mkv"), ("hevc", "mov"), ("h264", "mp4"), ("av1", "mkv")],
)
def test_ten_bits_and_hdr_stay_what_they_are(tmp_path: Path, codec: CodecName, ending: str) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / f"better.{ending}"
    write_hdr(source)
    if codec == "av1" and lacking("av1"):
        pytest.skip("this build of PyAV has no libsvtav1")
    rewrite(source, target, encoding=Encoding(codec))
    with FileSource(source) as before, FileSource(target) as after:
        assert before.video_format.light == LIGHT
        assert after.video_format.format == "yuv420p10le"
        assert after.video_format.tags == before.video_format.tags == (9, 9, 16, 1)
        assert after.video_format.light is not None
        assert after.video_format.light.levels == LIGHT.levels
        assert after.video_format.light.mastering is not None
        assert LIGHT.mastering is not None
        # AV1 counts in binary fractions.
        pairs = zip(after.video_format.light.mastering, LIGHT.mastering, strict=True)
        assert all(abs(a - b) <= max(3, 2e-5 * b) for a, b in pairs)
        if codec == "auto":
            with av.open(str(target)) as container:
                assert container.streams.video[0].codec_context.name == "hevc"
        for old, new in zip(before, after, strict=True):
            assert np.median(np.abs(old.image.astype(int) - new.image)) <= 2


def test_the_format_is_the_nearest_that_the_encoder_has() -> None:
    for wanted, codec, planar in (
        ("yuv420p", "h264", "yuv420p"),
        ("yuv422p10le", "h264", "yuv422p10le"),
        ("yuv420p12le", "hevc", "yuv420p12le"),
        ("yuv420p12le", "h264", "yuv420p10le"),
        ("rgb24", "h264", "yuv444p"),
        ("yuva420p", "h264", "yuv420p"),
        ("yuyv422", "h264", "yuv422p"),
        ("yuv444p", "av1", "yuv420p"),
        ("pal8", "h264", "yuv444p"),
    ):
        if not lacking(codec):
            chosen = choose_encoder(Encoding(codec), wanted, (64, 48))  # type: ignore[arg-type]
            assert chosen.planar == planar, wanted


def test_pictures_in_other_formats_are_converted_truly(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mkv", tmp_path / "better.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        frame = av.VideoFrame.from_ndarray(picture(), format="rgb24").reformat(format="bgr0")
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    rewrite(source, target, encoding=Encoding("h264", 4))
    with FileSource(target) as after:
        assert after.video_format.format == "yuv444p"
        image = next(iter(after)).image
    assert np.abs(image.astype(int) - picture()).max() <= 4


@pytest.mark.parametrize("name", ["nvenc", "auto"])
def test_without_a_card_software_encodes_and_says_so(
    tmp_path: Path, name: encoder.EncoderName, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(encoder, "_try", refuse)
    for codec, software in (("h264", "libx264"), ("hevc", "libx265")):
        chosen = choose_encoder(Encoding(codec, None, name), "yuv420p", (64, 48))  # type: ignore[arg-type]
        assert chosen.name == software
        assert chosen.notes == (
            f"{codec}_nvenc cannot be used here (Operation not permitted); {software} encodes",
        )


def test_a_card_that_is_there_gets_its_format(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        Codec("hevc_nvenc", "w")
    except (FFmpegError, ValueError):
        pytest.skip("this build of PyAV has no hevc_nvenc")
    monkeypatch.setattr(encoder, "_try", lambda *_: None)
    chosen = choose_encoder(Encoding("hevc", 23, "nvenc"), "yuv420p10le", (64, 48), LIGHT)
    assert (chosen.name, chosen.planar, chosen.format) == ("hevc_nvenc", "yuv420p10le", "p010le")
    assert chosen.options["cq"] == "23"
    assert chosen.notes == ("hevc_nvenc does not write the HDR metadata",)


def test_an_encoder_that_this_build_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = encoder.Kind("libnothing", ("mp4",), 20, 51)
    monkeypatch.setitem(KINDS, "h264", kind)
    with pytest.raises(OutputError, match="no encoder libnothing; choose another --codec"):
        choose_encoder(Encoding("h264"), "yuv420p", (64, 48))


def test_a_codec_that_does_not_fit(tmp_path: Path) -> None:
    assert set(FORMATS.values()) == set(ENDINGS)
    with pytest.raises(OutputError, match=r"better\.mov: av1 does not fit"):
        FileSink(tmp_path / "better.mov", (64, 48), Fraction(25), CLOCK, encoding=Encoding("av1"))


@pytest.mark.parametrize(
    ("codec", "container"),
    [(codec, container) for codec, kind in KINDS.items() for container in kind.containers],
)
def test_the_shape_of_pixels(tmp_path: Path, codec: CodecName, container: str) -> None:
    if lacking(codec):
        pytest.skip(f"this build of PyAV has no {KINDS[codec].software}")
    target = tmp_path / f"better{ENDINGS[container]}"
    video_format = VideoFormat(
        (64, 48), "yuv420p", Colour(), (1, 1, 1, 1), pixel_aspect=Fraction(15, 16)
    )
    make = partial(
        FileSink,
        target,
        (64, 48),
        Fraction(25),
        CLOCK,
        video_format=video_format,
        encoding=Encoding(codec),
    )
    if container == "matroska" and codec in ("av1", "vp9", "ffv1"):
        with pytest.raises(OutputError, match=r"not square.*--codec h264 or hevc"):
            make()
        return
    sink = make()
    sink.send(Frame(picture(), 0, 0, CLOCK, 0))
    sink.close()
    with FileSource(target) as source:
        assert source.video_format.pixel_aspect == Fraction(15, 16)


def test_narrow_pictures_are_not_for_x265() -> None:
    with pytest.raises(OutputError, match=r"48 px wide .* use --codec h264"):
        choose_encoder(Encoding("hevc"), "yuv420p", (48, 64))
    assert choose_encoder(Encoding(), "yuv420p10le", (48, 64)).name == "libx264"


@pytest.mark.parametrize("codec", KINDS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_few_pictures_are_a_recording(tmp_path: Path, codec: CodecName, number: int) -> None:
    if lacking(codec):
        pytest.skip(f"this build of PyAV has no {KINDS[codec].software}")
    target = tmp_path / f"better{ENDINGS[KINDS[codec].containers[0]]}"
    for size in ((64, 80), (80, 48)):
        sink = FileSink(target, size, Fraction(25), CLOCK, encoding=Encoding(codec), overwrite=True)
        for index in range(number):
            sink.send(Frame(picture(size, index), index, 100 + index, CLOCK, 0))
        sink.close()
        assert times_of(target) == [(100 + index) * CLOCK for index in range(number)]


def test_two_pictures_after_a_longer_recording_are_written(tmp_path: Path) -> None:
    """x265 takes the delay of two pictures from memory that an earlier recording has left."""
    if lacking("hevc"):
        pytest.skip(f"this build of PyAV has no {KINDS['hevc'].software}")
    size = (64, 64)
    for number in (8, 2) * 20:
        target = tmp_path / "better.mp4"
        sink = FileSink(
            target, size, Fraction(25), CLOCK, encoding=Encoding("hevc"), overwrite=True
        )
        for index in range(number):
            sink.send(Frame(picture(size, index), index, 100 + index, CLOCK, 0))
        sink.close()
        assert times_of(target) == [(100 + index) * CLOCK for index in range(number)]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "note"),
    [
        ("h264", "yuva420p", "transparency is left out: libx264 is given none"),
        ("h264", "rgba", "transparency is left out: libx264 is given none"),
        ("av1", "yuv444p", "libsvtav1 has no yuv444p: the pixels are yuv420p"),
        ("h264", "yuv444p12le", "libx264 has no yuv444p12le: the pixels are yuv444p10le"),
        ("h264", "yuv440p", None),
        ("h264", "gray", None),
        ("h264", "rgb24", None),
        ("vp9", "yuv440p", None),
        ("ffv1", "yuv444p12le", None),
    ],
)
def test_pixels_that_the_encoder_does_not_have_are_named(
    codec: CodecName, pix_fmt: str, note: str | None
) -> None:
    chosen = choose_encoder(Encoding(codec), pix_fmt, (640, 360))
    assert chosen.notes == (() if note is None else (note,))
