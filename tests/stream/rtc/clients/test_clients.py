"""Closeup between two servers: takes a stream by WHEP, gives one back by WHIP; relays are both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from run_pipeline import main
from stream import live
from stream.cli.arguments import parse
from stream.options import LiveOptions
from stream.rtc.clients.server_session import ice_options
from stream.telemetry.report import Report
from tests.rtc_calls import Clip, Tone, Watcher, run, until
from tests.rtc_relays import Client, publisher, received, relay, viewer

pytestmark = pytest.mark.usefixtures("camera", "opened")
TOKEN = "a-secret-of-the-house"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


class Call:
    """A call between two streams, in a thread."""

    def __init__(self, source: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes: list[str] = []
        given = ["--input", source, "--output", target, "--headless", "--framing", "fixed"]
        options = parse(given)
        assert isinstance(options, LiveOptions)
        self._ending = live.Ending()
        monkeypatch.setattr(live, "Ending", lambda: self._ending)
        self._running = asyncio.create_task(
            asyncio.to_thread(live.run_call, options, self.notes.append)
        )

    async def end(self) -> Report:
        self._ending.asked = True
        return await self._running

    def check(self) -> None:
        if self._running.done():
            self._running.result()


@asynccontextmanager
async def between(
    client: Client, monkeypatch: pytest.MonkeyPatch, *tracks: Any
) -> AsyncIterator[tuple[Call, Any]]:
    """A publisher, a call that takes its stream and gives it back as "out", and the viewer."""
    base = client.relay.url.rstrip("/")
    sender = publisher(*tracks)
    await client.begin(sender, "/whip/cam", **WITH_TOKEN)
    call = Call(f"whep+{base}/whep/cam", f"whip+{base}/whip/out", monkeypatch)

    def published() -> bool:
        call.check()
        out = client.relay.connections.published("out")
        return out is not None and out.connected

    await until(published, "nothing came back")
    watching = viewer(*(track.kind for track in tracks))
    await client.begin(watching, "/whep/out", **WITH_TOKEN)
    try:
        yield call, watching
    finally:
        await call.end()
        await watching.close()
        await sender.close()


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSEUP_INPUT_TOKEN", TOKEN)
    monkeypatch.setenv("CLOSEUP_OUTPUT_TOKEN", TOKEN)


def test_picture_and_sound_come_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    began_s = time.monotonic()

    def on() -> bool:
        return (time.monotonic() - began_s) % 2.0 < 0.5

    async def program() -> None:
        async with relay(token=TOKEN) as client:
            clip, tone = Clip((320, 240), fps=15), Tone()
            clip.scene = lambda size: np.full((*size[::-1], 3), 220 if on() else 40, np.uint8)
            tone.level = lambda: float(on())
            async with between(client, monkeypatch, clip, tone) as (_, watching):
                pictures = Watcher(received(watching, "video"))
                sounds = Watcher(received(watching, "audio"))
                await asyncio.sleep(9.0)
                bright = [frame.to_ndarray(format="gray")[100:].mean() for frame in pictures.frames]
                loud = [np.abs(frame.to_ndarray().astype(int)).mean() for frame in sounds.frames]
                seen, heard = edges(pictures, bright, 130.0), edges(sounds, loud, 500.0)
                assert len(seen) > 2
                gaps = sorted(min((one - other for other in heard), key=abs) for one in seen)
                # ITU-R BT.1359: noticed from 45 ms early and 125 ms late; frames come every 67 ms.
                assert abs(gaps[len(gaps) // 2]) < 0.125, gaps

    run(program())


def edges(watcher: Watcher, levels: list[Any], middle: float) -> list[float]:
    """When it got bright, or loud."""
    pairs = zip(levels, levels[1:], watcher.times_s[1:], strict=False)
    return [when for before, after, when in pairs if before < middle < after]


def test_a_publisher_that_comes_back_is_seen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        async with (
            relay(token=TOKEN) as client,
            between(client, monkeypatch, Clip((320, 240))) as (call, watching),
        ):
            pictures = Watcher(received(watching, "video"))
            await until(lambda: len(pictures.frames) > 10, "no pictures")
            ended = client.relay.connections.published("cam")
            assert ended is not None
            await client.relay.connections.end(ended, "the test ends it")
            await until(lambda: any("is lost" in note for note in call.notes))
            again = publisher(Clip((320, 240)))
            await client.begin(again, "/whip/cam", **WITH_TOKEN)
            await until(lambda: "the stream is back" in call.notes)
            seen = len(pictures.frames)
            await until(lambda: len(pictures.frames) > seen + 10, "no pictures any more")
            await again.close()

    run(program())


def test_a_server_that_loses_the_output_gets_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def program() -> None:
        async with (
            relay(token=TOKEN) as client,
            between(client, monkeypatch, Clip((320, 240))) as (call, _),
        ):
            ended = client.relay.connections.published("out")
            assert ended is not None
            await client.relay.connections.end(ended, "the test ends it")
            await until(lambda: any(note.endswith("is back") for note in call.notes))
            assert call.notes[0].startswith(f"whip+{client.relay.url.rstrip('/')} is lost")

            def comes() -> bool:
                found = client.relay.connections.published("out")
                return found is not None and found.video is not None and found.silent_s < 1.0

            await until(comes, "no pictures any more")

    run(program())


def test_a_server_that_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ask(*given: str) -> str:
        assert await asyncio.to_thread(main, list(given)) == 2
        error = capsys.readouterr().err.strip()
        assert "\n" not in error
        assert TOKEN not in error
        return error

    async def program() -> None:
        async with relay(token=TOKEN) as client:
            base = client.relay.url.rstrip("/")
            source, output = f"whep+{base}/whep/nobody", str(tmp_path / "call.mp4")
            told = await ask("--input", source, "--headless", "--output", output)
            assert told == f"error: whep+{base}: it answers 404: nobody publishes nobody now"
            monkeypatch.setenv("CLOSEUP_INPUT_TOKEN", "wrong")
            told = await ask("--input", source, "--headless", "--output", output)
            assert "it answers 401: a bearer token is needed (is the token right?)" in told
            monkeypatch.setenv("CLOSEUP_OUTPUT_TOKEN", "wrong")
            lavfi, target = "lavfi:testsrc2=size=320x240:rate=15", f"whip+{base}/whip/out"
            told = await ask("--input", lavfi, "--headless", "--output", target)
            assert told.startswith(f"error: whip+{base} cannot be written: it answers 401")
        told = await ask("--input", lavfi, "--headless", "--output", target)
        assert told.startswith(f"error: whip+{base} cannot be written: it cannot be reached")

    run(program())


def test_link_headers_name_stun_and_turn() -> None:
    """RFC 9725, 4.6; also several in one header."""
    found = ice_options(
        [
            '<stun:stun.example.net>; rel="ice-server"',
            '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; '
            'credential="myPassword"; credential-type="password", '
            '<turns:turn.example.net:443?transport=tcp>; rel="ice-server"; username="user"; '
            'credential="myPassword"; credential-type="password"',
            '<https://example.net/next>; rel="next"',
            '<turn:bad:99999>; rel="ice-server"',
        ]
    )
    assert found.stun == "stun.example.net:3478"
    assert [one.url for one in found.turn] == [
        "turn:turn.example.net:3478?transport=udp",
        "turns:turn.example.net:443?transport=tcp",
    ]
    assert found.credentials() == ("user", "myPassword")
