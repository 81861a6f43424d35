"""FanOut: one track for several viewers, each of whom gets the newest there is.

aiortc's MediaRelay would hand the same frame to all of them. But an encoder rewrites a frame's time
in its own measure, so every viewer gets a copy.
"""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from stream.media.pyav import copied_sound, exact
from stream.rtc.queued_track import QueuedTrack

KEPT_SOUNDS = 10
"""Frames of sound that wait for a viewer's encoder: 0.2 s. Of pictures, one."""
Timed = tuple[av.VideoFrame | av.AudioFrame, Fraction]
"""A frame, and by how many seconds its time is later than it says."""


class FanOut:
    """Reads a track all the time, whether or not somebody watches.

    When the track ends the viewers wait: another one may `follow`, until `close`.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        self.kind = track.kind
        self._viewers: set[FanOutTrack] = set()
        self._last: tuple[Fraction, float] | None = None
        """Time of the last frame, and when it came (s)."""
        self._shift = Fraction(0)
        self._reader: asyncio.Task[None] | None = None
        self.follow(track)

    def follow(self, track: MediaStreamTrack) -> None:
        """Show this track from now on; its times go on where those of the one before ended."""
        if self._reader is not None:
            self._reader.cancel()
        reading = self._read(track)
        self._reader = asyncio.get_running_loop().create_task(reading, name="closeup fan-out")

    def subscribe(self) -> FanOutTrack:
        """A track for one more viewer; stopping it leaves the others alone."""
        viewer = FanOutTrack(self)
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: FanOutTrack) -> None:
        """One viewer less."""
        self._viewers.discard(viewer)

    def close(self) -> None:
        """End every viewer's track."""
        assert self._reader is not None
        self._reader.cancel()
        for viewer in tuple(self._viewers):
            viewer.stop()

    async def _read(self, track: MediaStreamTrack) -> None:
        begins = True
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return  # the track has ended
            assert isinstance(frame, av.VideoFrame | av.AudioFrame)
            self._note(frame, begins)
            begins = False
            for viewer in tuple(self._viewers):
                viewer.give(frame, self._shift)

    def _note(self, frame: av.VideoFrame | av.AudioFrame, begins: bool) -> None:
        """Keep the times together: a player takes a step back in time for an error."""
        time_base = exact(frame.time_base)
        if frame.pts is None or time_base is None:
            return
        now_s, time_s = time.monotonic(), frame.pts * time_base
        if begins and self._last is not None:
            last_s, came_s = self._last
            self._shift = last_s + Fraction(now_s - came_s).limit_denominator(90_000) - time_s
        self._last = time_s + self._shift, now_s


class FanOutTrack(QueuedTrack[Timed]):
    """One viewer's track. Made by `FanOut.subscribe`."""

    def __init__(self, fan_out: FanOut) -> None:
        super().__init__(1 if fan_out.kind == "video" else KEPT_SOUNDS)
        self.kind = fan_out.kind
        self._fan_out = fan_out

    def give(self, frame: av.VideoFrame | av.AudioFrame, shift: Fraction) -> None:
        """Show the next frame, so many seconds later than it says; the oldest that waits is
        dropped where there is no room."""
        self._put((frame, shift))

    async def recv(self) -> av.VideoFrame | av.AudioFrame:
        """A copy of the next frame. Raises: MediaStreamError: the track has ended."""
        return _copy(*await self._take())

    def stop(self) -> None:
        """Watch no more."""
        super().stop()
        self._fan_out.leave(self)


def _copy(frame: av.VideoFrame | av.AudioFrame, shift: Fraction) -> av.VideoFrame | av.AudioFrame:
    copy: av.VideoFrame | av.AudioFrame
    if isinstance(frame, av.VideoFrame):
        copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name)
    else:
        copy = copied_sound(frame)
    copy.pts, copy.time_base = frame.pts, frame.time_base
    time_base = exact(frame.time_base)
    if frame.pts is not None and time_base is not None:
        copy.pts = frame.pts + round(shift / time_base)
    return copy
