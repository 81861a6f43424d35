"""FanOut: one track for several viewers, each of whom gets the newest there is.

aiortc's MediaRelay would hand the same frame to all of them. But an encoder rewrites a frame's time
in its own measure, so every viewer gets a copy.
"""

from __future__ import annotations

import asyncio
from collections import deque

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

KEPT_SOUNDS = 10
"""Frames of sound that wait for a viewer's encoder: 0.2 s. Of pictures, one."""


class FanOut:
    """Reads a track all the time, whether or not somebody watches. Ends with the track."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self.kind = track.kind
        self._track = track
        self._viewers: set[FanOutTrack] = set()
        self._reader = asyncio.get_running_loop().create_task(self._read(), name="closeup fan-out")

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
        self._reader.cancel()

    async def _read(self) -> None:
        try:
            while True:
                frame = await self._track.recv()
                assert isinstance(frame, av.VideoFrame | av.AudioFrame)
                for viewer in tuple(self._viewers):
                    viewer.give(frame)
        except MediaStreamError:
            pass  # the track has ended
        finally:
            for viewer in tuple(self._viewers):
                viewer.stop()


class FanOutTrack(MediaStreamTrack):
    """One viewer's track. Made by `FanOut.subscribe`."""

    def __init__(self, fan_out: FanOut) -> None:
        super().__init__()
        self.kind = fan_out.kind
        self._fan_out = fan_out
        kept = 1 if fan_out.kind == "video" else KEPT_SOUNDS
        self._frames: deque[av.VideoFrame | av.AudioFrame] = deque(maxlen=kept)
        self._changed = asyncio.Event()

    def give(self, frame: av.VideoFrame | av.AudioFrame) -> None:
        """Show the next frame; the oldest that waits is dropped where there is no room."""
        self._frames.append(frame)
        self._changed.set()

    async def recv(self) -> av.VideoFrame | av.AudioFrame:
        """A copy of the next frame. Raises: MediaStreamError: the track has ended."""
        while not self._frames:
            if self.readyState != "live":
                raise MediaStreamError
            self._changed.clear()
            await self._changed.wait()
        return _copy(self._frames.popleft())

    def stop(self) -> None:
        """Watch no more."""
        super().stop()
        self._fan_out.leave(self)
        self._frames.clear()
        self._changed.set()


def _copy(frame: av.VideoFrame | av.AudioFrame) -> av.VideoFrame | av.AudioFrame:
    copy: av.VideoFrame | av.AudioFrame
    if isinstance(frame, av.VideoFrame):
        copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), format=frame.format.name)
    else:
        name, layout = frame.format.name, frame.layout.name
        copy = av.AudioFrame.from_ndarray(frame.to_ndarray(), format=name, layout=layout)
        copy.sample_rate = frame.sample_rate
    copy.pts, copy.time_base = frame.pts, frame.time_base
    return copy
