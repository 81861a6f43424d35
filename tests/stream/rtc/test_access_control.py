"""Trust: what strangers, careless programs and attackers get from the relay."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import threading
from typing import Any

import pytest

from stream.rtc.access_control import ADDRESSES, Rate
from stream.rtc.relay_options import RelayOptions
from stream.telemetry.process_memory import resident_bytes
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.rtc_calls import Clip, until
from tests.rtc_relays import SDP, publisher, relay

TOKEN = "a-secret-of-the-house"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the detector and the network's runtime."""
    monkeypatch.setattr("stream.graph.FaceDetector", OneFace)
    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())


async def an_offer() -> str:
    peer = publisher(Clip())
    await peer.setLocalDescription(await peer.createOffer())
    sdp: str = peer.localDescription.sdp
    await peer.close()
    return sdp


def test_the_token() -> None:
    async def program() -> None:
        async with relay(token=TOKEN) as client:
            offer = await an_offer()
            given: list[dict[str, str]] = [{}]
            for words in ("Bearer wrong", TOKEN, "Bearer", f"Basic {TOKEN}"):
                given.append({"Authorization": words})
            for wrong in given:
                for path in ("/call", "/whip", "/whep/x"):
                    status, _, headers = await client.ask("POST", path, offer, {**SDP, **wrong})
                    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
                assert (await client.ask("GET", "/metrics", headers=wrong))[0] == 401
                assert (await client.ask("DELETE", "/session/x", headers=wrong))[0] == 401
            assert not client.relay.connections.open
            assert (await client.ask("GET", "/"))[0] == 200
            assert (await client.ask("GET", "/health"))[0] == 200
            assert (await client.ask("GET", "/metrics", headers=BEARER))[0] == 200
            peer = publisher(Clip())
            made = await client.begin(peer, "/whip", **BEARER)
            assert (await client.ask("DELETE", made["Location"]))[0] == 401
            assert (await client.ask("DELETE", made["Location"], headers=BEARER))[0] == 200
            await peer.close()

    rtc_calls.run(program())
    assert TOKEN not in repr(RelayOptions(token=TOKEN))


def test_origins_and_hosts() -> None:
    async def program() -> None:
        async with relay(origins=("https://friend.example",)) as client:
            host = client.relay.url.split("/")[2]

            async def ask(method: str = "OPTIONS", **headers: str) -> Any:
                return await client.ask(method, "/whip", headers=headers)

            status, _, headers = await ask(Origin="https://friend.example")
            assert status == 204
            assert headers["Access-Control-Allow-Origin"] == "https://friend.example"
            assert "Authorization" in headers["Access-Control-Allow-Headers"]
            assert {"PATCH", "DELETE"} <= set(headers["Access-Control-Allow-Methods"].split(", "))
            assert "Location" in headers["Access-Control-Expose-Headers"]
            assert headers["Accept-Post"] == "application/sdp"
            assert (await ask(Origin=f"http://{host}"))[0] == 204
            for stranger in (
                "https://evil.example",
                "null",
                f"https://{host}",
                "http://friend.example",
            ):
                status, _, headers = await ask(Origin=stranger)
                assert status == 403
                assert "Access-Control-Allow-Origin" not in headers
                assert (await ask("POST", Origin=stranger))[0] == 403
            # a name of the attacker's that points at this machine
            assert (await ask(Host="evil.example"))[0] == 403
            assert (await ask(Host="localhost:1"))[0] == 204
            status, _, headers = await ask("POST", Origin="https://friend.example")
            assert (status, headers["Access-Control-Allow-Origin"]) == (
                415,
                "https://friend.example",
            )

    rtc_calls.run(program())


