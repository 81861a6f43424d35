"""WhepReader: one opening of a stream on a WHEP server, for `CameraSource`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import av
import numpy as np
from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from stream.errors import InputError
from stream.media.live_sound import LiveSound
from stream.media.sources.live_reader import LiveReader
from stream.media.stream_address import StreamAddress
from stream.rtc.clients.server_session import ServerError, lost, server_session
from stream.rtc.frame_conversion import to_rgb


class WhepReader(LiveReader):
    """Puts a stream's pictures into `pictures`, and its sound into a `LiveSound`.

    Args: address: from `input_stream`. token: the bearer token, if the server wants one.
          sound: gets the sound; None leaves it out.
    """

    def __init__(
        self, address: StreamAddress, token: str | None, sound: LiveSound | None = None
    ) -> None:
        self._address, self._token, self._sound = address, token, sound
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__("closeup whep")

    def leave(self) -> None:
        """End the connection soon."""
        super().leave()
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    def _read(self) -> None:
        try:
            asyncio.run(self._watch())
        except ServerError as error:
            raise InputError(f"{self._address.name}: {error}") from error
        raise InputError("the connection ended")

    async def _watch(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        stopped = asyncio.create_task(self._stop.wait())
        watching = asyncio.create_task(self._receive())
        if self._left.is_set():
            self._stop.set()
        try:
            await asyncio.wait([stopped, watching], return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
        finally:
            for task in (stopped, watching):
                task.cancel()
            await asyncio.gather(stopped, watching, return_exceptions=True)

    async def _receive(self) -> None:
        def prepare(peer: RTCPeerConnection) -> None:
            for kind in ("video", "audio") if self._sound is not None else ("video",):
                peer.addTransceiver(kind, direction="recvonly")

        async with server_session(self._address, self._token, prepare) as peer:
            tracks = {one.kind: one.receiver.track for one in peer.getTransceivers()
                      if one.currentDirection == "recvonly"}  # fmt: skip
            if "video" not in tracks:
                raise ServerError("it has no picture")
            self.has_sound = "audio" in tracks
            ends = [asyncio.create_task(self._take(track)) for track in tracks.values()]
            ends.append(asyncio.create_task(lost(peer)))
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
                await asyncio.gather(*ends, return_exceptions=True)

    async def _take(self, track: MediaStreamTrack) -> None:
        """Everything that a track brings, as soon as it is there."""
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            now_ns = time.monotonic_ns()
            if isinstance(frame, av.AudioFrame):
                assert self._sound is not None
                self._sound.put(frame, now_ns)
            else:
                self.pictures.put((np.asarray(to_rgb(frame), np.uint8), now_ns))
