"""The relay: calls, WHIP in, WHEP out, trickle ICE, and their end, with aiortc as the client."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.cli.arguments import parse
from stream.rtc.reception.video_receiver import VideoReceiver
from stream.rtc.relay_options import RelayOptions
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import scene_with_face
from tests.rtc_calls import Clip, Tone, Watcher, add_stage, inverted, is_inverted, until
from tests.rtc_relays import FRAGMENT, publisher, received, relay, running_relay, viewer


@pytest.fixture(autouse=True)
def camera(monkeypatch: pytest.MonkeyPatch) -> OneFace:
    """Stands in for the detector, and the network's runtime."""
    one = OneFace()
    monkeypatch.setattr("stream.graph.FaceDetector", lambda **_: one)
    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())
    return one


def test_a_call_gets_its_picture_and_sound_back() -> None:
    async def program() -> None:
        async with relay() as client:
            peer, clip, tone = rtc_calls.peer(), Clip((640, 480)), Tone()
            clip.scene = lambda size: scene_with_face(170.0, size)
            peer.addTrack(clip)
            peer.addTrack(tone)
            channel = peer.createDataChannel("closeup")
            heard: list[Any] = []
            channel.on("message", lambda text: heard.append(json.loads(text)))
            await client.begin(peer, "/call")
            picture = Watcher(received(peer, "video"))
            sound = Watcher(received(peer, "audio"))
            await until(lambda: len(picture.frames) > 10, "no pictures came back")
            await until(lambda: len(sound.frames) > 20, "no sound came back")
            await until(lambda: any("fps" in one for one in heard), "no figures came")
            status = next(one for one in heard if "fps" in one)
            assert {"faces", "enhanced", "why", "view", "delay_ms", "sound_wait_ms"} <= set(status)
            await until(lambda: any("closeups" in one for one in heard), "no close-ups came")
            told = next(one for one in heard if "closeups" in one)
            (number,) = told["closeups"]
            assert told["pictures"][str(number)].startswith("data:image/jpeg;base64,")
            (connection,) = client.relay.connections.open
            for wish in ('{"strength": 0.25, "framing": "auto"}', '{"forget": true}'):
                channel.send(wish)
            video = connection.video
            assert video is not None
            (receiver,) = [
                one for one in connection._peer.getReceivers() if isinstance(one, VideoReceiver)
            ]
            assert connection.sound is not None
            for late_ms in (0.0, 1500.0):
                receiver.estimate.late_ms = late_ms
                assert connection.sound._is_late() == (late_ms > 0.0)
            await until(lambda: (video.strength, video.framing) == (0.25, "auto"))
            for nonsense in ("{", "[]", '{"strength": 7}', '{"framing": 3}', "x" * 2000, b"x"):
                heard.clear()
                channel.send(nonsense)
                await until(lambda: any("ignored" in one.get("note", "") for one in heard))
            assert video.strength == 0.25
            await peer.close()
            await until(lambda: not client.relay.connections.open, "the session did not end")

    rtc_calls.run(program())


def test_one_publishes_and_several_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    add_stage(monkeypatch, inverted)

    async def program() -> None:
        async with relay() as client:
            clip = Clip((320, 240))
            sender = publisher(clip, Tone())
            made = await client.begin(sender, "/whip/room")
            assert sender.getTransceivers()[0].currentDirection == "sendonly"
            watchers = []
            viewers = [viewer(), viewer("video")]
            for one in viewers:
                await client.begin(one, "/whep/room")
                watchers.append(Watcher(received(one, "video")))
            sound = Watcher(received(viewers[0], "audio"))
            for watcher in watchers:
                await until(lambda w=watcher: len(w.numbers) > 10)  # type: ignore[misc]
                assert is_inverted(watcher.frames[-1])
                assert watcher.numbers == sorted(watcher.numbers)
            await until(lambda: len(sound.frames) > 10)
            await viewers[0].close()
            count = len(watchers[1].frames)
            await until(lambda: len(watchers[1].frames) > count + 5, "the other viewer lost it")
            status, text, _ = await client.post("/whip/room", sender.localDescription.sdp)
            assert (status, text) == (409, "somebody publishes room already")
            await client.ask("DELETE", made["Location"])
            await until(lambda: watchers[1].ended, "the viewer was not told")
            assert not client.relay.connections.open
            late = viewer()
            await late.setLocalDescription(await late.createOffer())
            status, text, _ = await client.post("/whep/room", late.localDescription.sdp)
            assert (status, text) == (404, "nobody publishes room now")
            for one in (sender, viewers[1], late):
                await one.close()

    rtc_calls.run(program())


def test_a_publisher_that_vanishes_is_let_go() -> None:
    async def program() -> None:
        async with relay(limits={"idle_s": 0.5}) as client:
            clip = Clip()
            sender = publisher(clip)
            await client.begin(sender, "/whip")
            (connection,) = client.relay.connections.open
            await until(lambda: connection.video is not None and connection.video.status().fps > 0)
            clip.stop()
            # A browser that is killed says nothing.
            sender.getSenders()[0].transport.transport._send = silence
            await until(lambda: not client.relay.connections.open, "it was never let go")
            await sender.close()

    async def silence(data: bytes) -> None:
        return None

    rtc_calls.run(program())