def test_what_is_no_offer() -> None:
    async def program() -> None:
        async with relay() as client:
            offer = await an_offer()
            asked = {
                "": 400,
                "hello": 400,
                "v=0\r\n" * 5: 422,
                offer[: len(offer) // 2]: 400,
                offer.replace("a=fingerprint", "a=fingerprinx"): 400,
                offer.replace("a=ice-ufrag", "a=ice-ufrax"): 400,
                offer.replace("m=video", "m=image"): 422,
                offer.replace("a=sendonly", "a=recvonly"): 422,
                offer.replace("m=video", "m=audio"): 422,
                offer + offer[offer.index("m=video") :]: 400,  # the same mid twice
                offer + 200 * "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n": 422,
                "\0" * 100: 400,
            }
            for body, wanted in asked.items():
                status, text, _ = await client.post("/whip", body)
                assert status == wanted, (status, text, body[:200])
                assert "\n" not in text
            assert (await client.ask("POST", "/whip", b"\xff\xfe" * 50, SDP))[0] == 400
            assert (await client.ask("POST", "/whip", offer, {"Content-Type": "text/plain"}))[
                0
            ] == 415
            assert (await client.post("/whip", "v=0\r\n" + "a=x\r\n" * 40_000))[0] == 413
            assert (await client.post("/whip/a%20b", offer))[0] == 404
            for method in ("GET", "PUT", "DELETE", "PATCH"):
                assert (await client.ask(method, "/whip"))[0] == 405
            assert (await client.ask("DELETE", "/session/unknown"))[0] == 404
            assert not client.relay.connections.open

    rtc_calls.run(program())


def test_limits_on_sessions_time_and_half_open_ones() -> None:
    async def program() -> None:
        limits = {"sessions": 2, "connect_s": 1.5}
        async with relay(limits=limits) as client:
            offer = await an_offer()
            for name in ("a", "b"):
                assert (await client.post(f"/whip/{name}", offer))[0] == 201
            status, text, headers = await client.post("/whip/c", offer)
            assert (status, headers["Retry-After"]) == (503, "10")
            assert "as many connections" in text
            # nobody ever connects to the two
            await until(lambda: not client.relay.connections.open, "half-open sessions stay")
            assert (await client.post("/whip/c", offer))[0] == 201
        async with relay(limits={"session_s": 1.0}) as client:
            peer = publisher(Clip())
            await client.begin(peer, "/whip")
            await until(lambda: not client.relay.connections.open, "it lasts for ever")
            await peer.close()

    rtc_calls.run(program())


def test_a_request_that_never_ends() -> None:
    async def program() -> None:
        async with relay(limits={"body_s": 0.3}) as client:
            host, port = client.relay.url.split("/")[2].split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            head = f"POST /whip HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/sdp\r\n"
            writer.write(f"{head}Content-Length: 5000\r\n\r\nv=0".encode())
            assert b" 408 " in await reader.readline()
            writer.close()

    rtc_calls.run(program())


def test_a_thousand_requests_in_a_row() -> None:
    """Most are refused; nothing of them is left, and others than the first 40 cost nothing."""

    async def program() -> None:
        async with relay() as client:
            offer = await an_offer()
            threads = threading.active_count()
            for name in range(20):
                status, _, headers = await client.post(f"/whip/{name}", offer)
                if status == 201:
                    await client.ask("DELETE", headers["Location"])
            gc.collect()
            before = resident_bytes() or 0
            statuses = []
            for _ in range(500):
                statuses.append((await client.post("/whip", "nonsense"))[0])
                statuses.append((await client.ask("DELETE", "/session/x"))[0])
            gc.collect()
            assert set(statuses) <= {400, 404, 429}
            assert (resident_bytes() or 0) - before < 50e6
            assert threading.active_count() <= threads + 8
            assert not client.relay.connections.open

    rtc_calls.run(program())


def test_the_rate_of_one_address() -> None:
    rate = Rate(2.0, 5)
    assert [rate.allows("a", 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert rate.allows("b", 0.0)
    assert [rate.allows("a", 1.0) for _ in range(3)] == [True, True, False]
    for number in range(2 * ADDRESSES):
        rate.allows(str(number), 1.0)
    assert len(rate._left) == ADDRESSES

    async def program() -> None:
        async with relay(limits={"requests_a_second": 1.0}) as client:
            statuses = [(await client.ask("GET", "/health"))[0] for _ in range(1100)]
            assert statuses[:900] == [200] * 900
            assert statuses[-1] == 429
            _, _, headers = await client.ask("GET", "/health")
            assert headers["Retry-After"] == "2"

    rtc_calls.run(program())


def test_nothing_of_a_face_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "closeup")

    async def program() -> None:
        async with relay() as client:
            peer = publisher(Clip())
            made = await client.begin(peer, "/whip/secret-room")
            (connection,) = client.relay.connections.open
            video = connection.video
            assert video is not None
            await until(lambda: video.status().fps > 0)
            await client.ask("DELETE", made["Location"])
            await peer.close()
            assert made["Location"].rsplit("/")[-1] not in caplog.text

    rtc_calls.run(program())
    assert not re.search(r"room|candidate|ufrag|\d+\.\d+\.\d+\.\d+", caplog.text)
    said = [one.getMessage() for one in caplog.records if one.name.startswith("closeup")]
    told = [re.fullmatch(r"[0-9a-f]{6} publish (begins|ends).*", line) for line in said]
    assert [one[1] for one in told if one] == ["begins", "ends"]
    assert len(told) == 2
    assert "secret-room" not in caplog.text
