"""TURN's credentials, and who gets them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time

import pytest

from stream.cli.arguments import parse
from stream.option_table import TURN_SECRET_VARIABLE
from stream.rtc.ice.ice_options import IceOptions, TurnServer
from stream.rtc.relay_options import RelayOptions
from tests.rtc_calls import run
from tests.rtc_relays import relay

TOKEN = "0123456789abcdef"
SERVER = TurnServer(host="turn.example", port=3478, transport="udp", tls=False)


def read(*more: str) -> IceOptions:
    options = parse(["--input", "webrtc", *more])
    assert isinstance(options, RelayOptions)
    return options.ice


def test_servers() -> None:
    ice = read(
        "--turn", "turn:a.example", "--turn", "turn:b.example:80?transport=tcp", "--turn",
        "turns:c.example:443", "--turn-user", "me", "--turn-password", "pass",
    )  # fmt: skip
    assert [one.url for one in ice.turn] == [
        "turn:a.example:3478?transport=udp",
        "turn:b.example:80?transport=tcp",
        "turns:c.example:443?transport=tcp",
    ]
    assert ice.credentials() == ("me", "pass")
    assert "pass" not in repr(ice)


def test_a_shared_secret_makes_credentials_that_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TURN_SECRET_VARIABLE, "the-servers-secret")
    user, password = read("--turn", "turn:a.example").credentials()
    ends, _, name = user.partition(":")
    assert name == "closeup"
    assert 23 * 3600 < int(ends) - time.time() < 25 * 3600
    digest = hmac.new(b"the-servers-secret", user.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password) == digest


def test_credentials_are_for_who_has_the_token() -> None:
    ice = IceOptions(stun="stun.example", turn=(SERVER,), turn_user="me", turn_password="pass")

    async def program() -> None:
        async with relay(ice=ice, token=TOKEN, runtime="onnxruntime-cpu") as client:
            _, _, found = await client.ask("OPTIONS", "/whip")
            assert found.getall("Link") == ['<stun:stun.example>; rel="ice-server"']
            wrong = {"Authorization": "Bearer fedcba9876543210"}
            _, _, found = await client.ask("OPTIONS", "/whip", headers=wrong)
            assert len(found.getall("Link")) == 1
            right = {"Authorization": f"Bearer {TOKEN}"}
            _, _, found = await client.ask("OPTIONS", "/whip", headers=right)
            assert re.search('username="me"; credential="pass"', found.getall("Link")[1])

    run(program())
