"""Remux: a copy has every picture and every sound of its source, or is not made."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from stream.errors import OutputError
from stream.media.packet_times import PacketTimes
from stream.media.picture_comparison import first_difference
from stream.media.remux import copy_recording
from tests.recording_files import packets_of, picture, times_of, write_recording


def write_pictures(path: Path, codec: str, *, pictures: int = 12, b_frames: int = 0) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=15)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = b_frames
        if codec == "libvpx":
            stream.codec_context.options = {"lag-in-frames": "0"}
        for number in range(pictures):
            frame = av.VideoFrame.from_ndarray(picture(step=4 * number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))


def retimed(source: Path, target: Path, change: Callable[[int, Packet[Stream]], None]) -> None:
    """A copy whose packets `change` has changed; it is given their numbers in their tracks."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copies = {one.index: new.add_stream_from_template(one, opaque=True) for one in old.streams}
        numbers = dict.fromkeys(copies, 0)
        for packet in old.demux():
            if packet.size:
                index = packet.stream.index
                change(numbers[index], packet)
                numbers[index] += 1
                packet.stream = copies[index]
                new.mux(packet)


def twice(kind: str) -> Callable[[int, Packet[Stream]], None]:
    """Every third packet of a kind of track has the time of the one before."""
    last: list[int] = []

    def change(number: int, packet: Packet[Stream]) -> None:
        if packet.stream.type != kind or packet.dts is None:
            return
        if number % 3 == 2:
            packet.pts = packet.dts = last[-1]
        last.append(packet.dts)

    return change


def decoded(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


def test_two_pictures_at_one_time_are_both_copied(tmp_path: Path) -> None:
    # As Chrome's MediaRecorder writes them now and then.
    plain, source, target = (tmp_path / name for name in ("a.webm", "b.webm", "c.mkv"))
    write_pictures(plain, "libvpx")
    retimed(plain, source, twice("video"))
    assert copy_recording(source, target) == ()
    assert decoded(target) == decoded(source) == decoded(plain)
    assert times_of(target) == times_of(source)


def test_two_pictures_at_one_time_follow_each_other_in_mp4(tmp_path: Path) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mkv", "b.mkv", "c.mp4"))
    write_pictures(plain, "libx264")
    retimed(plain, source, twice("video"))
    assert copy_recording(source, target) == ()
    assert decoded(target) == decoded(plain)
    times = times_of(target)
    assert len(set(times)) == len(times) == 12
    assert max(abs(a - b) for a, b in zip(times, times_of(source), strict=True)) <= Fraction(1, 500)


def test_packets_that_last_no_time_are_shown(tmp_path: Path) -> None:
    # As FFmpeg before 8.1 reads Matroska without a usual duration.
    source, target = tmp_path / "a.mkv", tmp_path / "b.mp4"
    write_pictures(source, "libx264")
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream, opaque=True)
        times = PacketTimes(stream, copy, new)
        for packet in old.demux():
            if packet.size:
                packet.duration = 0
                times(packet)
                packet.stream = copy
                new.mux(packet)
    assert len(decoded(target)) == 12


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_two_sounds_at_one_time_are_both_copied(tmp_path: Path, ending: str) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mkv", "b.mkv", f"c.{ending}"))
    write_recording(plain, sounds=1)
    retimed(plain, source, twice("audio"))
    if ending == "mkv":
        source = source.rename(tmp_path / "b.webm")
    assert copy_recording(source, target) == ()
    sounds = [packet[2] for packet in packets_of(target, "audio")]
    assert sounds == [packet[2] for packet in packets_of(plain, "audio")]


def test_pictures_that_would_be_shown_out_of_order_are_not_copied(tmp_path: Path) -> None:
    # Bare H.264 does not say when its pictures are shown.
    source = tmp_path / "call.h264"
    write_pictures(source, "libx264", b_frames=2, pictures=30)
    with pytest.raises(OutputError, match="is shown at another time"):
        copy_recording(source, tmp_path / "copy.mkv")
    assert list(tmp_path.iterdir()) == [source]


def test_a_comparison_finds_what_differs(tmp_path: Path) -> None:
    whole, less, other, late = (tmp_path / f"{name}.mkv" for name in "abcd")
    write_pictures(whole, "ffv1")
    write_pictures(less, "ffv1", pictures=11)
    write_pictures(other, "mpeg4")

    def delay(number: int, packet: Packet[Stream]) -> None:
        if number > 5 and packet.pts is not None and packet.dts is not None:
            packet.pts, packet.dts = packet.pts + 40, packet.dts + 40

    retimed(whole, late, delay)
    assert first_difference(whole, whole) is None
    assert first_difference(whole, less) == "only one of them has a picture 12"
    assert first_difference(whole, other) == "picture 1 is another one"
    assert first_difference(whole, late) == "picture 7 is shown at another time"


