"""Every option of the relay, and what its page says, reaches who must obey it."""

from __future__ import annotations

import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

import aiortc.codecs.vpx
from aiohttp import web

from engines.personal.close_ups import MOST_CLOSE_UPS
from run_pipeline import main
from stream.frame import Frame
from stream.graph import Stages
from stream.live_learning import LEARNING, LearningPermit, LiveLearning
from stream.option_table import WEIGHTS
from stream.rtc.ice.ice_connection import IceConnection
from stream.rtc.relay_options import RelayOptions
from stream.rtc.server import run_relay
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.exemplars.bank import Bank
from stream.stages.exemplars.exemplar_set import CAPACITY
from stream.stages.framing.framing import Framing
from stream.telemetry.metrics import FRAMES
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.rtc_calls import Clip, Watcher, add_stage, until
from tests.rtc_relays import Client, publisher, received, running_relay, viewer
from tests.wiring import CAMERA, OTHER_WEIGHTS, arguments, names_of, record, stand_in

TOKEN = "0123456789abcdef"
ORIGIN = "https://a.example"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


def asked(
    way: str, folder: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> RelayOptions:
    """What the command line hands to the relay."""
    with monkeypatch.context() as patch:
        calls = stand_in(patch, "stream.rtc.server.run_relay", run_relay)
        assert main(arguments(way, folder, values)) == 0
    options = calls[0]["options"]
    assert isinstance(options, RelayOptions)
    assert calls[0]["say"] is not None
    return options


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_every_option(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: OneFace,
    opened: OpenedRuntimes,
) -> None:  # fmt: skip
    values: dict[str, Any] = {
        **{"input": ["webrtc"], "host": "localhost", "port": 0, "token": TOKEN},
        **{"origin": [ORIGIN], "max-sessions": 1, "max-minutes": 5.0, "bit-rate": 2500},
        **{"stun": "stun.example:3478", "framing": "fixed", "strength": 0.4, "detail": 0.2},
        **{
            "runtime": "onnxruntime-cpu",
            "weights": OTHER_WEIGHTS,
            "network": "full",
            "turn": ["turn:turn.example"],
            "turn-user": "closeup",
        },
        **{"turn-password": "a-password", "udp-ports": "41000-41019"},
        **{"public-address": "203.0.113.7", "candidates": "public"},
        **{"trusted-proxies": ["192.0.2.0/24"], "path-prefix": "/closeup", "log": "info"},
        **{"watch-token": 2 * TOKEN, "measure": False},
    }
    assert names_of("relay") == {*values, "cert", "key", "turn-secret", "learn-live"}
    options = asked(way, tmp_path, values, monkeypatch)
    framing, compositors = record(monkeypatch, Framing), record(monkeypatch, Compositor)
    banks, places = record(monkeypatch, Bank), record(monkeypatch, web.TCPSite)
    strengths, details = list[float](), list[float]()

    def seen(frame: Frame) -> Frame:
        stages = stages_of(client_[0])
        strengths.append(stages.compositor.strength)
        details.extend(one.detail for one in stages.all if isinstance(one, Enhancer))
        return frame

    add_stage(monkeypatch, seen)
    asked_servers: list[str] = []
    enhancers = record(monkeypatch, Enhancer)

    async def no_server(self: Any, server: Any) -> None:
        asked_servers.append(getattr(server, "url", "stun"))

    monkeypatch.setattr(IceConnection, "_reflexive", no_server)
    monkeypatch.setattr(IceConnection, "_relayed", no_server)
    client_: list[Client] = []

    async def program() -> None:
        async with running_relay(options) as client:
            client_.append(client)
            assert [str(proxy) for proxy in options.trusted_proxies] == ["192.0.2.0/24"]
            assert options.log == "info"
            assert (places[0]["host"], places[0]["port"]) == ("localhost", 0)
            assert places[0]["ssl_context"] is None
            assert aiortc.codecs.vpx.MAX_BITRATE == 2_500_000
            assert set(opened.weights) == {OTHER_WEIGHTS}
            assert set(opened.names) == {"onnxruntime-cpu"}
            status, page, _ = await client.ask("GET", "/")
            assert status == 200
            for name, value in (("strength", 0.4), ("detail", 0.2)):
                slider = f'id="{name}" type="range" min="0" max="1" step="0.01" value="{value}"'
                assert slider in page
            assert 'value="fixed" checked' in page
            assert 'value="auto" checked' not in page
            assert (await client.ask("GET", "/metrics"))[0] == 401
            assert (await client.ask("GET", "/whep"))[0] == 401
            watch = {"Authorization": f"Bearer {2 * TOKEN}"}
            assert (await client.ask("GET", "/whep", headers=watch))[0] == 405
            headers = {"Origin": ORIGIN, **WITH_TOKEN}
            status, _, found = await client.ask("OPTIONS", "/call", headers=headers)
            assert found["Access-Control-Allow-Origin"] == ORIGIN
            assert found.getall("Link") == [
                '<stun:stun.example:3478>; rel="ice-server"',
                '<turn:turn.example:3478?transport=udp>; rel="ice-server"; username="closeup"; '
                'credential="a-password"; credential-type="password"',
            ]
            one, clip = rtc_calls.peer(), Clip((320, 240))
            one.addTrack(clip)
            channel = one.createDataChannel("closeup")
            heard: list[Any] = []
            channel.on("message", lambda text: heard.append(json.loads(text)))
            begun = await client.begin(one, "/call", **WITH_TOKEN)
            assert begun["Location"].startswith("/closeup/session/")
            assert set(asked_servers) == {"stun", "turn:turn.example:3478?transport=udp"}
            (way,) = set(one._RTCPeerConnection__iceTransports)  # type: ignore[attr-defined]
            offered = way.getRemoteCandidates()
            ports = {candidate.port for candidate in offered if candidate.type == "host"}
            assert ports
            assert ports <= set(range(41_000, 41_020))
            assert "203.0.113.7" in {c.ip for c in offered if c.type == "srflx"}
            assert "x-google-start-bitrate=1500" in one.remoteDescription.sdp
            Watcher(received(one, "video"))
            await until(lambda: strengths, "nothing went through the stages")
            assert (framing[0]["mode"], framing[0]["source_size"]) == ("fixed", (320, 240))
            assert (strengths[0], details[0]) == (0.4, 0.2)
            assert enhancers[0]["open_small"].__self__.network == "full"
            assert banks[0]["camera"] == compositors[0]["camera"] == CAMERA
            assert client.relay.connections.metrics.counter(FRAMES) > 0
            channel.send('{"strength": 0.7, "detail": 0.9, "framing": "auto"}')
            await until(lambda: framing[-1]["mode"] == "auto", "the page's framing got lost")
            await until(lambda: strengths[-1] == 0.7, "the page's strength got lost")
            await until(lambda: details[-1] == 0.9, "the page's detail got lost")
            await until(lambda: any(told(one, 0.7, 0.9, "auto") for one in heard))
            video = client.relay.connections.open[0].video
            assert video is not None
            video._worker._tell("a line of a stage")
            await until(lambda: any(one.get("note") == "a line of a stage" for one in heard))
            status, answer, _ = await client.post("/call", "v=0", **WITH_TOKEN)
            assert status == 503, answer
            (connection,) = client.relay.connections.open
            connection.began_s = time.monotonic() - 240.0
            assert not connection.overdue()
            connection.began_s = time.monotonic() - 301.0
            assert connection.overdue() == "it lasted as long as it may"
            assert set(opened.weights) == {OTHER_WEIGHTS}
            assert set(opened.names) == {"onnxruntime-cpu"}, "every call shares the relay's runtime"
            await one.close()

    rtc_calls.run(program())


def told(message: dict[str, Any], strength: float, detail: float, framing: str) -> bool:
    """Whether the relay tells the page of these."""
    known = (message.get("strength"), message.get("detail"), message.get("framing"))
    return known == (strength, detail, framing)


def stages_of(client: Client) -> Stages:
    """Of the one call that is open."""
    video = client.relay.connections.open[0].video
    assert video is not None
    assert video._worker._session is not None
    return video._worker._session._stages


def test_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: OneFace, opened: OpenedRuntimes
) -> None:
    paths = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    for path in paths:
        path.touch()
    values = {"input": ["webrtc"], "port": 0, "cert": str(paths[0]), "key": str(paths[1])}
    options = asked("argv", tmp_path, values, monkeypatch)
    places, loaded = record(monkeypatch, web.TCPSite), list[Any]()

    class Context(ssl.SSLContext):
        """One that notes its files instead of reading them."""

        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            loaded.append([certfile, keyfile])

    context = Context(ssl.PROTOCOL_TLS_SERVER)
    monkeypatch.setattr("ssl.create_default_context", lambda purpose: context)

    async def program() -> None:
        async with running_relay(options) as client:
            assert client.relay.url.startswith("https://")

    rtc_calls.run(program())
    assert loaded == [paths]
    assert places[0]["ssl_context"] is context


