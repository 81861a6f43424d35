"""Streams that FFmpeg reads from a server: RTSP, RTMP; what happens when it goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from stream.errors import InputError
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.network_reader import NetworkReader
from stream.media.stream_address import StreamAddress, input_stream
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


def test_srt_is_read_or_said_to_be_missing() -> None:
    address = address_of("srt://127.0.0.1:9")
    reader = NetworkReader(address)
    with pytest.raises(InputError) as caught:
        reader.pictures.get(30.0)
    assert str(caught.value).startswith("srt://127.0.0.1:9 ")
    reader.thread.join(10.0)
    assert reader.thread not in threading.enumerate()
