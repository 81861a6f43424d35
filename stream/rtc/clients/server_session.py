"""ServerSession: one connection to a WHIP or WHEP server (RFC 9725; draft-ietf-wish-whep)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription
from yarl import URL

from stream.media.stream_address import StreamAddress
from stream.rtc.ice.ice_options import IceOptions, TurnServer
from stream.rtc.peer import RelayPeer
from stream.rtc.relay_options import is_loopback

ANSWER_S = 10.0
"""A server answers a request within this time."""
REACH_S = 2.0
"""It can be reached within this time: during an outage the next try comes soon."""
LEAVE_S = 2.0
"""It is told of the end for so long."""
CONNECT_S = 15.0
"""An answered offer becomes a connection within this time."""
ANSWER_BYTES = 64 * 1024
SHOWN = 120
"""Characters of a server's reason that are shown."""
_LINK = re.compile(r"<([^<>]+)>\s*;([^<]*)")
_PARAMETER = re.compile(r'(username|credential|rel)="?([^";,]*)"?')
_SERVER = re.compile(r"(stun|turns?):([A-Za-z0-9.\-]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?")


class ServerError(Exception):
    """The server refuses, or cannot be reached; one line says why."""


@asynccontextmanager
async def server_session(
    address: StreamAddress, token: str | None, prepare: Callable[[RTCPeerConnection], None]
) -> AsyncIterator[RTCPeerConnection]:
    """A connection that media flow in, as long as the block lasts.

    Args:   token: the bearer token. prepare: adds what is sent, or wanted, to the new peer.
    Raises: ServerError.
    """
    timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=REACH_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        ice = await _ice_servers(http, address, token)
        peer = RelayPeer(ice, loopback=is_loopback(URL(address.url).host or ""))
        place: URL | None = None
        try:
            prepare(peer)
            place = await _offer(http, peer, address, token)
            await _connected(peer)
            yield peer
        finally:
            await peer.close()
            if place is not None:
                await _leave(http, address, token, place)


async def _leave(
    http: aiohttp.ClientSession, address: StreamAddress, token: str | None, session: URL
) -> None:
    with suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with (
            asyncio.timeout(LEAVE_S),
            http.delete(session, headers=_headers(address, token, session)),
        ):
            pass


async def lost(peer: RTCPeerConnection) -> None:
    """Wait until a connection has ended."""
    ended = asyncio.Event()

    def look() -> None:
        if peer.connectionState in ("failed", "closed"):
            ended.set()

    peer.on("connectionstatechange", look)
    look()
    await ended.wait()


async def _offer(
    http: aiohttp.ClientSession, peer: RTCPeerConnection, address: StreamAddress, token: str | None
) -> URL:
    """Make an offer, take the answer; returns the session's address."""
    await peer.setLocalDescription(await peer.createOffer())
    headers = _headers(address, token) | {"Content-Type": "application/sdp"}
    try:
        async with http.post(
            address.url, data=peer.localDescription.sdp.encode(), headers=headers
        ) as answer:
            body = await _body(answer)
            if answer.status != 201:
                raise ServerError(_refusal(answer.status, body))
            place = answer.headers.get("Location")
            home = answer.url
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ServerError(_unreachable(error)) from error
    if place is None:
        raise ServerError("its answer names no session (Location)")
    session = home.join(URL(place))
    if session.scheme not in ("http", "https"):
        raise ServerError("its answer names no session (Location)")
    try:
        await peer.setRemoteDescription(RTCSessionDescription(body, "answer"))
    except Exception as error:  # aiortc answers bad SDP with whatever its parser stumbles over
        await _leave(http, address, token, session)
        raise ServerError("its answer (SDP) cannot be understood") from error
    return session


async def _connected(peer: RTCPeerConnection) -> None:
    changed = asyncio.Event()
    peer.on("connectionstatechange", changed.set)
    try:
        async with asyncio.timeout(CONNECT_S):
            while peer.connectionState not in ("connected", "failed", "closed"):
                await changed.wait()
                changed.clear()
    except TimeoutError:
        pass
    if peer.connectionState != "connected":
        raise ServerError("no connection came about: is UDP blocked on the way to it?")


async def _ice_servers(
    http: aiohttp.ClientSession, address: StreamAddress, token: str | None
) -> IceOptions:
    """The STUN and TURN servers that it recommends, before the offer is made (RFC 9725, 4.6)."""
    links: Sequence[str] = ()
    try:
        async with http.options(address.url, headers=_headers(address, token)) as answer:
            links = answer.headers.getall("Link", ())
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise ServerError(_unreachable(error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass  # there are servers that know no OPTIONS
    return ice_options(links)


def ice_options(links: Sequence[str]) -> IceOptions:
    """Link headers of a server → where to look for a way.

    The server is the one that the user named, so its private addresses are tried, too.
    """
    stun: str | None = None
    turn: list[TurnServer] = []
    user = password = None
    for url, rest in (found for link in links for found in _LINK.findall(link)):
        parameters = dict(_PARAMETER.findall(rest))
        server = _SERVER.fullmatch(url)
        if server is None or parameters.get("rel") != "ice-server":
            continue
        kind, host, port, transport = server.groups()
        if not 0 < int(port or 1) < 65_536:
            continue
        if kind == "stun":
            stun = stun or f"{host}:{port or 3478}"
        elif not (kind == "turns" and transport == "udp"):
            tls = kind == "turns"
            over: Literal["udp", "tcp"] = "tcp" if tls or transport == "tcp" else "udp"
            turn.append(TurnServer(host=host, port=int(port or (5349 if tls else 3478)),
                                   transport=over, tls=tls))  # fmt: skip
            user, password = parameters.get("username"), parameters.get("credential")
    return IceOptions(
        stun=stun, turn=tuple(turn), turn_user=user, turn_password=password, candidates="all"
    )


def _headers(address: StreamAddress, token: str | None, place: URL | None = None) -> dict[str, str]:
    """The token, for the server itself alone."""
    if token is None or (place is not None and place.origin() != URL(address.url).origin()):
        return {}
    return {"Authorization": f"Bearer {token}"}


async def _body(answer: aiohttp.ClientResponse) -> str:
    body = b""
    async for chunk in answer.content.iter_chunked(ANSWER_BYTES):
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise ServerError("its answer is too long")
    return body.decode(errors="replace")


def _refusal(status: int, body: str) -> str:
    reason = " ".join("".join(one if one.isprintable() else " " for one in body).split())
    # An error page is for a browser.
    shown = "" if reason.startswith("<") else reason[:SHOWN]
    line = f"it answers {status}" + (f": {shown}" if shown else "")
    return line + (" (is the token right?)" if status in (401, 403) else "")


def _unreachable(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not valid"
    if isinstance(error, TimeoutError):
        return "it does not answer"
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(reason, "strerror", None)
    return f"it cannot be reached ({number or type(error).__name__})"
