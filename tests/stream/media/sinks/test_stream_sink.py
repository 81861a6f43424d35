"""Picture and sound to a server, by RTMP and SRT; a server that goes away and comes back."""

from __future__ import annotations

import socket
import threading
import time
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from stream.errors import OutputError
from stream.frame import Frame
from stream.link import LinkClosedError
from stream.media.live_sound import LiveSound
from stream.media.sinks.stream_sink import QueuedSound, StreamSink
from stream.media.sources import network_reader
from stream.media.sources.network_reader import NetworkReader
from stream.media.stream_address import StreamAddress, input_stream, output_stream
from tests.protocols import has_srt

SIZE, FPS = (321, 241), 15
SOUND = 48_000 // FPS


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


class Server:
    """FFmpeg as the server: `NetworkReader` that waits for who publishes."""

    def __init__(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        listening = {**network_reader.OPTIONS["flv"], "listen": "1"}
        monkeypatch.setitem(network_reader.OPTIONS, "flv", listening)
        address = input_stream(f"rtmp://127.0.0.1:{port}/live/key")
        assert address is not None
        self.sounds: list[tuple[float, int]] = []
        sound = LiveSound()
        sound.listen(self._hear)
        self.reader = NetworkReader(address, sound)

    def _hear(self, frame: av.AudioFrame, captured_ns: int) -> None:
        self.sounds.append((float(np.abs(frame.to_ndarray()).mean()), captured_ns))


def sink_to(port: int, notes: list[str], *, sound: bool = True) -> StreamSink:
    address = output_stream(f"rtmp://127.0.0.1:{port}/live/key")
    assert address is not None
    return opened(address, {"bit_rate": 500_000, "sound": sound, "say": notes.append})


def opened(address: StreamAddress, given: dict[str, Any]) -> StreamSink:
    """A sink for a server that may not listen yet. Args: given: of the sink."""
    deadline_s = time.monotonic() + 20.0
    while True:
        try:
            return StreamSink(address, SIZE, Fraction(FPS), **given)
        except OutputError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)


def play(sink: StreamSink, number: int) -> None:
    """A picture, and the sound of its time: both loud or quiet."""
    level = 220 if number // 15 % 2 else 20
    now_ns = time.monotonic_ns()
    samples = np.full((1, 2 * SOUND), 60 * level * (-1) ** number, np.int16)
    sound = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
    sound.sample_rate = 48_000
    sink.hear(sound, now_ns)
    image = np.full((SIZE[1], SIZE[0], 3), level, np.uint8)
    sink.send(Frame(image, number, number, Fraction(1, FPS), now_ns))
    time.sleep(1 / FPS)


