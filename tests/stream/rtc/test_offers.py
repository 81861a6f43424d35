"""Offers out of the ordinary, publishers that crash, and what the log says of sessions."""

from __future__ import annotations

import json
import logging
import re

import pytest

from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import publisher, received, relay, viewer

pytestmark = pytest.mark.usefixtures("camera", "opened")


@pytest.mark.parametrize(
    ("codec", "offered"),
    [("VP9/90000", "VP9"), ("H264/90000", "H264 640032"), ("AV1/90000", "AV1")],
)
def test_codecs_that_cannot_be_taken_are_told(codec: str, offered: str) -> None:
    async def program() -> None:
        async with relay() as client:
            peer = publisher(Clip())
            await peer.setLocalDescription(await peer.createOffer())
            sdp = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):.*\r\n", "", peer.localDescription.sdp)
            sdp = re.sub(r"(m=video \d+ \S+) .*\r\n", r"\1 98\r\n", sdp)
            more = f"a=rtpmap:98 {codec}\r\n"
            if codec.startswith("H264"):
                more += "a=fmtp:98 packetization-mode=1;profile-level-id=640032\r\n"
            status, text, _ = await client.post("/whip", sdp + more)
            assert status == 422
            assert "VP8 and H264 (constrained baseline" in text
            assert text.endswith(f"offered: {offered}")
            await peer.close()

    run(program())


def test_a_second_picture_is_refused_alone() -> None:
    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip(), Clip())
            await client.begin(sender, "/whip/room")
            directions = [one.currentDirection for one in sender.getTransceivers()]
            assert directions == ["sendonly", "inactive"]
            watching = viewer("video")
            await client.begin(watching, "/whep/room")
            watcher = Watcher(received(watching, "video"))
            await until(lambda: len(watcher.frames) > 5, "the first picture was lost, too")
            await watching.close()
            await sender.close()

    run(program())


async def silence(data: bytes) -> None:
    """What a crashed client sends."""


def test_a_crashed_publisher_gives_up_its_name_and_its_place() -> None:
    async def program() -> None:
        async with relay(limits={"stale_s": 0.5, "sessions": 1}) as client:
            crashed, again = publisher(Clip()), publisher(Clip())
            await client.begin(crashed, "/whip/room")
            (first,) = client.relay.connections.open
            await until(lambda: first.video is not None and first.video.status().fps > 0)
            await again.setLocalDescription(await again.createOffer())
            status, text, _ = await client.post("/whip/room", again.localDescription.sdp)
            assert status == 503, text
            crashed.getSenders()[0].transport.transport._send = silence
            await until(lambda: first.stale)
            await again.close()
            again = publisher(Clip())
            await client.begin(again, "/whip/room")
            assert client.relay.connections.published("room") is not first
            await again.close()
            await crashed.close()

    run(program())


def test_a_publisher_that_sends_keeps_its_name() -> None:
    async def program() -> None:
        async with relay() as client:
            sender, other = publisher(Clip()), publisher(Clip())
            await client.begin(sender, "/whip/room")
            await other.setLocalDescription(await other.createOffer())
            status, _, _ = await client.post("/whip/room", other.localDescription.sdp)
            assert status == 409
            await other.close()
            await sender.close()

    run(program())


def test_the_log_tells_how_a_session_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "closeup.relay")

    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip())
            made = await client.begin(sender, "/whip/room")
            (connection,) = client.relay.connections.open
            await until(lambda: connection.video is not None and connection.video.status().fps > 0)
            await client.ask("DELETE", made["Location"])
            await sender.close()

    run(program())
    (said,) = [one.getMessage() for one in caplog.records if " ends " in one.getMessage()]
    assert re.fullmatch(
        r"[0-9a-f]{6} publish ends after \d+ s: its owner ended it; VP8, \d+ kbit/s in, "
        r"\d+ kbit/s out, \d+\.\d % lost, round trip .*; 0 open",
        said,
    )


def test_health_tells_when_the_relay_is_full() -> None:
    async def program() -> None:
        async with relay(limits={"sessions": 1}) as client:
            sender = publisher(Clip())
            assert (await client.ask("GET", "/health"))[0] == 200
            made = await client.begin(sender, "/whip/room")
            status, text, _ = await client.ask("GET", "/health")
            assert (status, json.loads(text)) == (503, {"status": "full", "sessions": 1})
            await client.ask("DELETE", made["Location"])
            assert (await client.ask("GET", "/health"))[0] == 200
            await sender.close()

    run(program())


def test_the_watch_token_opens_nothing_but_watching() -> None:
    async def program() -> None:
        tokens = {"token": "p" * 16, "watch_token": "w" * 16}
        publish, watch = ({"Authorization": f"Bearer {one}"} for one in tokens.values())
        async with relay(**tokens) as client:
            sender, watching = publisher(Clip()), viewer("video")
            await sender.setLocalDescription(await sender.createOffer())
            offer = sender.localDescription.sdp
            for path in ("/whip/room", "/call"):
                assert (await client.post(path, offer, **watch))[0] == 401
            assert (await client.ask("GET", "/metrics", headers=watch))[0] == 401
            await client.begin(sender, "/whip/room", **publish)
            made = await client.begin(watching, "/whep/room", **watch)
            status, _, _ = await client.ask("DELETE", made["Location"], headers=watch)
            assert status == 200
            await sender.close()
            await watching.close()

    run(program())
