"""What the relay offers and sends by way of ICE: candidates, ports, servers, strangers."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest

from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import publisher, received, relay, viewer

pytestmark = pytest.mark.usefixtures("camera", "opened")
STRANGER = "198.51.100.9"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server is known to be dead."""
    monkeypatch.setattr("stream.rtc.ice.ice_connection._dead", {})


async def offer_of(peer: Any) -> str:
    """Its offer, with its candidates."""
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


def test_a_viewer_that_names_no_address_of_its_own_gets_the_picture() -> None:
    """As browsers do without a camera: .local names, and the end of candidates."""

    async def program() -> None:
        async with relay() as client:
            sender, watching = publisher(Clip()), viewer("video")
            await client.begin(sender, "/whip/room")
            offer = await offer_of(watching)
            hidden = re.sub(
                r"(a=candidate:\S+ 1 udp \d+ )\S+", r"\1c2a1e1ff-0d4a.local", offer
            )  # fmt: skip
            assert ".local" in hidden
            assert "a=end-of-candidates" in hidden
            status, answer, _ = await client.post("/whep/room", hidden)
            assert status == 201
            assert "a=candidate:" in answer
            from aiortc import RTCSessionDescription

            await watching.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            watcher = Watcher(received(watching, "video"))
            await until(lambda: len(watcher.frames) > 5, "no picture came")
            await sender.close()
            await watching.close()

    run(program())


def sent_to(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which the relay sends checks."""
    from aioice.ice import StunProtocol

    hosts: list[str] = []

    def note(self: Any, message: Any, addr: tuple[str, int]) -> None:
        hosts.append(addr[0])

    monkeypatch.setattr(StunProtocol, "send_stun", note)
    return hosts


@pytest.mark.parametrize(
    ("options", "named", "reached"),
    [
        ({}, ["198.51.100.9", "10.1.2.3"], set()),
        ({"host": "0.0.0.0"}, ["8.8.4.4", "10.1.2.3", "127.0.0.1", "169.254.1.1"], {"8.8.4.4"}),
        ({"host": "0.0.0.0"}, ["224.0.0.1", "0.0.0.0", "::1", "fe80::1"], set()),
        ({"host": "0.0.0.0", "candidates": "all"}, ["10.1.2.3", "127.0.0.1"], {"10.1.2.3"}),
    ],
)
def test_which_addresses_a_peer_may_have_the_relay_send_to(
    options: dict[str, Any], named: list[str], reached: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stream.rtc.ice.ice_options import IceOptions

    hosts = sent_to(monkeypatch)
    monkeypatch.setattr("stream.rtc.ice.ice_connection.own_addresses", lambda: ["127.0.0.1"])
    ice = IceOptions(candidates=options.pop("candidates", "auto"))

    async def program() -> None:
        async with relay(**options, ice=ice) as client:
            peer = publisher(Clip())
            bare = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", await offer_of(peer))
            lines = [f"a=candidate:1{i} 1 udp 99 {one} 9 typ host" for i, one in enumerate(named)]
            status, _, _ = await client.post("/whip", bare + "\r\n".join(lines) + "\r\n")
            assert status == 201
            await asyncio.sleep(0.5)
            await peer.close()

    run(program())
    assert set(hosts) == reached


def test_a_stranger_gets_few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = sent_to(monkeypatch)

    async def program() -> None:
        async with relay(host="0.0.0.0") as client:
            peer = publisher(Clip())
            bare = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", await offer_of(peer))
            lines = [f"a=candidate:1{i} 1 udp 99 8.8.4.{i} 9 typ host" for i in range(60)]
            assert (await client.post("/whip", bare + "\r\n".join(lines) + "\r\n"))[0] == 201
            (connection,) = client.relay.connections.open
            await asyncio.sleep(3.5)
            assert connection in client.relay.connections.open
            await peer.close()

    run(program())
    assert 12 <= len(hosts) <= 60


def test_a_dead_stun_server_delays_one_offer_by_a_second_and_no_other() -> None:
    from stream.rtc.ice.ice_connection import IceConnection
    from stream.rtc.ice.ice_options import IceOptions

    async def program() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            options = IceOptions(stun=f"127.0.0.1:{silent.getsockname()[1]}")
            asked = 0
            for _ in range(2):
                one = IceConnection(
                    options, loopback=True, local_username="abcd", local_password="x" * 22
                )
                async with asyncio.timeout(4.0):
                    await one.gather_candidates()
                assert {candidate.type for candidate in one.local_candidates} == {"host"}
                await one.close()
                silent.setblocking(False)
                packets = 0
                try:
                    while silent.recv(2000):
                        packets += 1
                except BlockingIOError:
                    pass
                asked = packets if asked == 0 else asked
                assert asked > 0
            assert packets == 0

    run(program())


def test_ports_and_a_public_address() -> None:
    from stream.rtc.ice.ice_connection import IceConnection
    from stream.rtc.ice.ice_options import IceOptions

    async def program() -> None:
        options = IceOptions(udp_ports=(41_100, 41_109), public_address="203.0.113.7")
        made = []
        for _ in range(2):
            one = IceConnection(
                options, loopback=False, local_username="abcd", local_password="x" * 22
            )
            await one.gather_candidates()
            made.append(one)
        found = [candidate for one in made for candidate in one.local_candidates]
        hosts = [(one.host, one.port) for one in found if one.type == "host"]
        assert len(hosts) == len(set(hosts)) > 0
        assert {port for _, port in hosts} <= set(range(41_100, 41_110))
        forwarded = {one.port for one in found if one.host == "203.0.113.7"}
        assert forwarded == {port for host, port in hosts if ":" not in host}
        for one in made:
            await one.close()

    run(program())


def test_the_parts_of_aiortc_that_the_relay_replaces_are_there() -> None:
    """A new aiortc may name them differently; then `stream.rtc.peer` needs care."""
    from aiortc import RTCPeerConnection

    from stream.rtc.ice.ice_connection import IceConnection
    from stream.rtc.peer import make_peer
    from stream.rtc.relay_options import RelayOptions

    async def program() -> None:
        assert hasattr(RTCPeerConnection, "_RTCPeerConnection__createDtlsTransport")
        peer = make_peer(RelayOptions())
        peer.createDataChannel("any")
        assert peer.sctp is not None
        way = peer.sctp.transport.transport
        assert isinstance(way._connection, IceConnection)
        assert way.iceGatherer._connection is way._connection
        assert (way._recv, way._send) == (way._connection.recv, way._connection.send)
        await peer.close()

    run(program())
