"""The sandbox: the same pictures as without it, and a child that may do nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from stream.errors import InputError
from stream.media.sandbox import sandboxed_source as sandbox
from stream.media.sandbox import spawn
from stream.media.sandbox.sandboxed_source import SandboxDefectError, SandboxedSource
from stream.media.sandbox.shared_planes import read_planes, write_planes
from stream.media.sources.file_source import FileSource
from tests.recording_files import picture, write_recording

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sandbox")
ATTRIBUTES = (
    "width", "height", "rate", "time_base", "frames_total", "video_format"
)  # fmt: skip


def same(path: Path) -> SandboxedSource:
    """Compare all that both sources give; the sandboxed one, closed."""
    with SandboxedSource(path) as sandboxed, FileSource(path) as plain:
        for name in ATTRIBUTES:
            assert getattr(sandboxed, name) == getattr(plain, name), name
        for one, other in zip(sandboxed, plain, strict=True):
            assert (one.pts, one.index, one.time_base) == (other.pts, other.index, other.time_base)
            assert np.array_equal(one.image, other.image)
        assert sandboxed.note == plain.note
    return sandboxed


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_the_same_pictures(tmp_path: Path, pix_fmt: str) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pix_fmt=pix_fmt, turn=-90, cover=pix_fmt == "yuv420p")
    same(path)


def test_more_pictures_than_slots_and_a_lost_end(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    pts = range(0, 36_000 * 4, 3600)
    write_recording(path, pts=pts, size=(130, 98), options={"movflags": "faststart"})
    same(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert "ends early" in str(same(path).note)


@pytest.mark.parametrize(("codec", "pix_fmt"), [("vp8", "yuv420p"), ("mjpeg", "yuvj422p")])
def test_pictures_that_grow_on_the_way(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    """As recordings of browsers do, whose calls begin small; joined by hand, packet by packet."""
    path = tmp_path / "call.mkv"
    with av.open(str(path), "w") as container:
        for number, size in enumerate([(64, 48), (128, 96), (320, 240)]):
            one = av.open(str(tmp_path / f"{number}.mkv"), "w")
            with one:
                stream = one.add_stream(codec, rate=25)
                assert isinstance(stream, VideoStream)
                stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
                for index in range(4):
                    frame = av.VideoFrame.from_ndarray(picture(size, index), format="rgb24")
                    one.mux(stream.encode(frame.reformat(format=pix_fmt)))
                one.mux(stream.encode(None))
            with av.open(str(tmp_path / f"{number}.mkv")) as one_more:
                if number == 0:
                    joined = container.add_stream_from_template(one_more.streams.video[0])
                for packet in one_more.demux(video=0):
                    if packet.dts is not None:
                        packet.pts = packet.dts = packet.dts + 160 * number
                        packet.stream = joined
                        container.mux(packet)
    same(path)


def test_planes_come_back_and_claims_are_checked() -> None:
    frame = av.VideoFrame.from_ndarray(picture((66, 50)), format="rgb24").reformat(format="yuv420p")
    slot = np.zeros(20_000, np.uint8)
    planes = write_planes(frame, slot)
    assert np.array_equal(
        read_planes(slot, 66, 50, "yuv420p", planes).to_ndarray(), frame.to_ndarray()
    )
    for width, height, kind, claimed in (
        (66, 52, "yuv420p", planes),
        (66, 50, "yuv420p", planes[:2]),
        (66, 50, "rgb24", planes),
        (66, 50, "no such format", planes),
        (66, 50, "yuv420p", ((50, 10_000), *planes[1:])),
        (66, 50, "yuv420p", ((50, -1), *planes[1:])),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            read_planes(slot, width, height, kind, claimed)
    with pytest.raises(ValueError, match="slot"):
        read_planes(slot[:1000], 66, 50, "yuv420p", planes)


CONFINED = """
import os, socket, sys
from pathlib import Path
from stream.media.sandbox.confine import confine
holds = confine(Path(sys.argv[1]), [Path(os.__file__).parent])
def refused(attempt):
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False
print(sorted(holds), len(open(sys.argv[1], "rb").read()))
print(refused(lambda: open(sys.argv[2])), refused(lambda: open(sys.argv[1], "ab")),
      refused(lambda: open(sys.argv[2] + "2", "w")), refused(lambda: os.listdir("/")))
print(refused(lambda: socket.socket()), refused(lambda: os.execv("/bin/true", ["true"])),
      refused(lambda: os.kill(os.getppid(), 0)), refused(lambda: bytearray(5 << 30)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="these limits are Linux's")
def test_what_the_child_may_not_do(tmp_path: Path) -> None:
    (tmp_path / "call.mp4").write_bytes(b"recording")
    (tmp_path / "secret").write_bytes(b"secret")
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, tmp_path / "call.mp4", tmp_path / "secret"],
        capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    holds, *refused = done.stdout.splitlines()
    if "files" not in holds or "calls" not in holds:
        pytest.skip(f"this kernel has no Landlock or no seccomp: {holds}")
    assert holds == "['calls', 'files', 'memory', 'processor'] 9"
    assert refused == ["True True True True"] * 2