def test_picture_and_sound_arrive_together(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    server = Server(port, monkeypatch)
    sink = sink_to(port, [])
    pictures: list[tuple[float, int]] = []
    for number in range(75):
        play(sink, number)
        try:
            image, captured_ns = server.reader.pictures.get(0.01)
        except TimeoutError:
            continue
        assert image.shape == (240, 320, 3), "chroma needs even sides"
        pictures.append((float(image.mean()), captured_ns))
    sink.close()
    assert server.reader.has_sound
    server.reader.leave()
    server.reader.thread.join(20.0)
    bright = [when for (level, when), (before, _) in zip(pictures[1:], pictures, strict=False)
              if level > 120 > before]  # fmt: skip
    middle = max(level for level, _ in server.sounds) / 2
    loud = [when for (level, when), (before, _) in zip(server.sounds[1:], server.sounds,
            strict=False) if level > middle > before]  # fmt: skip
    assert bright
    assert loud
    # A picture lasts 67 ms and may be missed here, and sound that is played too slowly is put 50 ms
    # wrong before it gets a gap.
    assert min(abs(bright[-1] - one) for one in loud) < 0.2e9


def test_a_server_that_is_gone_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    server, notes = Server(port, monkeypatch), list[str]()
    sink = sink_to(port, notes, sound=False)
    number = 0
    while not notes or "back" not in notes[-1]:
        play(sink, number)
        number += 1
        if number == 20:
            server.reader.leave()
        if number > 20 and notes and not server.reader.thread.is_alive():
            server = Server(port, monkeypatch)
        assert number < 900
    assert notes[0].startswith(f"rtmp://127.0.0.1:{port} is lost (")
    assert "key" not in "".join(notes)
    assert sum("lost" in note for note in notes) == 1, "once, however often it is tried"
    for more in range(30):
        play(sink, number + more)
    try:
        assert server.reader.pictures.get(20.0)[0].shape == (240, 320, 3)
    except LinkClosedError:  # pragma: no cover - told better than a closed link
        pytest.fail("the server that came back got no picture")
    sink.close()
    server.reader.leave()
    server.reader.thread.join(20.0)


def test_who_cannot_be_reached_is_one_line() -> None:
    address = output_stream("rtmp://127.0.0.1:9/live/secret")
    assert isinstance(address, StreamAddress)
    with pytest.raises(OutputError) as caught:
        StreamSink(address, SIZE, Fraction(FPS), bit_rate=500_000, sound=False, say=print)
    assert str(caught.value) == "rtmp://127.0.0.1:9 cannot be written: Connection refused"


def test_srt_is_said_to_be_missing_where_it_is() -> None:
    if has_srt():
        pytest.skip("this PyAV was built with libsrt")
    address = output_stream("srt://127.0.0.1:9?passphrase=0123456789")
    assert address is not None
    with pytest.raises(OutputError) as caught:
        StreamSink(address, SIZE, Fraction(FPS), bit_rate=500_000, sound=False, say=print)
    assert str(caught.value) == (
        "srt://127.0.0.1:9 cannot be written: PyAV was built without srt; build PyAV with an "
        "FFmpeg that has libsrt, or use RTMP or WebRTC"
    )


@pytest.mark.parametrize("protocol", ["srt", "tcp"])
def test_mpeg_ts_arrives(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As SRT carries it; TCP stands in for it where FFmpeg has no libsrt."""
    if protocol == "srt" and not has_srt():
        pytest.skip("needs PyAV built with libsrt")
    monkeypatch.setitem(
        network_reader.OPTIONS,
        "mpegts",
        {**network_reader.OPTIONS["mpegts"], "protocol_whitelist": protocol},
    )
    waits = "?mode=listener" if protocol == "srt" else "?listen=1"
    port = free_port()
    place = f"{protocol}://127.0.0.1:{port}"
    sound, heard = LiveSound(), list[int]()
    sound.listen(lambda frame, captured_ns: heard.append(frame.samples))
    reader = NetworkReader(StreamAddress("srt", place + waits, "server"), sound)
    given: dict[str, Any] = {"bit_rate": 500_000, "sound": True, "say": print}
    sink = opened(StreamAddress("srt", place, "server"), given)
    for number in range(45):
        play(sink, number)
    assert reader.pictures.get(20.0)[0].shape == (240, 320, 3)
    sink.close()
    reader.thread.join(20.0)
    assert sum(heard) > 24_000
    assert reader.thread not in threading.enumerate()


def test_ctrl_c_while_the_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[Any] = []

    def interrupt(sink: StreamSink, limit_s: float) -> str:
        children.append(sink._child)
        raise KeyboardInterrupt

    monkeypatch.setattr(StreamSink, "_told", interrupt)
    with pytest.raises(KeyboardInterrupt):
        sink_to(free_port(), [])
    assert [child.poll() is not None for child in children] == [True]


def test_late_sound_leaves_a_gap_and_early_sound_does_not_overlap() -> None:
    queued = QueuedSound()

    def put(at_s: float) -> None:
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), layout="mono")
        frame.sample_rate = 48_000
        queued.put(frame, round(at_s * 1e9))

    for at_s in (-0.1, 0.0, 0.02, 0.05, 0.5, 0.1):
        put(at_s)
    starts = [start for start, _ in queued.take(0)]
    assert starts == [0, 960, 1920, 24_000, 24_960]
