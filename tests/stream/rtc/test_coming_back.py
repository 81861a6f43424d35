"""A page or a publisher that comes back finds its exemplars and its viewers; nobody else does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.rtc import live_stream
from stream.rtc.connection import Connection
from tests import rtc_calls
from tests.pictures import scene_with_face
from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import Client, publisher, received, relay, viewer, watched

pytestmark = pytest.mark.usefixtures("camera", "opened")
SECRET = "/call/0123456789abcdef0123456789abcdef"
LATE_PTS = 90_000_000
OTHER = "/call/fedcba9876543210fedcba9876543210"


def close_up() -> Clip:
    clip = Clip((640, 480))
    clip.scene = lambda size: scene_with_face(170.0, size)
    return clip


async def page(client: Client, path: str) -> tuple[Any, Connection]:
    """A call whose first picture has come."""
    peer = rtc_calls.peer()
    peer.addTrack(close_up())
    await client.begin(peer, path)
    connection = client.relay.connections.open[-1]
    await until(lambda: connection.video is not None and connection.video.status().fps > 0)
    return peer, connection


async def remembered_page(client: Client) -> tuple[Any, Connection, Any]:
    """A call at SECRET, and an exemplar of who is in it."""
    peer, connection = await page(client, SECRET)
    await until(lambda: exemplars(connection), "no exemplar was taken in")
    return peer, connection, exemplars(connection)[0]


def exemplars(connection: Connection) -> list[Any]:
    assert connection.video is not None
    return connection.video.exemplars()


def test_a_page_that_comes_back_finds_its_exemplars() -> None:
    async def program() -> None:
        async with relay() as client:
            peer, first, image = await remembered_page(client)
            worker = first.stream.worker
            again, second = await page(client, SECRET)
            assert client.relay.connections.open == (second,), "the new offer takes over"
            assert second.stream.worker is worker
            await until(lambda: any(one is image for one in exemplars(second)))
            other, third = await page(client, OTHER)
            assert not any(one is image for one in exemplars(third))
            for one in (peer, again, other):
                await one.close()

    run(program())


def test_a_connection_that_is_lost_leaves_them_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "KEPT_S", 4.0)

    async def program() -> None:
        async with relay() as client:
            peer, first, image = await remembered_page(client)
            worker = first.stream.worker
            assert image.any()
            assert worker is not None
            people = worker.recent.people
            await peer.close()
            await until(lambda: not client.relay.connections.open)
            await asyncio.sleep(1.5)  # a face that is away for so long is somebody new
            again, second = await page(client, SECRET)
            assert second.stream.worker is worker
            assert worker.recent.people == people, "who is there does not find the own exemplars"
            assert image.any()
            await again.close()
            await until(lambda: worker is not None and not worker._thread.is_alive(), "kept on")
            assert not image.any(), "wiped"

    run(program())


def test_pictures_of_the_connection_before_are_not_shown_in_the_next() -> None:
    """Their times are others; an encoder fails where time goes back."""

    async def program() -> None:
        async with relay() as client:
            peer, first = await page(client, SECRET)
            old, worker = first.video, first.stream.worker
            assert old is not None
            assert worker is not None
            assert worker.works_for(old._deliver_from_thread)
            again, second = await page(client, SECRET)
            new = second.video
            assert new is not None
            assert not worker.works_for(old._deliver_from_thread)
            shown: list[Any] = []
            new._put = shown.append  # type: ignore[method-assign, assignment]
            frame = await close_up().recv()
            frame.pts = LATE_PTS
            worker.put(replace(worker.picture(frame), deliver=old._deliver_from_thread))
            await until(lambda: len(shown) > 10)
            assert LATE_PTS not in [one.pts for one in shown]
            for one in (peer, again):
                await one.close()

    run(program())


def test_who_ends_a_call_leaves_nothing() -> None:
    async def program() -> None:
        async with relay() as client:
            peer = rtc_calls.peer()
            peer.addTrack(close_up())
            made = await client.begin(peer, SECRET)
            (first,) = client.relay.connections.open
            await until(lambda: first.video is not None and exemplars(first))
            image = exemplars(first)[0]
            assert (await client.ask("DELETE", made["Location"]))[0] == 200
            assert not image.any()
            await peer.close()

    run(program())


def test_viewers_wait_for_a_publisher_that_comes_back() -> None:
    async def program() -> None:
        async with relay() as client:
            sender, watching, watcher = await watched(client, "/whip/room", "/whep/room")
            await sender.close()
            await until(lambda: client.relay.connections.published("room") is None)
            late = viewer("video")
            await client.begin(late, "/whep/room")
            again = publisher(Clip((320, 240)))
            await client.begin(again, "/whip/room")
            count = len(watcher.frames)
            await until(lambda: len(watcher.frames) > count + 10, "the viewer lost it")
            assert not watcher.ended
            times = [float(frame.pts * frame.time_base) for frame in watcher.frames]
            assert all(before < after for before, after in pairwise(times)), "time went back"
            shown = Watcher(received(late, "video"))
            await until(lambda: len(shown.frames) > 10, "who came in between sees nothing")
            for one in (again, watching, late):
                await one.close()

    run(program())


def test_viewers_are_told_when_nobody_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "KEPT_S", 1.5)

    async def program() -> None:
        async with relay() as client:
            sender, watching, watcher = await watched(client, "/whip/room", "/whep/room")
            await sender.close()
            await until(lambda: watcher.ended, "the viewer was not told")
            assert not client.relay.connections.open
            await watching.close()

    run(program())


def test_an_offer_that_is_refused_takes_nothing_away() -> None:
    async def program() -> None:
        async with relay() as client:
            peer, first = await page(client, SECRET)
            worker = first.stream.worker
            await peer.close()
            await until(lambda: not client.relay.connections.open)
            assert (await client.post(SECRET, "v=0\r\nnonsense"))[0] == 422
            again, second = await page(client, SECRET)
            assert second.stream.worker is worker
            await again.close()

    run(program())


def test_a_secret_that_can_be_guessed_is_none() -> None:
    async def program() -> None:
        async with relay() as client:
            assert (await client.post("/call/anna", "v=0"))[0] == 404

    run(program())
