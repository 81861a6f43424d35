"""ClientConnections: the TCP connections of HTTP clients, so that idle ones cannot take all.

aiohttp waits for the end of a request's headers without limit, and accepts as many connections as
the process may have files.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from typing import Any

from aiohttp import web

from stream.rtc.relay_options import Limits

MOST = 1000
"""Connections at the same time, where files suffice; a quarter of the files at most."""
LEAST = 16
EVERY_S = 0.5
MOST_AT_ONCE = 128
WAITING = 4096
"""Connections that the system keeps until they are accepted; it may have a lower limit."""
SAY_S = 10.0
NO_FILES = (errno.EMFILE, errno.ENFILE)
_log = logging.getLogger("closeup.relay")


def most_connections() -> int:
    """As many as may be open here: each is a file, and the media need files, too."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST, MOST if files == resource.RLIM_INFINITY else min(MOST, files // 4))


def accepted_at_once() -> int:
    """How many connections the event loop may accept before it looks at those that it has.

    asyncio accepts a whole backlog at once; with few files that alone would be too many.
    """
    return min(MOST_AT_ONCE, most_connections() // 4)


def let_wait(server: asyncio.Server) -> None:
    """Let the system keep clients that are not accepted yet.

    asyncio gives it the same number as it accepts at once. Where that is small, a burst fills the
    system's queue, and who comes then is answered after 1, 3 or 7 s.

    Args: server: listens already.
    """
    for one in server.sockets:
        with one.dup() as listening:
            listening.listen(WAITING)


def say_seldom(loop: asyncio.AbstractEventLoop) -> None:
    """One line now and then where no more files can be had; asyncio (3.11) writes a traceback for
    each connection that waits, thousands a second."""
    said_s = float("-inf")

    def handle(one: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_s
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in NO_FILES):
            one.default_exception_handler(context)
        elif time.monotonic() - said_s > SAY_S:
            said_s = time.monotonic()
            _log.error("no more files can be had: connections wait (ulimit -n)")

    loop.set_exception_handler(handle)


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
        self._ended: set[Any] = set()
        """Closed here, and in the server's list until the event loop has closed them, too."""
        self._made = server.connection_made
        server.connection_made = self._admit
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Watch no more."""
        self._watching.cancel()

    def _admit(self, handler: Any, transport: asyncio.Transport) -> None:
        self._made(handler, transport)
        self._idle_since_s[handler] = time.monotonic()
        left = set(self._server.connections) - self._ended
        if len(left) > self._most:
            idle = [one for one in left if self._idle(one)]
            self._end(min(idle, key=lambda one: self._idle_since_s.get(one, 0.0), default=handler))

    def _idle(self, handler: Any) -> bool:
        return handler._current_request is None

    def _end(self, handler: Any) -> None:
        self._idle_since_s.pop(handler, None)
        self._ended.add(handler)
        if handler.transport is not None:
            handler.transport.abort()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            now_s = time.monotonic()
            self._ended &= set(self._server.connections)
            open_now = set(self._server.connections) - self._ended
            idle = {one for one in open_now if self._idle(one)}
            self._idle_since_s = {one: self._idle_since_s.get(one, now_s) for one in idle}
            for handler, since_s in list(self._idle_since_s.items()):
                if now_s - since_s > self._limits.body_s:
                    self._end(handler)