def test_trickle_ice() -> None:
    async def program() -> None:
        async with relay() as client:
            peer = publisher(Clip())
            await peer.setLocalDescription(await peer.createOffer())
            whole = peer.localDescription.sdp
            found = re.findall(r"a=candidate:.*\r\n", whole)
            bare = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", whole)
            status, answer, headers = await client.post("/whip", bare)
            assert status == 201
            assert headers["Accept-Patch"] == FRAGMENT["Content-Type"]
            place, etag = headers["Location"], headers["ETag"]
            fragment = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" + "".join(found)
            fragment += "a=end-of-candidates\r\n"

            async def patch(body: str, **more: str) -> int:
                headers = {**FRAGMENT, **{k.replace("_", "-"): v for k, v in more.items()}}
                return (await client.ask("PATCH", place, body, headers))[0]

            assert await patch(fragment) == 428
            assert await patch(fragment, If_Match='"another"') == 412
            assert await patch(fragment, If_Match="*") == 400, "no name and password"
            restart = f"a=ice-ufrag:anew\r\na=ice-pwd:{22 * 'x'}\r\n"
            assert await patch(restart, If_Match="*") == 422, "nothing is connected yet"
            assert await patch(restart, If_Match=etag) == 422
            assert await patch("a=ice-ufrag:§\r\n", If_Match="*") == 400
            assert await patch("a=candidate:nonsense\r\n", If_Match=etag) == 400
            assert await patch(100 * fragment, If_Match=etag) == 422
            assert (await client.ask("PATCH", place, fragment, {"If-Match": etag}))[0] == 415
            from aiortc import RTCSessionDescription

            await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            assert await patch(fragment, If_Match=etag) == 204
            await until(lambda: peer.connectionState == "connected", "no connection")
            assert (await client.ask("DELETE", place))[0] == 200
            assert (await client.ask("DELETE", place))[0] == 404
            assert await patch(fragment, If_Match=etag) == 404
            await peer.close()

    rtc_calls.run(program())


def test_an_answer_tells_a_browser_to_begin_sharp() -> None:
    async def program() -> None:
        async with relay(bit_rate=1_000_000) as client:
            peer = publisher(Clip())
            await peer.setLocalDescription(await peer.createOffer())
            _, answer, _ = await client.post("/whip", peer.localDescription.sdp)
            payloads = re.findall(r"a=rtpmap:(\d+) (?:VP8|H264)/90000", answer)
            assert len(payloads) > 1
            for number in payloads:
                (line,) = re.findall(rf"a=fmtp:{number} (.*)\r\n", answer)
                assert line.endswith("x-google-start-bitrate=1000")
            import aiortc.codecs.vpx

            assert aiortc.codecs.vpx.MAX_BITRATE == 1_000_000
            await peer.close()
        assert aiortc.codecs.vpx.MAX_BITRATE == 1_500_000

    rtc_calls.run(program())


def test_a_drained_relay_lets_calls_finish() -> None:
    async def program() -> None:
        async with relay(limits={"drain_s": 30.0}) as client:
            peer = rtc_calls.peer()
            peer.addTrack(Clip())
            notes: list[str] = []
            channel = peer.createDataChannel("closeup")
            channel.on("message", lambda text: notes.append(json.loads(text).get("note", "")))
            await client.begin(peer, "/call")
            await until(lambda: notes)
            draining = asyncio.create_task(client.relay.connections.drain())
            await until(lambda: "the relay ends in 30 s" in notes)
            status, text, _ = await client.ask("GET", "/health")
            assert (status, json.loads(text)["status"]) == (503, "draining")
            status, text, headers = await client.post("/call", peer.localDescription.sdp)
            assert (status, text, headers["Retry-After"]) == (503, "the relay is ending", "10")
            assert not draining.done()
            await peer.close()
            await draining

    rtc_calls.run(program())


def test_health_metrics_and_the_page() -> None:
    async def program() -> None:
        async with relay() as client:
            status, text, _ = await client.ask("GET", "/health")
            assert (status, json.loads(text)) == (200, {"status": "ok", "sessions": 0})
            peer = publisher(Clip())
            await client.begin(peer, "/whip")
            for name in ("closeup_open_sessions 1.0", "closeup_publish_sessions_total 1.0"):
                assert name in (await client.ask("GET", "/metrics"))[1]
            metrics = ""
            while "closeup_frame_age_seconds_count" not in metrics:
                metrics = (await client.ask("GET", "/metrics"))[1]
                await asyncio.sleep(0.1)
            await peer.close()
            for path in ("/", "/relay.js", "/freshness.js", "/relay.css"):
                status, _, headers = await client.ask("GET", path)
                assert status == 200
                assert "default-src 'self'" in headers["Content-Security-Policy"]

    rtc_calls.run(program())


@pytest.mark.parametrize("network", ["auto", "small", "full"])
def test_every_call_has_the_network_that_was_asked_for(network: str) -> None:
    options = parse(["--input", "webrtc", "--port", "0", "--network", network])
    assert isinstance(options, RelayOptions)

    async def program() -> None:
        async with running_relay(options) as client:
            shared_runtime = client.relay.shared_runtime
            assert (shared_runtime.network, shared_runtime.lend().network) == (network, network)

    rtc_calls.run(program())