def test_publishers_and_viewers_get_the_same_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: OneFace, opened: OpenedRuntimes
) -> None:
    values = {"input": ["webrtc"], "port": 0, "framing": "fixed", "strength": 0.4}
    options = asked("argv", tmp_path, values, monkeypatch)
    framing = record(monkeypatch, Framing)

    async def program() -> None:
        async with running_relay(options) as client:
            clip, watching = Clip((320, 240)), viewer("video")
            sender = publisher(clip)
            await client.begin(sender, "/whip/room")
            await client.begin(watching, "/whep/room")
            watcher = Watcher(received(watching, "video"))
            await until(lambda: len(watcher.frames) > 3 and framing, "nothing came")
            assert framing[0]["mode"] == "fixed"
            assert client.relay.connections.published("room") is not None
            await watching.close()
            await sender.close()

    rtc_calls.run(program())


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_a_relay_that_learns(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, camera: OneFace,
    opened: OpenedRuntimes,
) -> None:  # fmt: skip
    learning, enhancers = record(monkeypatch, LiveLearning), record(monkeypatch, Enhancer)
    banks = record(monkeypatch, Bank)
    for on in (True, False):
        values = {"input": ["webrtc"], "port": 0} | ({"learn-live": True} if on else {})
        options = asked(way, tmp_path, values, monkeypatch)
        assert options.learn_live == on

        async def program(options: RelayOptions = options, on: bool = on) -> None:
            async with running_relay(options) as client:
                heard: list[Any] = []
                callers = []
                for _ in range(2):
                    one = rtc_calls.peer()
                    one.addTrack(Clip((320, 240)))
                    channel = one.createDataChannel("closeup")
                    channel.on("message", lambda text: heard.append(json.loads(text)))
                    await client.begin(one, "/call")
                    Watcher(received(one, "video"))
                    callers.append(one)
                want = "learning rests" if on else ""
                await until(lambda: len(learning) == 2, "nobody is learnt")
                if on:
                    for call in learning:
                        call["call"].metrics.set(LEARNING, 0)
                await until(lambda: any(one.get("learning") == want for one in heard))
                for caller in callers:
                    await caller.close()

        rtc_calls.run(program())
    assert len(learning) == 2, "a call each, and none without the option"
    assert learning[0]["permit"] is learning[1]["permit"] is not None
    personal = [one["personal"] for one in enhancers]
    assert personal[:2] == [one["personal"] for one in learning]
    assert personal[2:] == [None, None]
    assert [one["capacity"] for one in banks] == [MOST_CLOSE_UPS] * 2 + [CAPACITY] * 2
    assert all(one["personal"]._closed for one in learning), "nothing of them is left"


