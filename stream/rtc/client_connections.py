"""ClientConnections: the TCP connections of HTTP clients, so that idle ones cannot take all.

aiohttp waits for the end of a request's headers without limit, and accepts as many connections as
the process may have files.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from stream.rtc.relay_options import Limits

MOST = 1000
"""Connections at the same time, where files suffice; a quarter of the files at most."""
LEAST = 16
EVERY_S = 0.5


def most_connections() -> int:
    """As many as may be open here: each is a file, and the media need files, too."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST, MOST if files == resource.RLIM_INFINITY else min(MOST, files // 4))


class ClientConnections:
    """Watches a runner's connections.

    A connection without a whole request head is closed after `Limits.body_s`; where there are too
    many, the one that has been without for longest. Lives in the runner's event loop.
    """

    def __init__(self, runner: web.AppRunner, limits: Limits) -> None:
        server: Any = runner.server
        self._server, self._limits = server, limits
        self._most = most_connections()
        self._idle_since_s: dict[Any, float] = {}
        self._made = server.connection_made
        server.connection_made = self._admit
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Watch no more."""
        self._watching.cancel()

    def _admit(self, handler: Any, transport: asyncio.Transport) -> None:
        self._made(handler, transport)
        self._idle_since_s[handler] = time.monotonic()
        if len(self._server.connections) > self._most:
            idle = [one for one in self._server.connections if self._idle(one)]
            self._end(min(idle, key=lambda one: self._idle_since_s.get(one, 0.0), default=handler))

    def _idle(self, handler: Any) -> bool:
        return handler._current_request is None

    def _end(self, handler: Any) -> None:
        self._idle_since_s.pop(handler, None)
        if handler.transport is not None:
            handler.transport.abort()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            now_s = time.monotonic()
            open_now = set(self._server.connections)
            idle = {one for one in open_now if self._idle(one)}
            self._idle_since_s = {one: self._idle_since_s.get(one, now_s) for one in idle}
            for handler, since_s in list(self._idle_since_s.items()):
                if now_s - since_s > self._limits.body_s:
                    self._end(handler)
