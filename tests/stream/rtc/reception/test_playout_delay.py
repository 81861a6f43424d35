"""Browsers are told not to hold pictures while a queue may mislead them."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc.codecs import HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, RtpPacket, unpack_header_extensions

from stream.rtc.reception.playout_delay import AT_ONCE, BRIEFLY, URI, PlayoutDelay
from stream.rtc.reception.sending_rate import LINGERS_S, LONG_S, SendingRate
from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import Client, publisher, received, relay, viewer

NUMBER = 12
"""Of the extension, in the viewer's offer."""
OFFERED = f"a=extmap:{NUMBER} {URI}\r\n"


def extensions(*numbered: tuple[int, str]) -> RTCRtpParameters:
    """Those of a stream."""
    found = [RTCRtpHeaderExtensionParameters(id=number, uri=uri) for number, uri in numbered]
    return RTCRtpParameters(headerExtensions=found)


def test_nothing_is_said_until_pictures_must_not_be_held_and_then_always() -> None:
    delay = PlayoutDelay()
    delay.configure(extensions((1, "urn:ietf:params:rtp-hdrext:sdes:mid"), (5, URI)))
    values = HeaderExtensions(mid="0")
    for holding, said in ((True, None), (False, AT_ONCE), (True, BRIEFLY), (False, AT_ONCE)):
        delay.allow(holding=holding)
        found = dict(unpack_header_extensions(*delay.set(values)))
        assert found == {1: b"0"} | ({5: said} if said else {})


def test_who_does_not_take_it_is_not_told() -> None:
    delay = PlayoutDelay()
    delay.configure(extensions((1, "urn:ietf:params:rtp-hdrext:sdes:mid")))
    delay.allow(holding=False)
    assert dict(unpack_header_extensions(*delay.set(HeaderExtensions(mid="0")))) == {1: b"0"}


def test_a_packet_that_says_it_can_be_read() -> None:
    delay = PlayoutDelay()
    delay.configure(extensions((5, URI), (1, "urn:ietf:params:rtp-hdrext:sdes:mid")))
    delay.allow(holding=False)
    packet = RtpPacket(payload_type=97, payload=b"data")
    packet.extensions.mid = "video"
    read = RtpPacket.parse(packet.serialize(delay), delay)
    assert (read.payload, read.extensions.mid) == (b"data", "video")


def test_a_long_queue_is_remembered_for_a_while() -> None:
    rate = SendingRate()
    rate.heard(0.05, 0.0, 0.0)
    rate.heard(0.05 + 0.9 * LONG_S, 0.5, 1.0)
    assert not rate.was_long(1.0), "jitter and loss are no long queue"
    rate.heard(0.1 + LONG_S, 0.0, 2.0)
    rate.heard(0.05, 0.0, 3.0)
    assert rate.was_long(2.0 + 0.9 * LINGERS_S)
    assert not rate.was_long(2.1 + LINGERS_S)


@pytest.mark.usefixtures("camera", "opened")
@pytest.mark.parametrize("takes_it", [True, False])
def test_a_viewer_that_takes_it_is_told_after_a_long_queue(
    takes_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []
    post = Client.post

    async def offering(self: Client, path: str, offer: str | bytes, **headers: str) -> Any:
        """As browsers offer."""
        if takes_it and path == "/whep":
            offer = re.sub(r"(m=video .*\r\n)", rf"\1{OFFERED}", str(offer))
        found = await post(self, path, offer, **headers)
        answers.append(found[1])
        return found

    monkeypatch.setattr(Client, "post", offering)

    async def program() -> None:
        async with relay() as client:
            sender, watching = publisher(Clip((320, 240))), viewer("video")
            await client.begin(sender, "/whip")
            await client.begin(watching, "/whep")
            watcher = Watcher(received(watching, "video"))
            await until(lambda: len(watcher.frames) > 5)
            assert (OFFERED in answers[-1]) == takes_it
            (connection,) = [one for one in client.relay.connections.open if one.kind == "watch"]
            sending: Any = connection._peer.getSenders()[0]
            told: list[bytes | None] = []
            send = sending.transport._send_rtp

            async def note(data: bytes) -> None:
                if not 192 <= data[1] <= 223:  # RTCP (RFC 5761)
                    profile, length = data[12:14], 4 * int.from_bytes(data[14:16], "big")
                    found = unpack_header_extensions(
                        int.from_bytes(profile, "big"), data[16 : 16 + length]
                    )
                    told.append(dict(found).get(NUMBER))
                await send(data)

            sending.transport._send_rtp = note
            await until(lambda: len(told) > 5)
            assert set(told) == {None}
            sending._rate.was_long = lambda now_s: True
            count = len(watcher.frames)
            await until(lambda: told[-1] == (AT_ONCE if takes_it else None))
            await until(lambda: len(watcher.frames) > count + 5, "the viewer lost it")
            del sending._rate.was_long
            await until(lambda: told[-1] == (BRIEFLY if takes_it else None))
            for one in (sender, watching):
                await one.close()

    run(program())


def test_aiortc_does_not_know_it() -> None:
    """Where this fails, a new aiortc may do what we add."""
    assert "playout_delay" not in {one.name for one in fields(HeaderExtensions)}
    assert URI not in {one.uri for one in HEADER_EXTENSIONS["video"]}