def test_learning_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"input": ["webrtc"], "port": 0, "learn-live": True}
    assert main(arguments("argv", tmp_path, {**values, "weights": OTHER_WEIGHTS})) == 2
    said = capsys.readouterr().err
    assert f"error: --learn-live starts from the {WEIGHTS.default} weights" in said
    monkeypatch.setattr("stream.cli.arguments.lacking", lambda: "learning needs torch")
    assert main(arguments("argv", tmp_path, values)) == 2
    assert capsys.readouterr().err == "error: learning needs torch\n"


def test_a_track_of_a_program(
    monkeypatch: pytest.MonkeyPatch, camera: OneFace, opened: OpenedRuntimes
) -> None:
    from stream.rtc import SharedRuntime
    from stream.telemetry.metrics import Metrics

    framing, compositors = record(monkeypatch, Framing), record(monkeypatch, Compositor)
    metrics, said = Metrics(), list[str]()

    async def program() -> None:
        with SharedRuntime("onnxruntime-cpu", OTHER_WEIGHTS) as shared_runtime:
            track = rtc_calls.track_class()(
                Clip((320, 240)), framing="fixed", strength=0.4, detail=0.2,
                shared_runtime=shared_runtime, camera=CAMERA, metrics=metrics, say=said.append,
            )  # fmt: skip
            Watcher(track)
            await until(lambda: metrics.counter(FRAMES), "the metrics stay empty")
            assert framing[0]["mode"] == "fixed"
            assert compositors[0]["camera"] == CAMERA
            assert set(opened.weights) == {OTHER_WEIGHTS}
            assert set(opened.names) == {"onnxruntime-cpu"}
            status = track.status()
            assert (status.strength, status.detail, status.framing) == (0.4, 0.2, "fixed")
            assert track._worker._session is not None
            assert track._worker._session.strength == 0.4
            assert track._worker._session.detail == 0.2
            track._worker._tell("a line")
            assert said == ["a line"]
            track.stop()
            await track.closed()

    rtc_calls.run(program())


def test_a_track_that_learns(
    monkeypatch: pytest.MonkeyPatch, camera: OneFace, opened: OpenedRuntimes
) -> None:
    from stream.rtc import SharedRuntime

    learning, permit = record(monkeypatch, LiveLearning), LearningPermit()

    async def program() -> None:
        with SharedRuntime("onnxruntime-cpu") as shared_runtime:
            clip = Clip((320, 240))
            track = rtc_calls.track_class()(clip, shared_runtime=shared_runtime, permit=permit)
            Watcher(track)
            await until(lambda: learning, "nobody is learnt")
            assert learning[0]["permit"] is permit
            track.stop()
            await track.closed()

    rtc_calls.run(program())
