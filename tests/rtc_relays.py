"""A relay that runs in the test's own loop, and clients that publish and watch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the relay needs the extra webrtc")

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription

from stream.rtc.relay_options import RelayOptions
from stream.rtc.server import Relay, running
from tests import rtc_calls

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


@dataclass
class Client:
    """HTTP to a relay."""

    relay: Relay
    http: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, Any]:
        """Status, body and headers of an answer."""
        url = self.relay.url.rstrip("/") + path
        async with self.http.request(method, url, data=body, headers=headers) as answer:
            return answer.status, await answer.text(), answer.headers

    async def post(self, path: str, offer: str | bytes, **headers: str) -> tuple[int, str, Any]:
        """POST an offer."""
        return await self.ask("POST", path, offer, {**SDP, **headers})

    async def begin(self, peer: RTCPeerConnection, path: str, **headers: str) -> Any:
        """Connect a peer; returns the headers of the answer."""
        await peer.setLocalDescription(await peer.createOffer())
        status, answer, found = await self.post(path, peer.localDescription.sdp, **headers)
        assert status == 201, answer
        assert found["Content-Type"] == "application/sdp"
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await rtc_calls.until(lambda: peer.connectionState == "connected", "no connection")
        return found


@asynccontextmanager
async def relay(**options: Any) -> AsyncIterator[Client]:
    """A relay on a free port, and a client for it."""
    limits = options.pop("limits", {})
    given = RelayOptions(**{"port": 0, "framing": "fixed", **options})
    given = replace(given, limits=replace(given.limits, burst=1000, **limits))
    async with running_relay(given) as client:
        yield client


@asynccontextmanager
async def running_relay(options: RelayOptions) -> AsyncIterator[Client]:
    """A relay with just these options, and a client for it."""
    async with running(options) as one, aiohttp.ClientSession() as http:
        yield Client(one, http)


def publisher(*tracks: Any) -> RTCPeerConnection:
    """A peer that sends these tracks and wants none back."""
    peer = rtc_calls.peer()
    for track in tracks:
        peer.addTransceiver(track, direction="sendonly")
    return peer


def viewer(*kinds: str) -> RTCPeerConnection:
    """A peer that wants a track of each kind."""
    peer = rtc_calls.peer()
    for kind in kinds or ("video", "audio"):
        peer.addTransceiver(kind, direction="recvonly")
    return peer


async def watched(
    client: Client, publish: str = "/whip", watch: str = "/whep"
) -> tuple[RTCPeerConnection, RTCPeerConnection, rtc_calls.Watcher]:
    """A publisher, a viewer, and its pictures, of which some have come."""
    sender, watching = publisher(rtc_calls.Clip((320, 240))), viewer("video")
    await client.begin(sender, publish)
    await client.begin(watching, watch)
    watcher = rtc_calls.Watcher(received(watching, "video"))
    await rtc_calls.until(lambda: len(watcher.frames) > 10)
    return sender, watching, watcher


def received(peer: RTCPeerConnection, kind: str) -> Any:
    """The track of a kind that the other side sends."""
    (found,) = [one.track for one in peer.getReceivers() if one.track and one.track.kind == kind]
    return found


class Server:
    """A relay in a thread of its own, for clients that want this one."""

    def __init__(self, options: RelayOptions) -> None:
        self._options = options
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._error: BaseException | None = None

    def __enter__(self) -> Relay:
        self._thread.start()
        assert self._started.wait(rtc_calls.PATIENCE_S)
        if self._error is not None:
            raise self._error
        return self._relay

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(rtc_calls.PATIENCE_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with running(self._options) as self._relay:
            self._started.set()
            await self._ended.wait()
