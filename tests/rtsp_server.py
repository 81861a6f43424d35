"""A camera with RTSP (RFC 2326), media interleaved in its TCP connection: one client at a time."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from fractions import Fraction
from typing import Any, Self

import av

from tests.pictures import backdrop

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    "a=control:streamid=0\r\n"
)
SIZE, FPS = (320, 240), 15


class RtspServer:
    """Within `with` it plays to who asks; `cut` ends the connection, as a camera does that
    restarts."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.requests: list[str] = []
        self._ending = threading.Event()
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name="camera")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._listener.close()
        self.cut()
        # A closed socket does not wake who accepts on it.
        self._thread.join(10.0)
        assert not self._thread.is_alive()

    def cut(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()

    def _serve(self) -> None:
        self._listener.settimeout(0.2)
        while not self._ending.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self._client = client
            try:
                self._talk(client)
            except OSError:
                pass
            finally:
                client.close()

    def _talk(self, client: socket.socket) -> None:
        client.settimeout(5.0)
        reader = client.makefile("rb")
        while (line := reader.readline()).strip():
            method, _, _ = line.decode().split()
            self.requests.append(method)
            headers: dict[str, str] = {}
            while text := reader.readline().decode().strip():
                name, _, value = text.partition(":")
                headers[name.lower()] = value.strip()
            answer = {"CSeq": headers["cseq"], "Session": "1"}
            body = ""
            if method == "OPTIONS":
                answer["Public"] = "DESCRIBE, SETUP, PLAY, TEARDOWN"
            elif method == "DESCRIBE":
                body, answer["Content-Type"] = SDP, "application/sdp"
            elif method == "SETUP":
                answer["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
            if body:
                answer["Content-Length"] = str(len(body))
            lines = ["RTSP/1.0 200 OK", *(f"{name}: {value}" for name, value in answer.items())]
            client.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
            if method == "PLAY":
                return self._play(client)
        return None

    def _play(self, client: socket.socket) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.bind(("127.0.0.1", 0))
            packets.settimeout(0.01)
            url = f"rtp://127.0.0.1:{packets.getsockname()[1]}"
            with av.open(url, "w", format="rtp") as container:
                stream: Any = container.add_stream("libx264", rate=FPS)
                stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
                stream.options = {"tune": "zerolatency", "preset": "ultrafast"}
                stream.codec_context.gop_size = FPS
                # Parameter sets in the stream, because the SDP has none.
                stream.codec_context.flags &= ~int(av.codec.context.Flags.global_header)
                began_s = time.monotonic()
                for number in range(100_000):
                    frame = av.VideoFrame.from_ndarray(backdrop(SIZE).copy(), format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, FPS)
                    container.mux(stream.encode(frame))
                    while (data := _next(packets)) is not None:
                        client.sendall(struct.pack(">cBH", b"$", 0, len(data)) + data)
                    time.sleep(max(0.0, began_s + number / FPS - time.monotonic()))


def _next(packets: socket.socket) -> bytes | None:
    try:
        return packets.recv(65_536)
    except TimeoutError:
        return None
