"""Check: what differs between an input and an output is found, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet
from av.stream import Stream

from stream.media.remux import copy_recording
from stream.media.stream_copy import CopiedStreams
from stream.recordings.verify import check_recording
from stream.telemetry.check import format_check
from tests.recording_files import VFR_PTS, rewrite, write_recording


def remuxed(
    source: Path, target: Path, change: Callable[[Packet[Stream]], bool], kinds: str = "va"
) -> None:
    """A copy of what `change` says True to; it may change the packet."""
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", options={"movie_timescale": "48000"}) as new,
    ):
        copies = {
            stream.index: new.add_stream_from_template(stream, opaque=True)
            for stream in old.streams
            if stream.type[0] in kinds
        }
        for packet in old.demux(*(old.streams[index] for index in copies)):
            if packet.dts is not None and change(packet):
                packet.stream = copies[packet.stream.index]
                new.mux(packet)


@pytest.mark.parametrize("before", ["mp4", "mov", "mkv", "ts", "avi"])
@pytest.mark.parametrize("after", ["mp4", "mkv"])
def test_an_output_as_it_should_be(tmp_path: Path, before: str, after: str) -> None:
    source, target = tmp_path / f"call.{before}", tmp_path / f"better.{after}"
    # AVI holds one rate alone.
    pts = range(0, 90_000, 3600) if before == "avi" else [9000 + pts for pts in VFR_PTS]
    if before == "avi":
        write_recording(tmp_path / "plain.mkv", pts=pts)
        copy_to_avi(tmp_path / "plain.mkv", source)
    else:
        write_recording(source, pts=pts, sounds=2)
    rewrite(source, target, CopiedStreams(source))
    check = check_recording(source, target)
    assert check["differences"] == []
    assert check["same"]
    assert check["pictures"] == (len(pts), len(pts))
    assert format_check(check).startswith(f"checked: as in the input, {len(pts)} pictures, ")
    old_s, new_s = check["duration_s"]
    assert old_s is None or new_s is None or old_s == pytest.approx(new_s, abs=0.005)


def copy_to_avi(source: Path, target: Path) -> None:
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        pictures = new.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height = 64, 48
        for index, frame in enumerate(old.decode(video=0)):
            frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, 25), 0
            new.mux(pictures.encode(frame))
        new.mux(pictures.encode(None))


def test_copies_are_the_same(tmp_path: Path) -> None:
    source = tmp_path / "call.mp4"
    write_recording(source, sounds=2, cover=True)
    for ending in ("mp4", "mkv"):
        copy_recording(source, tmp_path / f"copy.{ending}")
        check = check_recording(source, tmp_path / f"copy.{ending}")
        assert check["differences"] == []
        assert check["tracks"] == (4, 4)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("picture", "9 pictures instead of 10"),
        ("track", "1 audio tracks instead of 2"),
        ("sound", "sound 1 has 45 packets instead of 48"),
        ("late", "sound 1 begins 40.0 ms later; sound 1 ends 40.0 ms later"),
        ("drift", "sound 1 ends 90.0 ms later"),
    ],
)
def test_what_differs_is_said(tmp_path: Path, name: str, found: str) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / "changed.mp4"
    write_recording(source, sounds=2)
    counts = {"video": 0, "audio": 0}
    last = Fraction(0)

    def change(packet: Packet[Stream]) -> bool:
        nonlocal last
        kind, number = packet.stream.type, packet.stream.index
        assert packet.pts is not None
        assert packet.dts is not None
        if number == 2:
            return True
        counts[kind] += 1
        if name == "picture" and kind == "video":
            return counts[kind] != 5
        if name == "sound" and kind == "audio":
            return counts[kind] not in (10, 20, 30)
        if name == "late" and kind == "audio":
            packet.pts, packet.dts = packet.pts + 1920, packet.dts + 1920
        if name == "drift" and kind == "audio" and counts[kind] > 1:
            more = round(90 * 48 * (counts[kind] - 1) / 47)
            packet.pts, packet.dts = packet.pts + more, packet.dts + more
        return True

    if name == "track":
        write_recording(target, sounds=1)
    else:
        remuxed(source, target, change)
    check = check_recording(source, target)
    assert not check["same"]
    assert found in "; ".join(check["differences"])
    assert found in format_check(check)


def test_a_recording_that_lasts_less(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / "short.mp4"
    write_recording(source, sounds=0)
    write_recording(target, sounds=0, pts=[*VFR_PTS[:-1], VFR_PTS[-1] - 900])
    assert check_recording(source, target)["differences"] == ["the pictures last 10.0 ms less"]