def open_with(monkeypatch: pytest.MonkeyPatch, path: Path, patch: str) -> SandboxedSource:
    """The sandbox around a child with something replaced in it."""
    start = "import sys; sys.path[:] = PATH; from stream.media.sandbox import child; "
    monkeypatch.setattr(spawn, "START", f"{start}{patch}; child.main()")
    return SandboxedSource(path)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("child.survey = lambda *_: __import__('os').abort()", "brings the decoder down"),
        ("child.survey = lambda *_: __import__('time').sleep(60)", "no picture within"),
        ("child.survey = lambda *_: list(iter(int, 1))", "no picture within|processor|GB"),
        ("child.survey = lambda *_: bytearray(5 << 30)", "more than 4 GB"),
        ("child.survey = lambda *_: 1 / 0", "ZeroDivisionError"),
        ("child.decode = lambda path, to, *_: child.send(to, {'facts': {}})", "invalid data"),
        ("child.decode = lambda path, to, *_: to.send_bytes(b'[' * 60000)", "decoder down"),
        ("child.decode = lambda path, to, *_: to.send_bytes(bytes(1 << 20))", "decoder down"),
    ],
)
def test_a_child_that_dies_hangs_or_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: str, message: str
) -> None:
    write_recording(tmp_path / "call.mp4", pts=(0, 3600), sounds=0)
    monkeypatch.setattr(sandbox, "PATIENCE_S", 20.0 if "sleep" not in patch else 2.0)
    if "iter" in patch:
        monkeypatch.setattr(sandbox, "PATIENCE_S", 3.0)
    with pytest.raises(InputError, match=message) as caught:
        open_with(monkeypatch, tmp_path / "call.mp4", patch)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["TypeError", "AttributeError", "NameError", "ImportError"])
def test_mistakes_in_this_program_are_not_the_recordings_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_recording(tmp_path / "call.mp4", pts=(0, 3600), sounds=0)
    patch = f"child.survey = lambda *_: (_ for _ in ()).throw({kind}('open() got 7'))"
    with pytest.raises(SandboxDefectError, match=rf"Traceback(.|\n)*{kind}: open\(\) got 7"):
        open_with(monkeypatch, tmp_path / "call.mp4", patch)


FACTS = "{'duration': 1, 'start_time': 0, 'alone': True, 'sides': {}, 'interlaced': False, 'stream': {'duration': 1, 'start_time': 0, 'frames': 1}}"  # fmt: skip  # noqa: E501
NONSENSE = {
    "facts": ["[]", "7", "None", f"{FACTS} | {{'sides': []}}", f"{FACTS} | {{'sides': {{'a': 1}}}}"]
    + [f"{FACTS} | {{'stream': {{'time_base': {pair}}}}}" for pair in ("[1, 0]", "[1]", "'12'")],
    "end": ["3", "[]", "{'damaged': 'a'}"],
    "grow": ["'a'", "1 << 70", "-4", "[]"],
    "picture": ["[]", "{'slot': 'a'}", "{'slot': 0, 'planes': [[1]]}"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NONSENSE.items() for value in values]
)
def test_nonsense_of_any_type_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    write_recording(tmp_path / "call.mp4", pts=(0, 3600), sounds=0)
    first = "" if name == "facts" else f"child.send(to, {{'facts': {FACTS}}}), "
    patch = f"child.decode = lambda path, to, *_: ({first}child.send(to, {{{name!r}: {value}}}))"
    with pytest.raises(InputError, match="invalid data"):
        open_with(monkeypatch, tmp_path / "call.mp4", patch)


def test_a_child_that_is_killed_on_the_way(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=range(0, 3_600_00, 3600), sounds=0)
    with SandboxedSource(path) as source:
        frames = iter(source)
        next(frames)
        assert source._child is not None
        source._child.send_signal(signal.SIGSEGV)
        with pytest.raises(InputError, match=r"SIGSEGV"):
            list(frames)


@pytest.mark.parametrize("leave", [lambda source: None, lambda source: next(iter(source))])
def test_nothing_is_left_when_it_is_closed_early(
    tmp_path: Path, leave: Callable[[SandboxedSource], object]
) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=range(0, 360_000, 3600), sounds=0)
    before = set(os.listdir("/dev/fd"))
    source = SandboxedSource(path)
    child = source._child
    leave(source)
    source.close()
    source.close()
    assert child is not None
    assert child.returncode is not None
    assert set(os.listdir("/dev/fd")) == before


def test_pictures_that_lie_upside_down_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "call.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("amv", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(picture(step=number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    with FileSource(path) as near, SandboxedSource(path) as far:
        pairs = list(zip(near, far, strict=True))
    assert len(pairs) == 4
    for ours, theirs in pairs:
        assert np.array_equal(ours.image, theirs.image)
        assert ours.pts == theirs.pts
    assert np.abs(pairs[0][1].image[12, 16].astype(int) - picture()[12, 16]).max() < 20
