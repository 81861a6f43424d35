"""The last picture is shown as long as in the input, whatever was decoded before it; two fields are
counted as one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from stream.media.announced_end import is_cut_off
from stream.media.picture_comparison import first_difference
from stream.media.remux import copy_recording
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.shown_times import ShownTimes
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams
from stream.recordings.verify import check_recording
from tests.field_coded import field_coded
from tests.recording_files import CLOCK, picture

STEPS = {
    "constant": [3600] * 20,
    "first one long": [90_000, *[3600] * 19],
    "last one long": [*[3600] * 19, 180_000],
    "both": [*[90_000] * 3, *[3600] * 10, 45_000],
    "faster": [*[18_000] * 10, *[1500] * 10],
    "slower": [*[1500] * 10, *[18_000] * 10],
    "irregular": [900, 19_000, 1500, 1500, 7000, 20_000, 901, 4000, 4000, 12_345, 1000, 16_000],
    "two": [3600, 9000],
    "one": [9000],
}
"""How long each picture is shown, 1/90000 s."""
SIZE = (64, 48)


def write(path: Path, steps: Sequence[int], sound_s: float = 0.0) -> None:
    """A recording whose packets say how long each picture is shown, as FFmpeg's programs write it,
    with pictures that are decoded before others."""
    shown = dict(zip([0, *accumulate(steps)], steps, strict=False))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = CLOCK
        stream.codec_context.options = {"bf": "3", "b-adapt": "0"}
        tone = container.add_stream("aac", rate=48_000, layout="mono") if sound_s else None
        for index, pts in enumerate([*shown, None]):
            frame = None
            if pts is not None:
                frame = av.VideoFrame.from_ndarray(picture(SIZE, index), format="rgb24")
                frame = frame.reformat(format="yuv420p")
                frame.pts, frame.time_base = pts, CLOCK
            for packet in stream.encode(frame):
                assert packet.pts is not None
                packet.duration = shown[packet.pts]
                container.mux(packet)
        if tone is not None:
            for index in range(round(sound_s * 48_000 / 1024)):
                silence = np.zeros((1, 1024), np.float32)
                heard = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 48_000, 1024 * index
                heard.time_base = Fraction(1, 48_000)
                container.mux(tone.encode(heard))
            container.mux(tone.encode(None))


def write_plain(path: Path, codec: str, pictures: int) -> None:
    """A recording of 15 pictures a second, each decoded when it is shown."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=15)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"lag-in-frames": "0"} if codec == "libvpx" else {"bf": "0"}
        for index in range(pictures):
            frame = av.VideoFrame.from_ndarray(picture(SIZE, 9 * index), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 15)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def last_ms(path: Path, opened: Callable[[Path], FileSource] = FileSource) -> float:
    """How long the last picture is shown."""
    with opened(path) as source:
        *_, last = source
        assert last.native is not None
        return float(1000 * last.native.duration * source.time_base)


def written_anew(source_path: Path, target: Path) -> int | None:
    """Encode again. Returns: how many pictures were decoded."""
    with FileSource(source_path) as source:
        copied = CopiedStreams(source_path)
        sink = FileSink(
            target, source.video_format.size, source.rate, source.time_base,
            video_format=source.video_format, stream_copy=copied, overwrite=True,
        )  # fmt: skip
        for frame in source:
            sink.send(frame)
        sink.close()
        return source.intact


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize(
    ("ending", "sound_s"), [("mp4", 0.0), ("mp4", 6.0), ("mov", 0.3), ("mkv", 0.0), ("mkv", 6.0)]
)
def test_it_is_shown_as_long(tmp_path: Path, kind: str, ending: str, sound_s: float) -> None:
    source, steps = tmp_path / f"call.{ending}", STEPS[kind]
    write(source, steps, sound_s)
    # mkv counts in ms, and the edit lists of FFmpeg's mp4 as well.
    assert last_ms(source) == pytest.approx(steps[-1] / 90, abs=1.1)
    for after in ("mp4", "mkv"):
        target = tmp_path / f"better.{after}"
        written_anew(source, target)
        assert last_ms(target) == pytest.approx(steps[-1] / 90, abs=1.1)
        assert check_recording(source, target)["differences"] == []


@pytest.mark.parametrize("kind", ["last one long", "both"])
def test_the_sandbox_tells_it(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "call.mp4", STEPS[kind])
    expected = pytest.approx(STEPS[kind][-1] / 90, abs=1.1)
    assert last_ms(tmp_path / "call.mp4", open_source) == expected


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize(
    ("before", "after"), [("mkv", "mp4"), ("mp4", "mkv"), ("mp4", "mov"), ("mov", "mp4")]
)
def test_a_copy_shows_it_as_long(tmp_path: Path, kind: str, before: str, after: str) -> None:
    source, target = tmp_path / f"call.{before}", tmp_path / f"copy.{after}"
    write(source, STEPS[kind], 0.3)
    copy_recording(source, target)
    assert last_ms(target) == pytest.approx(STEPS[kind][-1] / 90, abs=1.1)
    assert check_recording(source, target)["differences"] == []


