"""StreamCopy: every track, title and chapter of a recording is in the new one, too."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Disposition, Stream

from stream.errors import OutputError
from stream.media import titles
from stream.media.remux import copy_recording
from stream.media.stream_copy import CopiedStreams
from tests.recording_files import packets_of, picture, rewrite, times_of, write_recording

MILLI = Fraction(1, 1000)
CHAPTERS = [("Hello", 0, 400), ("Good-bye", 400, 700)]
KINDS = ("mp4", "mov", "mkv")
PTS = range(0, 63_000, 9000)


def enrich(
    source: Path, target: Path, extra: Callable[[OutputContainer], list[Packet[Stream]]]
) -> None:
    """A copy of a recording with titles, languages, chapters and what `extra` adds."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        new.metadata.update({"title": "A call", "comment": "with everything"})
        new.set_chapters(
            [
                {"id": n, "start": start, "end": end, "time_base": MILLI, "metadata": {"title": t}}
                for n, (t, start, end) in enumerate(CHAPTERS)
            ]
        )
        copies = {}
        for stream in old.streams:
            copy = new.add_stream_from_template(stream, opaque=True)
            copy.disposition = stream.disposition
            copies[stream.index] = copy
        sounds = [copies[one.index] for one in old.streams.audio]
        for sound, language in zip(sounds, ("deu", "fra"), strict=True):
            sound.metadata["language"] = language
        sounds[0].disposition = Disposition(0)
        sounds[1].disposition = Disposition.default
        waiting = extra(new)
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
        new.mux(waiting)


def text_packets(stream: Stream, lines: list[bytes]) -> list[Packet[Stream]]:
    made = []
    for index, line in enumerate(lines):
        packet: Packet[Stream] = Packet(line)
        packet.stream, packet.time_base = stream, MILLI
        packet.pts = packet.dts = 200 * index
        packet.duration = 100
        made.append(packet)
    return made


def process(source: Path, target: Path) -> CopiedStreams:
    stream_copy = CopiedStreams(source)
    rewrite(source, target, stream_copy)
    return stream_copy


def kinds_of(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """Two sounds, a text, an attachment, a cover: as Matroska."""
    plain, source = tmp_path / "plain.mp4", tmp_path / "call.mkv"
    write_recording(plain, pts=PTS, sounds=2)

    def extra(new: OutputContainer) -> list[Packet[Stream]]:
        text = new.add_mux_stream("subrip")
        text.metadata["language"] = "ita"
        new.add_attachment("font.ttf", "application/x-truetype-font", b"a font")
        new.add_attachment("cover.jpg", "image/jpeg", jpeg())
        return text_packets(text, [b"Ciao", b"<i>tutti</i>"])

    enrich(plain, source, extra)
    return source


def jpeg() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 32, 32, "yuvj420p"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture((32, 32)), format="rgb24").reformat(
        format="yuvj420p"
    )
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def check_titles(path: Path) -> None:
    with av.open(str(path)) as container:
        found = {key.lower(): text for key, text in container.metadata.items()}
        assert found["title"] == "A call"
        assert found["comment"] == "with everything"
        chapters = [
            (one["metadata"]["title"], int(one["start"] * one["time_base"] * 1000))
            for one in container.chapters()
            if one["time_base"] is not None
        ]
        assert [title for title, _ in chapters] == [title for title, _, _ in CHAPTERS]
        # Matroska counts from the sound's start, 21 ms before the first picture.
        assert all(
            abs(ours - theirs) <= 22
            for (_, ours), (_, theirs, _) in zip(chapters, CHAPTERS, strict=True)
        )
        sounds = container.streams.audio
        # QuickTime has its own code for German.
        assert [one.language for one in sounds] in (["deu", "fra"], ["ger", "fra"])
        assert [bool(one.disposition & Disposition.default) for one in sounds] == [False, True]


@pytest.mark.parametrize("kind", KINDS)
def test_every_track_that_fits_is_there(tmp_path: Path, call: Path, kind: str) -> None:
    target = tmp_path / f"better.{kind}"
    stream_copy = process(call, target)
    check_titles(target)
    assert [one[2] for one in packets_of(target, "audio") if one[0] == 1] == [
        one[2] for one in packets_of(call, "audio") if one[0] == 1
    ]
    assert len(times_of(target)) == len(PTS)
    with av.open(str(target)) as container:
        assert [one.language for one in container.streams.subtitles] == ["ita"]
        covers = [
            one for one in container.streams.video if one.disposition & Disposition.attached_pic
        ]
        attachments = [one for one in container.streams if isinstance(one, AttachmentStream)]
        if kind == "mkv":
            assert stream_copy.left_out == stream_copy.converted == []
            assert [one.data for one in attachments] == [b"a font"]
            assert [one.mimetype for one in attachments] == ["application/x-truetype-font"]
        else:
            assert stream_copy.left_out == [
                "attachment font.ttf",
                *(["cover mjpeg"] if kind == "mov" else []),
            ]
            assert [one.split(" to ")[1] for one in stream_copy.converted] == ["mov_text"]
        assert len(covers) == (0 if kind == "mov" else 1)
        for cover in covers:
            packet = next(one for one in container.demux(cover) if one.size)
            assert bytes(packet) == jpeg()
    words = [one[2] for one in packets_of(target, "subtitle")]
    assert any(b"Ciao" in one for one in words)
    assert any(b"tutti" in one for one in words)


