"""Sessions that end while they begin: nothing of them is left."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.rtc.connection import MOST_MEDIA, Connection
from tests.rtc_calls import Clip, run, until
from tests.rtc_relays import Client, publisher, relay

pytestmark = pytest.mark.usefixtures("camera", "opened")
SECRET = "/call/0123456789abcdef0123456789abcdef"


async def offer(*tracks: Any) -> str:
    """Of somebody who sends, and is gone."""
    peer = publisher(*tracks)
    await peer.setLocalDescription(await peer.createOffer())
    text: str = peer.localDescription.sdp
    await peer.close()
    return text


def ends_in_its_offer(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """The relay ends each session as soon as its offer is looked at."""
    check = Connection._check

    def ending(self: Connection, found: Any) -> None:
        check(self, found)
        client.relay.connections.end(self, "the test ends it")

    monkeypatch.setattr(Connection, "_check", ending)


def test_a_session_that_ends_during_its_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(Connection, "_make_worker", lambda self: made.append(self))

    async def program() -> None:
        async with relay() as client:
            ends_in_its_offer(monkeypatch, client)
            status, text, _ = await client.post("/whip/room", await offer(Clip()))
            assert (status, "\n" in text) == (409, False), text
            assert not client.relay.connections.open
            await until(lambda: not client.relay.connections._closing)

    run(program())
    assert not made, "a thread would be left"


def test_a_session_that_has_ended_takes_no_track(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip())
            await client.begin(sender, "/whip/room")
            (connection,) = client.relay.connections.open
            await client.relay.connections.end(connection, "the test ends it")
            video, connection.video = connection.video, None
            connection._take(Clip())
            assert connection.video is None
            assert video is not None
            await client.relay.connections.end(connection, "again")
            await sender.close()

    run(program())


def test_what_was_kept_is_not_put_back_when_it_was_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip())
            await client.begin(sender, SECRET)
            (first,) = client.relay.connections.open
            await until(lambda: first.video is not None and first.video.status().fps > 0)
            await sender.close()
            await until(lambda: not client.relay.connections.open)
            ends_in_its_offer(monkeypatch, client)
            assert (await client.post(SECRET, await offer(Clip())))[0] == 409
            await until(lambda: not client.relay.connections._closing)
            monkeypatch.undo()
            assert client.relay.connections._kept.take("call", SECRET.rpartition("/")[2]) is None

    run(program())


def test_an_offer_of_very_many_media_is_refused_before_it_is_read() -> None:
    async def program() -> None:
        async with relay() as client:
            text = await offer(Clip())
            media = text[text.index("m=") :]
            status, told, _ = await client.post("/whip", text + MOST_MEDIA * media)
            assert (status, told) == (422, f"the offer has more than {MOST_MEDIA} media")

    run(program())


async def parts(client: Client) -> list[weakref.ref[Any]]:
    """The worker of the only session, and what it works with."""
    (connection,) = client.relay.connections.open
    await until(lambda: connection.stream.worker and connection.stream.worker._session)
    worker: Any = connection.stream.worker
    return [weakref.ref(worker), weakref.ref(worker._session)]


def test_nothing_of_a_call_is_left_when_it_has_ended() -> None:
    """Not even what refers to itself in a circle, with its last pictures."""

    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip())
            found = await client.begin(sender, "/whip/room")
            left = await parts(client)
            gc.disable()
            try:
                status, _, _ = await client.ask("DELETE", found["Location"])
                assert status == 200
                await sender.close()
                await until(lambda: not any(one() for one in left), "it is still there")
            finally:
                gc.enable()

    run(program())
