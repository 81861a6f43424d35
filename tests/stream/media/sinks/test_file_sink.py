"""FileSink: exact times, untouched sound, right colours, and nothing half-written."""

from __future__ import annotations

import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines.files import part_path
from stream.errors import OutputError
from stream.frame import Frame, Image
from stream.media.colour import Colour
from stream.media.encoded_sound import EncodedSound
from stream.media.remux import copy_recording
from stream.media.sinks.file_sink import FileSink, check_output
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams
from stream.media.video_format import VideoFormat
from tests.recording_files import (
    CLOCK,
    VFR_PTS,
    packets_of,
    picture,
    rewrite,
    times_of,
    write_recording,
)


def process(source: Path, target: Path) -> None:
    """Source to sink with nothing in between, and every other track."""
    rewrite(source, target, CopiedStreams(source))


def frame_of(image: Image, index: int = 0) -> Frame:
    return Frame(image, index, index, Fraction(1, 25), 0)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_sound_is_identical_and_times_are_exact(tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / f"better.{ending}"
    write_recording(source, sounds=2)
    process(source, target)
    truth, copied = packets_of(source, "audio"), packets_of(target, "audio")
    shift, slack = Fraction(0), Fraction(0)
    if ending == "mkv":
        # Matroska counts in milliseconds; up to FFmpeg 8 from zero, and AAC in mp4 begins before.
        begins = min(one[1] for one in copied)
        shift = -min(one[1] for one in truth) if begins == 0 else Fraction(0)
        slack = Fraction(1, 1000)
    for number in (0, 1):
        ours = [one for one in copied if one[0] == number]
        theirs = [one for one in truth if one[0] == number]
        assert [one[2] for one in ours] == [one[2] for one in theirs]
        assert len(ours) > 40
        assert all(abs(a[1] - b[1] - shift) <= slack for a, b in zip(ours, theirs, strict=True))
    pairs = zip(times_of(target), VFR_PTS, strict=True)
    assert all(abs(time - pts * CLOCK - shift) <= slack for time, pts in pairs)
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "A call"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, target.name])