def test_a_track_of_unknown_type_is_left_out_and_said(tmp_path: Path) -> None:
    plain, source, target = (tmp_path / name for name in ("a.ts", "b.ts", "c.mp4"))
    write_recording(plain, sounds=2)
    source.write_bytes(with_unknown_track(plain.read_bytes()))
    (note,) = copy_recording(source, target)
    assert note == "left out, the output cannot hold it: unknown unknown"
    assert len(packets_of(target, "audio")) == len(packets_of(plain, "audio")) // 2


def test_text_of_unknown_coding_is_left_out_and_said(tmp_path: Path) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mkv", "b.mkv", "c.mp4"))
    with av.open(str(plain), "w") as container:
        stream = container.add_stream("libx264", rate=15)
        stream.width, stream.height = 64, 48
        text = container.add_mux_stream("webvtt")
        frame = av.VideoFrame.from_ndarray(picture(), format="rgb24")
        frame.pts = 0
        container.mux([*stream.encode(frame.reformat(format="yuv420p")), *stream.encode(None)])
        line: Packet[Stream] = Packet(b"Hello")
        line.stream, line.time_base = text, Fraction(1, 1000)
        line.pts = line.dts = 0
        line.duration = 400
        container.mux(line)
    name = b"D_WEBVTT/SUBTITLES"
    assert name in plain.read_bytes()
    source.write_bytes(plain.read_bytes().replace(name, b"S_TEXT/WVTT".ljust(len(name), b"\0")))
    (note,) = copy_recording(source, target)
    assert note == "left out, the output cannot hold it: subtitle unknown"


def with_unknown_track(stream: bytes) -> bytes:
    """A transport stream whose second sound is of a type that nobody knows (ISO 13818-1, PMT)."""
    data, packet_bytes = bytearray(stream), 188
    sound_pid = 0x102
    for start in range(0, len(data), packet_bytes):
        first_of_pmt = data[start + 1] & 0x5F == 0x50 and data[start + 2] == 0
        if first_of_pmt and data[start + 5] == 2:
            section = start + 5
            size = (data[section + 1] & 15) << 8 | data[section + 2]
            end = section + 3 + size - 4
            data[data.rfind(b"\x0f", section, end)] = 0x89
            data[end : end + 4] = crc32_mpeg(bytes(data[section:end]))
    return b"".join(
        bytes(data[start : start + packet_bytes])
        for start in range(0, len(data), packet_bytes)
        if ((data[start + 1] & 31) << 8 | data[start + 2]) != sound_pid
    )


def crc32_mpeg(data: bytes) -> bytes:
    """Of sections of a transport stream (ISO 13818-1, annex A)."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (0x04C11DB7 if remainder & 0x80000000 else 0)
    return (remainder & 0xFFFFFFFF).to_bytes(4, "big")


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_sound_of_a_kind_that_nobody_knows_is_left_out_and_said(
    tmp_path: Path, ending: str
) -> None:
    # As the track of spatial audio that phones record beside the usual one.
    plain, source, target = (tmp_path / name for name in ("a.mov", "b.mov", f"c.{ending}"))
    with av.open(str(plain), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height = 64, 48
        sounds = [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(picture((64, 48), number), format="rgb24")
            frame.pts = number
            container.mux(pictures.encode(frame.reformat(format="yuv420p")))
            for sound in sounds:
                samples = av.AudioFrame(format="s16", layout="mono", samples=320)
                samples.sample_rate, samples.pts = 8000, 320 * number
                container.mux(sound.encode(samples))
        container.mux(pictures.encode(None))
    data = plain.read_bytes()
    place = data.rfind(b"sowt")
    source.write_bytes(data[:place] + b"qqqq" + data[place + 4 :])
    assert copy_recording(source, target) == ("left out, the output cannot hold it: audio unknown",)
    assert {packet[0] for packet in packets_of(target, "audio")} == {0}
    assert len(packets_of(target, "audio")) > 0


def test_pictures_that_can_be_decoded_come_before_others(tmp_path: Path) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mov", "b.mov", "c.mkv"))
    with av.open(str(plain), "w") as container:
        streams = [
            container.add_stream("mjpeg", rate=25, width=64, height=48, pix_fmt="yuvj420p")
            for _ in range(2)
        ]
        for number in range(6):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture((64, 48), number), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        for stream in streams:
            container.mux(stream.encode(None))
    source.write_bytes(plain.read_bytes().replace(b"jpeg", b"qqqq", 1))
    assert copy_recording(source, target) == ("left out, the output cannot hold it: video unknown",)
    assert len(times_of(target)) == 6
