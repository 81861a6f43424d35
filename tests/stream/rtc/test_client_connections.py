"""HTTP clients that never finish a request, and relays with few files."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("aiohttp", reason="the relay needs the extra webrtc")

from stream.rtc.client_connections import (
    ClientConnections,
    accepted_at_once,
    most_connections,
    say_seldom,
)
from tests.rtc_calls import run, until
from tests.rtc_relays import relay

pytestmark = pytest.mark.usefixtures("camera", "opened")


async def connect(url: str) -> tuple[Any, Any]:
    """A TCP connection to a relay, which has sent half a request."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
    await writer.drain()
    return reader, writer


async def ended(reader: Any) -> None:
    """Wait until the relay closes a connection."""
    try:
        while await reader.read(1000):
            pass
    except ConnectionError:
        pass


def test_one_that_sends_a_byte_now_and_then_is_closed() -> None:
    async def program() -> None:
        async with relay(limits={"body_s": 1.0}) as client:
            reader, writer = await connect(client.relay.url)
            closing = asyncio.create_task(ended(reader))
            while not closing.done():
                try:
                    writer.write(b"x")
                    await writer.drain()
                except ConnectionError:
                    break
                await asyncio.sleep(0.1)
            await closing
            writer.close()

    run(program())


def test_health_answers_while_others_hold_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.rtc.client_connections.most_connections", lambda: 20)

    async def program() -> None:
        async with relay(limits={"body_s": 30.0}) as client:
            held = [await connect(client.relay.url) for _ in range(60)]
            status, text, _ = await client.ask("GET", "/health")
            assert (status, json.loads(text)["status"]) == (200, "ok")
            # The oldest had to go.
            await asyncio.gather(*(ended(reader) for reader, _ in held[:40]))
            for _, writer in held:
                writer.close()

    run(program())


def test_a_burst_of_connections_takes_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are closed for a new one stay in the server's list for some turns of the loop."""
    monkeypatch.setattr("stream.rtc.client_connections.most_connections", lambda: 20)
    held: list[int] = []
    admit = ClientConnections._admit

    def note(self: ClientConnections, handler: Any, transport: asyncio.Transport) -> None:
        admit(self, handler, transport)
        transports = [one.transport for one in self._server.connections]
        held.append(sum(one is not None and not one.is_closing() for one in transports))

    monkeypatch.setattr(ClientConnections, "_admit", note)

    async def program() -> None:
        async with relay(limits={"body_s": 30.0}) as client:
            place = urlsplit(client.relay.url)
            connecting = (asyncio.open_connection(place.hostname, place.port) for _ in range(100))
            made = await asyncio.gather(*connecting)
            ends = [asyncio.create_task(ended(reader)) for reader, _ in made]
            await until(lambda: sum(one.done() for one in ends) == 80)
            for _, writer in made:
                writer.close()
            await asyncio.gather(*ends)

    run(program())
    assert len(held) >= 100
    assert max(held) == 20


def test_a_connection_that_is_used_stays() -> None:
    async def program() -> None:
        async with relay(limits={"body_s": 2.0}) as client:
            for _ in range(8):
                assert (await client.ask("GET", "/health"))[0] == 200
                await asyncio.sleep(0.4)

    run(program())


@pytest.mark.parametrize(
    ("files", "most"), [(-1, 1000), (16, 16), (256, 64), (1024, 256), (1_000_000, 1000)]
)
def test_as_many_as_the_files_allow(files: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="needs a Unix")
    assert resource.RLIM_INFINITY == -1
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    assert most_connections() == most


def test_few_files_suffice_for_all_that_is_accepted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Accepted in one turn of the loop, made in the next, closed in the one after that."""
    pytest.importorskip("resource", reason="needs a Unix")
    for files in (128, 256, 1024, 1_000_000):
        monkeypatch.setattr("resource.getrlimit", lambda _, files=files: (files, files))
        assert most_connections() + 3 * accepted_at_once() < files // 2 + 4
        assert 4 <= accepted_at_once() <= 128


def test_a_lack_of_files_is_one_line_and_no_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        say_seldom(loop)
        for _ in range(1000):
            error = OSError(24, "Too many open files")
            message = "socket.accept() out of system resource"
            loop.call_exception_handler({"message": message, "exception": error})
        assert [one.getMessage() for one in caplog.records] == [
            "no more files can be had: connections wait (ulimit -n)"
        ]
        loop.call_exception_handler({"message": "something else"})
        assert "something else" in caplog.text

    run(program())
