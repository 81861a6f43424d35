"""Streams that FFmpeg reads from a server: RTSP, RTMP; what happens when it goes away."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import av
import pytest

from stream.errors import InputError
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.network_reader import NetworkReader, stream_error
from stream.media.stream_address import StreamAddress, input_stream
from tests.protocols import has_srt
from tests.rtsp_server import SIZE, RtspServer


def address_of(name: str) -> StreamAddress:
    found = input_stream(name)
    assert found is not None
    return found


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as one:
        yield one


def test_a_camera_with_rtsp_that_restarts(server: RtspServer) -> None:
    address = address_of(f"rtsp://anna:secret@127.0.0.1:{server.port}/camera")
    notes: list[str] = []
    with CameraSource(address, notes.append, partial(NetworkReader, address)) as camera:
        assert (camera.width, camera.height) == SIZE
        assert not camera.has_sound
        for count, frame in enumerate(camera):
            assert frame.image.shape == (SIZE[1], SIZE[0], 3)
            assert frame.captured_ns <= time.monotonic_ns()
            if count == 5:
                server.cut()
            if count == 15:
                break
        assert camera.reconnected == 1
    assert [note.split(" (")[0] for note in notes] == ["the stream is lost", "the stream is back"]
    assert "secret" not in "".join(notes)
    assert server.requests.count("PLAY") == 2


def test_who_cannot_be_reached_is_one_line() -> None:
    address = address_of("rtsp://anna:secret@127.0.0.1:9/camera")
    with pytest.raises(InputError) as caught:
        CameraSource(address, open_reader=partial(NetworkReader, address))
    assert str(caught.value) == "rtsp://127.0.0.1:9 gives no picture (Connection refused)"


NO_SRT = (
    "PyAV was built without srt; build PyAV with an FFmpeg that has libsrt, or use RTMP or WebRTC"
)


def test_srt_is_read_or_said_to_be_missing() -> None:
    address = address_of("srt://anna:secret@127.0.0.1:9?passphrase=0123456789")
    reader = NetworkReader(address)
    with pytest.raises(InputError) as caught:
        reader.pictures.get(30.0)
    told = "gives no picture (" if has_srt() else f"cannot be opened: {NO_SRT}"
    assert str(caught.value).startswith(f"srt://127.0.0.1:9 {told}")
    assert "secret" not in str(caught.value)
    reader.thread.join(10.0)
    assert reader.thread not in threading.enumerate()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            av.error.InvalidDataError(1, "Invalid data found"),
            "gives no picture (Invalid data found)",
        ),
        (av.error.ArgumentError(22, "Invalid argument"), "gives no picture (Invalid argument)"),
        (ValueError("no container format"), f"cannot be opened: {NO_SRT}"),
        (av.error.ProtocolNotFoundError(1, "Protocol not found"), f"cannot be opened: {NO_SRT}"),
    ],
)
def test_what_a_server_sends_is_not_blamed_on_pyav(error: Exception, told: str) -> None:
    assert str(stream_error(address_of("srt://a:1"), error)) == f"srt://a:1 {told}"


def test_a_server_that_sends_nonsense_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nonsense:
        answering = threading.Thread(target=answer_nonsense, args=(nonsense,))
        answering.start()
        reader = NetworkReader(address_of(f"rtsp://127.0.0.1:{nonsense.getsockname()[1]}/camera"))
        with pytest.raises(InputError, match=r"rtsp://127\.0\.0\.1:\d+ gives no picture \("):
            reader.pictures.get(30.0)
        reader.thread.join(10.0)
        answering.join(10.0)


def answer_nonsense(server: socket.socket) -> None:
    """To the first who comes."""
    one, _ = server.accept()
    with one:
        one.recv(1000)
        one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nhello, \r\n\r\n")
