"""QueuedTrack: a track whose frames come from elsewhere and wait until aiortc asks for them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

T = TypeVar("T")


class QueuedTrack(MediaStreamTrack, Generic[T]):
    """Base of tracks that are filled by `_put` and emptied by `_take`, both on the event loop.

    Args: kept: so many may wait; one more drops the oldest. 1: the newest alone.
    """

    def __init__(self, kept: int) -> None:
        super().__init__()
        self._frames: deque[T] = deque(maxlen=kept)
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """End the track; what waits is dropped."""
        super().stop()
        self._frames.clear()
        self._changed.set()

    def _put(self, frame: T) -> None:
        self._frames.append(frame)
        self._changed.set()

    async def _take(self) -> T:
        """The oldest that waits. Raises: MediaStreamError: the track has ended."""
        while not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._changed.clear()
            await self._changed.wait()
        return self._frames.popleft()