@pytest.mark.parametrize("codec", ["libvpx", "libx264"])
@pytest.mark.parametrize("together", [(2, 5, 8, 11), (1, 2, 3), (10, 11)])
@pytest.mark.parametrize("after", ["mkv", "mp4"])
def test_pictures_at_one_time_are_copied_and_last_as_long(
    tmp_path: Path, codec: str, together: tuple[int, ...], after: str
) -> None:
    """Chrome's MediaRecorder writes now and then two pictures at one time, the last as well."""
    if (codec, after) == ("libvpx", "mp4"):
        pytest.skip("mp4 does not hold VP8")
    plain, source, target = (tmp_path / f"{name}" for name in ("a.mkv", "b.mkv", f"c.{after}"))
    write_plain(plain, codec, 12)
    with av.open(str(plain)) as first, av.open(str(source), "w") as container:
        copy = container.add_stream_from_template(first.streams.video[0])
        last = 0
        for index, packet in enumerate(one for one in first.demux() if one.size):
            assert packet.pts is not None
            packet.pts = packet.dts = last = last if index in together else packet.pts
            packet.duration = 300 if index == 11 else packet.duration
            packet.stream = copy
            container.mux(packet)
    copy_recording(source, target)
    check = check_recording(source, target)
    assert check["differences"] == []
    assert check["pictures"] == (12, 12)
    assert check["duration_s"][1] == pytest.approx((last + 300) / 1000, abs=0.002)
    assert first_difference(source, target) is None


def test_a_copy_of_further_pictures_shows_them_as_long(tmp_path: Path) -> None:
    slow, both, target = (tmp_path / name for name in ("slow.mp4", "both.mp4", "better.mkv"))
    write(slow, STEPS["last one long"])
    times = (ShownTimes.of(slow, {0})[0], ShownTimes.of(slow, {0})[0])
    with av.open(str(slow)) as first, av.open(str(slow)) as again, av.open(str(both), "w") as new:
        copies = [new.add_stream_from_template(one.streams.video[0]) for one in (first, again)]
        for container, copy, shown in zip((first, again), copies, times, strict=True):
            for packet in container.demux():
                if packet.size:
                    shown(packet, packet.pts)
                    packet.stream = copy
                    new.mux(packet)
    written_anew(both, target)
    with av.open(str(target)) as better:
        tagged = [stream.metadata["DURATION"] for stream in better.streams.video]
    assert tagged == ["00:00:02.760000000"] * 2


def test_of_pictures_without_times_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "raw.h264"
    path.write_bytes(field_coded(4))
    assert ShownTimes.of(path, {0}) == {}
    assert ShownTimes.of(path, set()) == {}


def test_one_that_is_shown_less_long_is_said(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mkv", tmp_path / "short.mp4"
    write(source, STEPS["last one long"], 6.0)
    write(target, [*STEPS["last one long"][:-1], 90_000], 6.0)
    assert check_recording(source, target)["differences"] == ["the pictures last 1000.0 ms less"]


def test_a_long_last_picture_is_no_early_end(tmp_path: Path) -> None:
    path = tmp_path / "call.mkv"
    write(path, STEPS["last one long"])
    with FileSource(path) as source:
        assert len(list(source)) == 20
        assert source.note is None
    path.write_bytes(path.read_bytes()[:-100])
    with FileSource(path) as source:
        assert list(source)
        assert "ends early" in str(source.note)


@pytest.mark.parametrize("opened", [FileSource, open_source])
def test_one_with_sound_that_is_cut_off_ends_early(
    tmp_path: Path, opened: Callable[[Path], FileSource]
) -> None:
    path = tmp_path / "call.mkv"
    write(path, STEPS["both"], 6.0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with opened(path) as source:
        *_, last = source
        assert "ends early" in str(source.note)
        assert last.native is not None
        shown_s = last.native.duration * source.time_base
    assert shown_s < Fraction(1, 2), "not until the end that the file announces"


@pytest.mark.parametrize(
    "begin",
    [
        *(b"", b"\0", b"\0" * 20, b"\0\nSMJPEG\0\0", b"\0\0\0\x08wide\0\0\0\x10mdat"),
        *(b"\0\0\x01\xba\x44\0\x04\0\0\0", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3\0\0\0"),
    ],
)
def test_whether_it_is_cut_off_is_asked_of_files_of_any_kind(tmp_path: Path, begin: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(begin)
    assert is_cut_off(path) is None


@pytest.mark.parametrize("ending", ["ts", "mkv"])
def test_fields_are_not_pictures(tmp_path: Path, ending: str) -> None:
    path, raw = tmp_path / f"camcorder.{ending}", tmp_path / "raw.h264"
    raw.write_bytes(field_coded(12))
    with av.open(str(raw)) as fields, av.open(str(path), "w") as container:
        copy = container.add_stream_from_template(fields.streams.video[0])
        for number, packet in enumerate(one for one in fields.demux() if one.size):
            packet.stream, packet.time_base = copy, CLOCK
            packet.pts = packet.dts = number * 1800
            container.mux(packet)
    pictures = written_anew(path, tmp_path / "better.mp4")
    check = check_recording(path, tmp_path / "better.mp4", pictures)
    assert check["pictures"] == (12, 12)
    assert check["differences"] == []
