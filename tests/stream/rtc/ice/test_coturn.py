"""coturn between a client and a relay that reach each other in no other way."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.rtc.ice.ice_connection import IceConnection
from stream.rtc.ice.ice_options import IceOptions, TurnServer
from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import publisher, received, relay, viewer

pytestmark = pytest.mark.usefixtures("camera", "opened")
SECRET = "the-secret-of-both"
CERTIFICATE = [
    *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
    *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[tuple[int, int]]:
    """A TURN server; gives its port and the one with TLS."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("needs coturn: sudo apt-get install coturn")
    files = {"cert": str(folder / "cert.pem"), "pkey": str(folder / "key.pem")}
    subprocess.run(
        [*CERTIFICATE, "-out", files["cert"], "-keyout", files["pkey"]],
        check=True,
        capture_output=True,
    )
    port, tls_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        program, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--realm=closeup",
        f"--listening-port={port}", f"--tls-listening-port={tls_port}", "--use-auth-secret",
        f"--static-auth-secret={SECRET}", "--allow-loopback-peers", "--no-cli", "--log-file=stdout",
        "--min-port=42000", "--max-port=42999", f"--pidfile={folder / 'pid'}",
        f"--userdb={folder / 'users'}", *(f"--{name}={path}" for name, path in files.items()),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", tls_port)
                    writer.close()
                    break
                except ConnectionError:
                    await asyncio.sleep(0.1)
        yield port, tls_port
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
def test_media_go_by_coturn(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay has no other socket for media, as where a firewall lets no UDP through."""

    async def no_socket(self: IceConnection, address: str) -> None:
        return None

    monkeypatch.setattr(IceConnection, "_bind", no_socket)

    async def program() -> None:
        async with coturn(tmp_path) as (port, tls_port):
            # The relay trusts the authorities of the system; here, this one.
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
            server = TurnServer(
                host="127.0.0.1", port=tls_port if way == "tls" else port,
                transport="udp" if way == "udp" else "tcp", tls=way == "tls",
            )  # fmt: skip
            ice = IceOptions(turn=(server,), turn_secret=SECRET)
            async with relay(ice=ice) as client:
                for peer, path in ((publisher(Clip()), "/whip/r"), (viewer("video"), "/whep/r")):
                    await peer.setLocalDescription(await peer.createOffer())
                    status, answer, headers = await client.post(path, peer.localDescription.sdp)
                    assert status == 201
                    assert f'credential="{password(headers)}"' in headers["Link"]
                    kinds = set(re.findall(r"a=candidate:.* typ (\w+)", answer))
                    assert kinds == {"relay"}
                    from aiortc import RTCSessionDescription

                    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
                    await until(lambda p=peer: p.connectionState == "connected")  # type: ignore[misc]
                    if path == "/whip/r":
                        sender = peer
                watcher = Watcher(received(peer, "video"))
                await until(lambda: len(watcher.frames) > 10, "no picture came")
                await sender.close()
                await peer.close()

    run(program())


def password(headers: dict[str, str]) -> str:
    """The one that a peer is told."""
    found = re.search(r'credential="([^"]+)"', headers["Link"])
    assert found
    return found[1]
