"""The token of a server goes with every request: what it recommends, the offer, the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiohttp import web
from aiortc import RTCPeerConnection

from stream.media.stream_address import StreamAddress
from stream.rtc.clients.server_session import ServerError, server_session
from tests.rtc_calls import Clip, run

TOKEN = "a-secret-of-the-house"
SESSION = "/session"


def test_every_request_has_it() -> None:
    seen: list[tuple[str, str | None]] = []

    def answers(status: int) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            seen.append((request.method, request.headers.get("Authorization")))
            return web.Response(status=status, headers={"Location": SESSION}, text="no SDP")

        return answer

    def prepare(peer: RTCPeerConnection) -> None:
        peer.addTrack(Clip((64, 48)))

    async def program() -> None:
        app = web.Application()
        app.router.add_route("OPTIONS", "/whip", answers(204))
        app.router.add_route("POST", "/whip", answers(201))
        app.router.add_route("DELETE", SESSION, answers(200))
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/whip"
            address = StreamAddress("whip+http", url, "the server")
            with pytest.raises(ServerError, match="cannot be understood"):
                async with server_session(address, TOKEN, prepare):
                    pass
        finally:
            await runner.cleanup()

    run(program())
    assert seen == [(method, f"Bearer {TOKEN}") for method in ("OPTIONS", "POST", "DELETE")]