def test_a_matroska_recording_with_a_rough_clock(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mkv", tmp_path / "better.mp4"
    write_recording(source, pts=(0, 3003, 6006, 7500, 15_000, 24_024, 45_045))
    process(source, target)
    assert times_of(target) == times_of(source)
    assert [one[2] for one in packets_of(target, "audio")] == [
        one[2] for one in packets_of(source, "audio")
    ]


@pytest.mark.parametrize("start", [0, 1920])
def test_a_variable_frame_rate_lasts_to_its_last_picture(tmp_path: Path, start: int) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(source, pts=[start + pts for pts in VFR_PTS])
    process(source, target)
    assert times_of(target) == times_of(source)
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.duration > VFR_PTS[-1]
        assert stream.duration < VFR_PTS[-1] + 10_000


def test_subtitles_come_along_where_they_fit(tmp_path: Path) -> None:
    call, text, source = (tmp_path / name for name in ("call.mp4", "text.srt", "call.mkv"))
    write_recording(call)
    text.write_text("1\n00:00:00,100 --> 00:00:00,500\nHello\n", encoding="utf-8")
    with (
        av.open(str(call)) as pictures,
        av.open(str(text)) as words,
        av.open(str(source), "w") as container,
    ):
        streams = [*pictures.streams, *words.streams]
        copies = [container.add_stream_from_template(one, opaque=True) for one in streams]
        for recording, first in ((pictures, 0), (words, len(pictures.streams))):
            for packet in recording.demux():
                if packet.dts is not None:
                    packet.stream = copies[first + packet.stream.index]
                    container.mux(packet)
    process(source, tmp_path / "better.mkv")
    assert packets_of(tmp_path / "better.mkv", "subtitle") == packets_of(source, "subtitle")
    assert [one[2] for one in packets_of(source, "subtitle")] == [b"Hello"]
    process(source, tmp_path / "better.mp4")
    # In the words of mp4, with empty lines in between.
    spoken = [one[1:] for one in packets_of(tmp_path / "better.mp4", "subtitle") if one[2][2:]]
    assert spoken == [(packets_of(source, "subtitle")[0][1], b"\x00\x05Hello")]
    assert len(times_of(tmp_path / "better.mp4")) == len(VFR_PTS)


def test_sound_goes_on_beside_the_pictures(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(source, pts=range(0, 90_000, 3600))
    process(source, target)
    with av.open(str(target)) as container:
        places = {"video": list[int](), "audio": list[int]()}
        for packet in container.demux():
            if packet.pos is not None and packet.size:
                places[packet.stream.type].append(packet.pos)
    assert min(places["video"]) < max(places["audio"])
    assert min(places["audio"]) < max(places["video"])


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_survive_and_are_tagged(tmp_path: Path, matrix: int, full_range: bool) -> None:
    target = tmp_path / "better.mp4"
    colour = Colour(matrix, matrix, matrix, full_range)
    video_format = VideoFormat((64, 48), "yuv420p", colour, (2, 2, 2, 0))
    sink = FileSink(target, (64, 48), Fraction(25), Fraction(1, 25), video_format=video_format)
    for index in range(3):
        sink.send(frame_of(picture(), index))
    sink.close()
    with FileSource(target) as source:
        assert source.video_format.colour == colour
        image = next(iter(source)).image.astype(int)
    for y, x in ((12, 16), (12, 48), (36, 16), (36, 48)):
        assert np.abs(image[y, x] - picture()[y, x]).max() <= 3


def test_grey_is_not_shifted(tmp_path: Path) -> None:
    target = tmp_path / "better.mp4"
    ramp = np.repeat(np.arange(16, 240, dtype=np.uint8)[None, :, None], 32, axis=0).repeat(3, 2)
    sink = FileSink(target, (224, 32), Fraction(25), Fraction(1, 25))
    sink.send(frame_of(ramp))
    sink.close()
    with FileSource(target) as source:
        image = next(iter(source)).image
    assert abs(float(np.mean(image.astype(float) - ramp))) < 0.3


def test_odd_sizes_lose_their_last_line(tmp_path: Path) -> None:
    target = tmp_path / "better.mp4"
    sink = FileSink(target, (65, 49), Fraction(25), Fraction(1, 25))
    sink.send(frame_of(picture((65, 49))))
    sink.close()
    with FileSource(target) as source:
        assert (source.width, source.height) == (64, 48)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    video_format = VideoFormat(
        (64, 48), "yuv420p", Colour(), (2, 2, 2, 0), pixel_aspect=Fraction(15, 16)
    )
    sink = FileSink(first, (64, 48), Fraction(25), Fraction(1, 25), video_format=video_format)
    sink.send(frame_of(picture()))
    sink.close()
    process(first, second)
    with FileSource(second) as source:
        assert source.video_format.pixel_aspect == Fraction(15, 16)


def test_generated_sound_is_encoded(tmp_path: Path) -> None:
    target = tmp_path / "demo.mp4"
    tone = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000).astype(np.float32) * 0.5
    sink = FileSink(
        target, (64, 48), Fraction(25), Fraction(1, 25), stream_copy=EncodedSound(tone, 48_000)
    )
    for index in range(25):
        sink.send(frame_of(picture(), index))
    sink.close()
    with av.open(str(target)) as container:
        heard = np.concatenate([one.to_ndarray()[0] for one in container.decode(audio=0)])
    assert abs(len(heard) - 48_000) <= 2048
    spectrum = np.abs(np.fft.rfft(heard[4096 : 4096 + 24_000]))
    assert np.argmax(spectrum) == 220
    # FFmpeg's AAC overshoots here and there: the power tells the loudness.
    assert np.sqrt(np.mean(heard[4096:-4096] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_nothing_is_there_before_the_end_nor_after_an_abort(tmp_path: Path) -> None:
    target = tmp_path / "better.mp4"
    sink = FileSink(target, (64, 48), Fraction(25), Fraction(1, 25))
    assert list(tmp_path.iterdir()) == []
    sink.send(frame_of(picture()))
    assert list(tmp_path.iterdir()) == [part_path(target)]
    sink.abort()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_what_existed_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "better.mp4"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="--overwrite"):
        FileSink(target, (64, 48), Fraction(25), Fraction(1, 25))
    sink = FileSink(target, (64, 48), Fraction(25), Fraction(1, 25), overwrite=True)
    sink.send(frame_of(picture()))
    assert target.read_bytes() == b"old"
    sink.abort()
    assert target.read_bytes() == b"old"


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "better.mp4"
    sink = FileSink(target, (64, 48), Fraction(25), Fraction(1, 25))
    sink.send(frame_of(picture()))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("stream.media.sinks.file_sink.os.replace", full)
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        sink.close()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    write_recording(tmp_path / "call.mp4", pts=(0, 3600), sounds=0)
    (tmp_path / "folder.mp4").mkdir()
    for name, message in (
        ("nowhere/better.mp4", "does not exist"),
        ("better.xyz", "use .mp4"),
        ("better", "use .mp4"),
        ("folder.mp4", "is a folder"),
        ("call.mp4", "the input itself"),
    ):
        with pytest.raises(OutputError, match=message):
            check_output(tmp_path / name, True, tmp_path / "call.mp4")


def test_a_sink_without_frames_and_a_wrong_size(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "better.mp4", (64, 48), Fraction(25), Fraction(1, 25))
    with pytest.raises(ValueError, match="64, 48"):
        sink.send(frame_of(picture((32, 32))))
    with pytest.raises(OutputError, match="no picture"):
        sink.close()


def test_a_damaged_packet_of_sound_costs_only_itself(tmp_path: Path) -> None:
    source, target = tmp_path / "call.ts", tmp_path / "better.mp4"
    write_recording(source, pts=range(0, 90_000, 3600))
    data = bytearray(source.read_bytes())
    sounds = [place for place in range(len(data) - 1) if data[place : place + 2] == b"\xff\xf1"]
    assert len(sounds) > 40
    # The sync word of a frame of AAC somewhere in the middle.
    data[sounds[20]] = 0
    source.write_bytes(data)
    process(source, target)
    assert len(times_of(target)) == 25
    assert len(packets_of(target, "audio")) >= 30


def test_a_copy_is_identical(tmp_path: Path) -> None:
    source, same, other = (tmp_path / name for name in ("call.mp4", "same.mp4", "other.mkv"))
    write_recording(source, sounds=2, turn=90)
    copy_recording(source, same)
    assert same.read_bytes() == source.read_bytes()
    copy_recording(source, other)
    for number in (0, 1):
        assert [one[2] for one in packets_of(source, "audio") if one[0] == number] == [
            one[2] for one in packets_of(other, "audio") if one[0] == number
        ]
    with FileSource(source) as before, FileSource(other) as after:
        assert (before.width, before.height) == (after.width, after.height) == (48, 64)
        pairs = list(zip(before, after, strict=True))
    assert all(np.array_equal(a.image, b.image) for a, b in pairs)
    with pytest.raises(OutputError, match="--overwrite"):
        copy_recording(source, same)
    assert not list(tmp_path.glob(".*"))


def test_a_name_that_is_too_long_is_said_before_the_work(tmp_path: Path) -> None:
    check_output(tmp_path / f"{'a' * 251}.mp4", overwrite=False)
    with pytest.raises(OutputError, match="256 bytes is too long"):
        check_output(tmp_path / f"{'a' * 252}.mp4", overwrite=False)
