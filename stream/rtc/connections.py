"""Connections: all connections of a relay, their limits, and their end."""

from __future__ import annotations

import asyncio
import logging
import time

from stream.live_learning import LearningPermit
from stream.rtc.connection import ENDED, TOO_LONG, Connection, Kind, OfferError
from stream.rtc.live_stream import KeptStreams, LiveStream
from stream.rtc.relay_options import RelayOptions
from stream.shared_runtime import SharedRuntime
from stream.telemetry.metrics import Metrics
from stream.telemetry.process_memory import give_back

LOOK_S = 1.0
OPEN = "open sessions"
"""Gauge."""
REFUSED = "refused offers"
"""Counter."""
_log = logging.getLogger("closeup.relay")


class FullError(Exception):
    """No more sessions now, because there are many or because the relay is ending."""


class Connections:
    """Opens, finds and ends sessions. Lives in one event loop; `close` before the shared
    runtime."""

    def __init__(self, options: RelayOptions, shared_runtime: SharedRuntime) -> None:
        self._options, self._shared_runtime = options, shared_runtime
        self._permit = LearningPermit() if options.learn_live else None
        self._open: dict[str, Connection] = {}
        self._owners: dict[tuple[Kind, str], Connection] = {}
        """Who publishes a name, and the call of a page."""
        self._kept = KeptStreams()
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._has_ended = False
        """Whether memory of something that has ended was not given back yet."""
        self.draining = False
        self.metrics = Metrics()
        """Of all sessions together."""

    @property
    def open(self) -> tuple[Connection, ...]:
        """The sessions that go on."""
        return tuple(self._open.values())

    @property
    def state(self) -> str:
        """For load balancers: "ok", "full" (no more sessions now) or "draining"."""
        if self.draining:
            return "draining"
        return "full" if len(self._open) >= self._options.limits.sessions else "ok"

    def find(self, session_id: str) -> Connection | None:
        """A session by its id, a secret that its owner got."""
        return self._open.get(session_id)

    def published(self, name: str) -> Connection | None:
        """Who publishes a stream."""
        return self._owners.get(("publish", name))

    async def begin(self, kind: Kind, name: str, offer: str) -> tuple[Connection, str]:
        """A new session, and the answer to its offer.

        Args:   kind: publish, watch or call. name: of the stream; of a call a secret of its page,
                or empty. offer: SDP.
        Raises: FullError. OfferError: 400, 422, 404 (watch: nobody publishes it), 409 (publish:
                somebody does already).
        """
        if self.draining:
            raise FullError("the relay is ending")
        old = self._owners.get((kind, name))
        # The secret of a call's page tells that it is the same.
        if old is not None and (old.stale or kind == "call"):
            self.end(old, "its owner came back, or another took its name", keep=True)
            old = None
        if len(self._open) >= self._options.limits.sessions:
            self._make_room()
        if len(self._open) >= self._options.limits.sessions:
            raise FullError("the relay has as many connections as it may")
        if old is not None:
            raise OfferError(f"somebody publishes {name} already", 409)
        kept = self._kept.take(kind, name)
        stream = kept.stream if kept is not None else LiveStream()
        if kind == "watch":
            found = self._watchable(name)
            if found is None:
                raise OfferError(f"nobody publishes {name} now", 404)
            stream = found
        connection = Connection(
            *(kind, name, self._options, self._shared_runtime, self.metrics, self._lost, stream),
            permit=self._permit,
        )
        self._open[connection.id] = connection
        self.metrics.set(OPEN, len(self._open))
        if kind != "watch" and name:
            self._owners[kind, name] = connection
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch_over())
        try:
            answer = await connection.answer(offer)
            if connection.id not in self._open:
                raise OfferError(ENDED, 409)
        except BaseException:
            self.metrics.count(REFUSED)
            if kept is not None and connection.id in self._open:
                connection.stream = LiveStream()
                self._kept.put_back(kind, name, kept)
            await self.end(connection, "its offer was refused")
            raise
        self.metrics.count(f"{kind} sessions")
        _log.info("%s %s begins, %d open", connection.alias, kind, len(self._open))
        return connection, answer

    def end(self, connection: Connection, why: str, *, keep: bool = False) -> asyncio.Task[None]:
        """Begin to end a session; the task is done when nothing of it is left.

        Args: connection: one of `open`. why: for the log.
              keep: its owner may come back: for a while its stream stays, with what is remembered
              of faces and with those who watch.
        """
        if connection.id not in self._open:
            ended = self._closing.get(connection.id)
            return ended or asyncio.get_running_loop().create_task(asyncio.sleep(0))
        del self._open[connection.id]
        self.metrics.set(OPEN, len(self._open))
        kept = False
        key = connection.kind, connection.name
        if self._owners.get(key) is connection:
            del self._owners[key]
            if keep and not self.draining and connection.video is not None:
                kept = self._kept.keep(*key, connection.stream, connection.silent_s)
        closing = self._close(connection, why, len(self._open), kept)
        task = self._closing[connection.id] = asyncio.get_running_loop().create_task(closing)
        task.add_done_callback(lambda _: self._closing.pop(connection.id))
        if connection.kind == "publish" and not kept:
            self._end_viewers(connection.name)
        return task

    def _end_viewers(self, name: str) -> None:
        for other in self.open:
            if other.kind == "watch" and other.name == name:
                self.end(other, "what it watched has ended")

    def _watchable(self, name: str) -> LiveStream | None:
        """What is published, or was until a moment ago."""
        published = self.published(name)
        return self._kept.find("publish", name) if published is None else published.stream

    async def drain(self) -> None:
        """Take nobody new, let those who are there finish for a while, then end them."""
        self.draining = True
        limit_s = self._options.limits.drain_s
        for connection in self.open:
            connection.say(f"the relay ends in {limit_s:.0f} s")
        deadline_s = time.monotonic() + limit_s
        while self._open and time.monotonic() < deadline_s:
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End every session and wait until nothing of them is left."""
        self.draining = True
        for connection in self.open:
            self.end(connection, "the relay ends")
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*self._closing.values(), return_exceptions=True)
        await asyncio.gather(*(one.stream.close() for one in self._kept.take_all()))

    async def _close(self, connection: Connection, why: str, left: int, kept: bool) -> None:
        seconds = time.monotonic() - connection.began_s
        if _log.isEnabledFor(logging.INFO):
            told = (connection.alias, connection.kind, seconds, why, await connection.summary())
            _log.info("%s %s ends after %.0f s: %s; %s; %d open", *told, left)
        await connection.close()
        if connection.kind != "watch" and not kept:
            await connection.stream.close()
        self._has_ended = True

    def _lost(self, connection: Connection, why: str) -> None:
        if connection.id in self._open:
            self.end(connection, why, keep=True)

    def _make_room(self) -> None:
        """End the connection that has been silent for longest, if any has."""
        stale = [one for one in self.open if one.stale]
        if stale:
            self.end(
                max(stale, key=lambda one: one.silent_s),
                "it fell silent, and another came",
                keep=True,
            )

    async def _watch_over(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._end_overdue()
            await self._close_overdue()
            if self._has_ended and not self._closing:
                self._has_ended = False
                await asyncio.to_thread(give_back)

    def _end_overdue(self) -> None:
        for connection in self.open:
            if why := connection.overdue():
                self.end(connection, why, keep=why != TOO_LONG)

    async def _close_overdue(self) -> None:
        for name, stream in self._kept.overdue():
            self._end_viewers(name)
            await stream.close()
            self._has_ended = True
