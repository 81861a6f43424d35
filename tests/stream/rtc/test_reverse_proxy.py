"""Behind a reverse proxy: who asks, by which scheme, and where sessions are; with nginx, too."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.rtc.relay_options import RelayOptions
from tests.places import ROOT
from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import publisher, received, relay, viewer

pytestmark = pytest.mark.usefixtures("camera", "opened")


def options(*more: str) -> RelayOptions:
    """What the command line asks of a relay."""
    given = parse(["--input", "webrtc", *more])
    assert isinstance(given, RelayOptions)
    return given


def test_options() -> None:
    given = options("--trusted-proxies", "10.0.0.0/8", "--path-prefix", "/closeup/")
    assert [str(one) for one in given.trusted_proxies] == ["10.0.0.0/8"]
    assert given.path_prefix == "/closeup"
    for wrong in (["--trusted-proxies", "nginx"], ["--path-prefix", "closeup"]):
        with pytest.raises(ConfigError, match=wrong[1]):
            options(*wrong)


def behind(scheme: str, address: str, **more: str) -> dict[str, str]:
    """What a proxy adds."""
    return {"X-Forwarded-Proto": scheme, "X-Forwarded-For": address, **more}


def test_the_scheme_that_a_trusted_proxy_tells() -> None:
    async def program() -> None:
        for trusted, expected in ((("127.0.0.1",), 204), ((), 403)):
            given = options("--port", "0", *(f"--trusted-proxies={one}" for one in trusted))
            async with relay(trusted_proxies=given.trusted_proxies) as client:
                host = client.relay.url.split("/")[2]
                headers = behind("https", "203.0.113.5", Origin=f"https://{host}")
                status, _, _ = await client.ask("OPTIONS", "/call", headers=headers)
                assert status == expected

    run(program())


def test_each_client_behind_a_trusted_proxy_has_its_own_rate() -> None:
    async def program() -> None:
        trusted = options("--trusted-proxies", "127.0.0.1").trusted_proxies
        async with relay(trusted_proxies=trusted, limits={"requests_a_second": 0.01}) as client:
            (limit,) = {3}
            rate = client_rate(client, limit)
            for address, wanted in (("203.0.113.5", [200] * 3 + [429]), ("203.0.113.6", [200])):
                for status in wanted:
                    # What a client adds itself stands before what the proxy adds.
                    headers = behind("http", f"198.51.100.1, {address}")
                    assert (await client.ask("GET", "/health", headers=headers))[0] == status
            assert set(rate) == {"203.0.113.5", "203.0.113.6"}
        async with relay(limits={"requests_a_second": 0.01}) as client:
            rate = client_rate(client, 3)
            for number, status in enumerate([200] * 3 + [429]):
                headers = behind("http", f"203.0.113.{number}")
                assert (await client.ask("GET", "/health", headers=headers))[0] == status
            assert set(rate) == {"127.0.0.1"}

    run(program())


RATES: list[Any] = []


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes each relay's rate limit."""
    from stream.rtc.access_control import Rate

    RATES.clear()
    make = Rate.__init__

    def note(self: Rate, per_second: float, burst: int) -> None:
        make(self, per_second, burst)
        RATES.append(self)

    monkeypatch.setattr(Rate, "__init__", note)


def client_rate(client: Any, burst: int) -> Any:
    """The addresses that the newest relay's limit knows; it allows a burst from now on."""
    RATES[-1]._burst = float(burst)
    return RATES[-1]._left


CONFIGURATION = ROOT / "docs" / "nginx.conf"


def test_nginx_with_tls_at_a_path_before_two_relays(tmp_path: Path) -> None:
    """The configuration of the documents, with other ports and files."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("needs nginx: sudo apt-get install nginx-light")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    trusted = options("--trusted-proxies", "127.0.0.1").trusted_proxies
    more: dict[str, Any] = {"trusted_proxies": trusted}

    async def proxied(first: Any, second: Any) -> None:
        text = CONFIGURATION.read_text()
        for old, new in (
            ("127.0.0.1:8081", first.relay.url.split("/")[2]),
            ("127.0.0.1:8082", second.relay.url.split("/")[2]),
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/ssl/closeup", str(tmp_path)),
            ("/run/nginx-closeup.pid", str(tmp_path / "pid")),
        ):
            assert old in text, old
            text = text.replace(old, new)
        (tmp_path / "nginx.conf").write_text(text)
        nginx = await asyncio.create_subprocess_exec(
            program, "-p", str(tmp_path), "-e", str(tmp_path / "errors"), "-c",
            str(tmp_path / "nginx.conf"), "-g", "daemon off;",
        )  # fmt: skip
        try:
            await use(f"https://127.0.0.1:{port}", first, second)
        finally:
            nginx.terminate()
            await nginx.wait()

    async def use(url: str, first: Any, second: Any) -> None:
        connector = aiohttp.TCPConnector(ssl=False)
        async with aiohttp.ClientSession(connector=connector) as http:
            async with asyncio.timeout(20):
                while True:
                    try:
                        async with http.get(f"{url}/closeup/health") as answer:
                            assert answer.status == 200
                            break
                    except aiohttp.ClientConnectorError:
                        await asyncio.sleep(0.1)
            sender, watching = publisher(Clip((320, 240))), viewer("video")
            for peer, way in ((sender, "whip"), (watching, "whep")):
                await peer.setLocalDescription(await peer.createOffer())
                headers = {"Content-Type": "application/sdp", "Origin": url}
                body = peer.localDescription.sdp
                place = f"{url}/closeup/{way}/room"
                async with http.post(place, data=body, headers=headers) as answer:
                    assert answer.status == 201, await answer.text()
                    location = answer.headers["Location"]
                    from aiortc import RTCSessionDescription

                    text = await answer.text()
                await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
            watcher = Watcher(received(watching, "video"))
            await until(lambda: len(watcher.frames) > 5, "no picture came")
            open_at = [len(one.relay.connections.open) for one in (first, second)]
            assert sorted(open_at) == [0, 2], "both must be at the same relay"
            async with http.delete(f"{url}{location}") as answer:
                assert answer.status == 200
            await sender.close()
            await watching.close()

    async def everything() -> None:
        async with (
            relay(path_prefix="/closeup/a", **more) as first,
            relay(path_prefix="/closeup/b", **more) as second,
        ):
            await proxied(first, second)

    run(everything())
