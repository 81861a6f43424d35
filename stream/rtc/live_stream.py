"""LiveStream: what outlives a connection: what is remembered of faces, and who watches.

A publisher or a page whose network was away comes back with a new offer, and takes over its stream.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from stream.rtc.fan_out import FanOut
from stream.rtc.track_worker import TrackWorker


class LiveStream:
    """One stream. Lives in one event loop; `close` before the shared runtime."""

    def __init__(self) -> None:
        self.worker: TrackWorker | None = None
        """Has the exemplars; None until the first picture is announced."""
        self.fan_outs: dict[str, FanOut] = {}
        """ "video", "audio" → who watches it."""

    async def close(self) -> None:
        """End it for everybody who watches; wipe what is remembered, and wait for that."""
        for fan_out in self.fan_outs.values():
            fan_out.close()
        if self.worker is not None:
            self.worker.close()
            await asyncio.to_thread(self.worker.join)


KEPT_S = 60.0
"""A stream is kept for so long after its last picture; the bank forgets people who have been gone
for as long."""
MOST_KEPT = 8
"""Of more streams the one that would be wiped first is not kept."""


@dataclass(frozen=True)
class Kept:
    """A stream without a connection, and until when (monotonic, s)."""

    stream: LiveStream
    until_s: float


class KeptStreams:
    """Streams whose owners may come back, by kind of connection and name. In memory alone."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Kept] = {}
        self._dropped: list[tuple[str, LiveStream]] = []

    def keep(self, kind: str, name: str, stream: LiveStream, silent_s: float) -> bool:
        """Keep a stream whose last picture is `silent_s` old.

        Args:    kind, name: what its owner will ask for. stream: nobody else's from now on.
        Returns: whether it is kept; it is too old otherwise.
        """
        if silent_s >= KEPT_S:
            return False
        self.put_back(kind, name, Kept(stream, time.monotonic() + KEPT_S - silent_s))
        return True

    def put_back(self, kind: str, name: str, kept: Kept) -> None:
        """Keep on what was taken.

        Args: kind, name: as they were. kept: what `take` returned.
        """
        self._kept[kind, name] = kept
        if len(self._kept) > MOST_KEPT:
            first = min(self._kept, key=lambda one: self._kept[one].until_s)
            self._dropped.append((first[1], self._kept.pop(first).stream))

    def take(self, kind: str, name: str) -> Kept | None:
        """What its owner came back for; the caller's from now on."""
        return self._kept.pop((kind, name), None)

    def find(self, kind: str, name: str) -> LiveStream | None:
        """For those who watch."""
        kept = self._kept.get((kind, name))
        return None if kept is None else kept.stream

    def overdue(self) -> list[tuple[str, LiveStream]]:
        """Names and streams that are kept no longer; the caller closes them."""
        now_s = time.monotonic()
        for key in [one for one, kept in self._kept.items() if kept.until_s <= now_s]:
            self._dropped.append((key[1], self._kept.pop(key).stream))
        dropped, self._dropped = self._dropped, []
        return dropped

    def take_all(self) -> list[Kept]:
        """At the end."""
        kept = [*self._kept.values(), *(Kept(stream, 0.0) for _, stream in self._dropped)]
        self._kept.clear()
        self._dropped.clear()
        return kept
