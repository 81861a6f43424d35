"""Sound: waits for the picture. Viewers notice sound that leads by 45 ms (ITU-R BT.1359)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from stream.rtc.queued_track import QueuedTrack

WAIT_MS = 45.0
"""Sound waits once the picture is later than this, ..."""
STOP_MS = 35.0
"""... and waits no more once it is earlier than this again."""
DEAD_MS = 10.0
"""A wait that is this near to the right one stays, so that nothing wobbles."""
STEP = 0.05
"""A wait grows and shrinks by this part of the time that passes; listeners do not notice it."""
MOST_MS = 1000.0
MOST_SKIPPED_MS = 3000.0
KEPT = 100
"""Frames that wait at most: two seconds."""


class Wait:
    """How long sound waits, following how late the picture is."""

    def __init__(self) -> None:
        self.ms = 0.0
        self._waiting = self._moving = False

    def follow(self, late_ms: float, passed_ms: float) -> float:
        """The wait after `passed_ms` more, in ms."""
        self._waiting = late_ms > (STOP_MS if self._waiting else WAIT_MS)
        goal = min(late_ms, MOST_MS) if self._waiting else 0.0
        way = goal - self.ms
        self._moving = abs(way) > (0.5 if self._moving else DEAD_MS) or (goal == 0.0 and way < 0.0)
        if self._moving:
            step = STEP * passed_ms
            self.ms += max(-step, min(step, way))
        return self.ms


class DelayedSound(QueuedTrack[tuple[float, av.AudioFrame]]):
    """An audio track that waits as long as the picture takes; times (pts) stay.

    Args: source: an audio track; read all the time. late_ms: how late the picture is right now.
          is_late: whether what comes now is too old to be heard.
    """

    kind = "audio"

    def __init__(
        self,
        source: MediaStreamTrack,
        late_ms: Callable[[], float],
        is_late: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(KEPT)
        self._source, self._late_ms, self._is_late = source, late_ms, is_late
        self._wait = Wait()
        self._surplus_ms = 0.0
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="closeup sound")

    @property
    def wait_ms(self) -> float:
        """How long sound waits now."""
        return self._wait.ms

    def skip(self, ms: float) -> None:
        """Leave out so much of what comes next, at most 3 s: the receiver has it in excess."""
        self._surplus_ms = max(0.0, min(ms, MOST_SKIPPED_MS))

    async def recv(self) -> av.AudioFrame:
        """The next sound, when it is its turn. Raises: MediaStreamError: the track has ended."""
        arrived_s, frame = await self._take()
        passed_ms = _duration_ms(frame)
        due_s = arrived_s + self._wait.follow(self._late_ms(), passed_ms) / 1000.0
        if (left_s := due_s - time.monotonic()) > 0.0:
            await asyncio.sleep(left_s)
        return frame

    def stop(self) -> None:
        """End the track."""
        super().stop()
        self._reader.cancel()

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._source.recv()
                assert isinstance(frame, av.AudioFrame)
                if self._is_late():
                    continue
                if (duration_ms := _duration_ms(frame)) <= self._surplus_ms:
                    self._surplus_ms -= duration_ms
                    continue
                self._put((time.monotonic(), frame))
        except MediaStreamError:
            pass  # the source has ended
        finally:
            self.stop()


def _duration_ms(frame: av.AudioFrame) -> float:
    return 1000.0 * frame.samples / (frame.sample_rate or 48_000)
