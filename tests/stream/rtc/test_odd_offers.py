"""Offers that are none, or of what nobody takes: each is refused in a line, and nothing stays."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from tests.attacks import odd, template
from tests.rtc_calls import run, until
from tests.rtc_relays import relay

pytestmark = pytest.mark.usefixtures("camera", "opened")


def test_long_ice_credentials_are_refused() -> None:
    """Each check that is sent to an address has the user name in it."""

    async def program() -> None:
        async with relay() as client:
            offer = await template()
            for part in ("ufrag", "pwd"):
                longer = re.sub(rf"a=ice-{part}:.*", f"a=ice-{part}:" + 257 * "u", offer)
                status, text, _ = await client.post("/whip", longer)
                assert (status, text) == (400, "ice-ufrag or ice-pwd is malformed")

    run(program())


def test_odd_offers_are_refused_and_leave_nothing() -> None:
    async def program() -> None:
        async with relay() as client:
            for number, offer in enumerate(odd(await template())):
                status, text, headers = await client.post(f"/whip/odd{number}", offer)
                assert status in (201, 400, 413, 422), (status, text, offer[:100])
                assert text.count("\n") < 2 or status == 201
                if status == 201:
                    await client.ask("DELETE", headers["Location"])
            await until(lambda: not client.relay.connections.open, "sessions are left")

    run(program())
