"""ICE restarts: a call goes on by another way, and its media do not stop meanwhile."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc import RTCPeerConnection

from stream.rtc.ice.ice_connection import IceConnection
from stream.rtc.ice.ice_options import IceOptions
from stream.rtc.ice.ice_restart import answer_fragment, parse_fragment
from stream.rtc.peer import RelayPeer
from tests.rtc_calls import Clip, run, until
from tests.rtc_relays import FRAGMENT, Client, relay

pytestmark = pytest.mark.usefixtures("camera", "opened")


def ice_of(peer: RTCPeerConnection) -> IceConnection:
    ice = peer.getTransceivers()[0].receiver.transport.transport._connection
    assert isinstance(ice, IceConnection)
    return ice


async def restart(client: Client, peer: RTCPeerConnection, place: str, tag: str) -> str:
    """Restart both ends, as a WHIP client does; returns the new ETag."""
    name, password = "anew", 22 * "x"
    text = f"m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:{name}\r\na=ice-pwd:{password}"
    status, answer, headers = await client.ask(
        "PATCH", place, text + "\r\n", {**FRAGMENT, "If-Match": "*"}
    )
    assert status == 200, answer
    assert headers["Content-Type"] == FRAGMENT["Content-Type"]
    assert headers["ETag"] != tag
    found, ice = parse_fragment(answer), ice_of(peer)
    assert found.username is not None
    assert found.password is not None
    assert found.ended
    await ice.restart(found.username, found.password)
    ice._local_username, ice._local_password = name, password
    for _, candidate in found.candidates:
        candidate.sdpMid = "0"
        peer.getTransceivers()[
            0
        ].receiver.transport.transport.iceGatherer._remote_candidates_end = False
        await peer.addIceCandidate(candidate)
    return str(headers["ETag"])


def test_a_publisher_restarts_twice_and_its_pictures_go_on() -> None:
    async def program() -> None:
        async with relay() as client:
            peer = RelayPeer(IceOptions(candidates="all"), loopback=True)
            clip = Clip((320, 240), fps=15)
            peer.addTransceiver(clip, direction="sendonly")
            made = await client.begin(peer, "/whip")
            (connection,) = client.relay.connections.open
            tag = made["ETag"]
            for _ in range(2):
                tag = await restart(client, peer, made["Location"], tag)
                theirs = ice_of(connection._peer)
                await until(lambda: theirs._nominated and not theirs._former, "no new way")  # noqa: B023
                pictures = connection.stream.worker
                assert pictures is not None
                count = pictures._arrived
                await until(lambda: pictures._arrived > count + 15, "no pictures any more")  # noqa: B023
                assert peer.connectionState == "connected"
                assert connection.connected
                assert theirs._query_consent_task is not None
                assert not theirs._query_consent_task.done()
            late = {**FRAGMENT, "If-Match": tag}
            assert (await client.ask("PATCH", made["Location"], "a=end-of-candidates", late))[
                0
            ] == 204
            await peer.close()

    run(program())


def test_a_restart_that_nobody_answers_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.rtc.ice.ice_connection.RESTART_S", 0.5)

    async def program() -> None:
        async with relay() as client:
            peer = RelayPeer(IceOptions(candidates="all"), loopback=True)
            peer.addTransceiver(Clip((320, 240)), direction="sendonly")
            made = await client.begin(peer, "/whip")
            text = f"a=ice-ufrag:anew\r\na=ice-pwd:{22 * 'x'}\r\n"
            ask = {**FRAGMENT, "If-Match": "*"}
            assert (await client.ask("PATCH", made["Location"], text, ask))[0] == 200
            await until(lambda: not client.relay.connections.open, "it was kept for ever")
            await peer.close()

    run(program())


def test_fragments() -> None:
    found = parse_fragment(
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n"
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n"
    )
    assert (found.username, found.password, found.ended) == (
        "EsAw",
        "P2uYro0UCOQ4zxjKXaWCBui1",
        False,
    )
    ((mid, candidate),) = found.candidates
    assert (mid, candidate.ip, candidate.port) == ("0", "192.0.2.1", 61764)
    for wrong in ("a=ice-ufrag:x", "a=ice-pwd:short", "a=candidate:nonsense"):
        with pytest.raises(ValueError, match=r"malformed|understood"):
            parse_fragment(wrong)


def test_an_answer_names_this_side() -> None:
    async def program() -> None:
        ice = IceConnection(IceOptions(), loopback=True, local_username="abcd",
                            local_password=22 * "y")  # fmt: skip
        await ice.gather_candidates()
        text = answer_fragment(ice, "7")
        assert "a=mid:7\r\na=ice-ufrag:abcd\r\n" in text
        assert re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 \d+ typ host", text)
        assert len(parse_fragment(text).candidates) == len(ice.local_candidates)
        await ice.close()

    run(program())