def test_text_of_mp4_becomes_text_of_matroska(tmp_path: Path, call: Path) -> None:
    there, back = tmp_path / "there.mp4", tmp_path / "back.mkv"
    process(call, there)
    stream_copy = process(there, back)
    assert len(stream_copy.converted) == 1
    assert [one[2] for one in packets_of(back, "subtitle")] == [b"Ciao", b"<i>tutti</i>"]
    gaps = [one[1] for one in packets_of(back, "subtitle")]
    assert gaps[1] - gaps[0] == Fraction(1, 5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_them_all(tmp_path: Path, call: Path, kind: str) -> None:
    target = tmp_path / f"copy.{kind}"
    copy_recording(call, target)
    if kind == "mkv":
        assert target.read_bytes() == call.read_bytes()
    check_titles(target)
    assert kinds_of(target).count("subtitle") == 1
    assert times_of(target)[1] - times_of(target)[0] == Fraction(1, 10)


def test_data_travels_where_it_fits(tmp_path: Path) -> None:
    plain, source = tmp_path / "plain.mp4", tmp_path / "call.mp4"
    write_recording(plain, pts=PTS, sounds=2)

    def extra(new: OutputContainer) -> list[Packet[Stream]]:
        data = new.add_data_stream("bin_data")
        data.time_base = MILLI
        return text_packets(data, [b"north", b"east", b"south"])

    enrich(plain, source, extra)
    stream_copy = process(source, tmp_path / "better.mp4")
    assert stream_copy.left_out == []
    assert [one[1:] for one in packets_of(tmp_path / "better.mp4", "data")] == [
        (Fraction(0), b"north"),
        (Fraction(1, 5), b"east"),
        (Fraction(2, 5), b"south"),
    ]
    check_titles(tmp_path / "better.mp4")
    stream_copy = process(source, tmp_path / "better.mkv")
    assert stream_copy.left_out == ["data bin_data"]
    assert kinds_of(tmp_path / "better.mkv") == ["video", "audio", "audio"]


def test_the_order_of_tracks_and_further_pictures_stay(tmp_path: Path) -> None:
    plain, source, target = (tmp_path / name for name in ("plain.mp4", "call.mkv", "better.mkv"))
    write_recording(plain, pts=PTS, sounds=1)
    with (
        av.open(str(plain)) as one,
        av.open(str(plain)) as two,
        av.open(str(source), "w") as new,
    ):
        places: list[tuple[InputContainer, Stream]] = [
            (one, one.streams.audio[0]),
            (one, one.streams.video[0]),
            (two, two.streams.video[0]),
        ]
        copies = [new.add_stream_from_template(s, opaque=True) for _, s in places]
        copies[2].metadata["title"] = "the screen"
        for (recording, stream), copy in zip(places, copies, strict=True):
            recording.seek(0)
            for packet in recording.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    new.mux(packet)
    stream_copy = process(source, target)
    assert stream_copy.left_out == []
    assert kinds_of(target) == kinds_of(source) == ["audio", "video", "video"]
    screen = []
    for path in (source, target):
        with av.open(str(path)) as container:
            stream = container.streams.video[1]
            assert {k.lower(): v for k, v in stream.metadata.items()}["title"] == "the screen"
            screen.append([bytes(packet) for packet in container.demux(stream) if packet.size])
    assert screen[0] == screen[1]
    assert len(screen[0]) == len(PTS)


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_a_time_code_is_written_anew(tmp_path: Path, kind: str) -> None:
    source, target = tmp_path / "call.mov", tmp_path / f"better.{kind}"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.metadata["timecode"] = "01:02:03:04"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(picture(step=index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    assert kinds_of(source) == ["video", "data"]
    assert process(source, target).left_out == []
    assert kinds_of(target) == ["video", "data"]
    with av.open(str(target)) as container:
        assert container.streams[1].metadata["timecode"] == "01:02:03:04"


@pytest.mark.parametrize("kind", KINDS)
def test_unusual_titles_are_kept(tmp_path: Path, kind: str) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mp4", "b.mov", f"c.{kind}"))
    write_recording(plain, pts=PTS, sounds=0)
    told = {
        "com.apple.quicktime.make": "A phone",
        "com.apple.quicktime.location.ISO6709": "+52.5+013.4/",
        "title": "A call",
        "creation_time": "2026-01-02T03:04:05.000000Z",
    }
    with (
        av.open(str(plain)) as old,
        av.open(str(source), "w", options={"movflags": "use_metadata_tags"}) as new,
    ):
        new.metadata.update(told)
        copy = new.add_stream_from_template(old.streams.video[0], opaque=True)
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    process(source, target)
    with av.open(str(target)) as container:
        kept = titles.of_recording(container.metadata)
    found = {key.lower(): text for key, text in kept.items()}
    assert {key: found.get(key.lower()) for key in told} == told


def test_pictures_out_of_order_are_copied_from_matroska_to_mp4(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mkv", tmp_path / "copy.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.codec_context.options = {"x264-params": "bframes=3:b-adapt=0:b-pyramid=normal"}
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(picture(step=3 * index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    copy_recording(source, target)
    shown = [[bytes(plane) for plane in frame.planes] for frame in frames_of(source)]
    copied = [[bytes(plane) for plane in frame.planes] for frame in frames_of(target)]
    assert shown == copied
    assert len(copied) == 30
    steps = zip(times_of(source), times_of(target), strict=True)
    assert {ours - theirs for theirs, ours in steps} == {times_of(target)[0]}


def frames_of(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


def test_pictures_that_cannot_be_copied(tmp_path: Path) -> None:
    source = tmp_path / "call.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("snow", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(OutputError, match=r"the pictures of .*snow.*write a \.mkv"):
        copy_recording(source, tmp_path / "copy.mp4")
    assert list(tmp_path.iterdir()) == [source]
