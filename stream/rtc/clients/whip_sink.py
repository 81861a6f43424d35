"""WhipSink: the picture and the sound to a WHIP server.

A thread with an event loop keeps the connection: when it is lost the sink says so once and tries
again, with growing pauses. Pictures are never queued; sound waits as long as the picture took.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
from aiortc import RTCPeerConnection

from stream.errors import OutputError
from stream.frame import Frame
from stream.media.pyav import copied_sound
from stream.media.retry_pauses import SERVER_MOST_S, RetryPauses
from stream.media.stream_address import StreamAddress
from stream.rtc.clients.server_session import ServerError, lost, server_session
from stream.rtc.peer import media_settings
from stream.rtc.queued_track import QueuedTrack
from stream.rtc.sound import DelayedSound

GONE_CHECKS = 2
"""A server that answers so many checks not, 5 s apart, is gone."""
START_S = 40.0
"""Longer than all time limits of a connection together."""
CLOCK = Fraction(1, 90_000)
SOUND_RATE = 48_000
SOUND_SAMPLES = 960
"""20 ms, what a packet holds."""
KEPT_SOUNDS = 50
RECENT = 15
"""The picture's delay is that of so many pictures."""


class _Pictures(QueuedTrack[av.VideoFrame]):
    """The newest picture, once."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__(kept=1)

    def give(self, frame: av.VideoFrame) -> None:
        self._put(frame)

    async def recv(self) -> av.VideoFrame:
        return await self._take()


class _Sounds(QueuedTrack[av.AudioFrame]):
    """Sound as aiortc's encoders take it: s16, stereo, 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__(KEPT_SOUNDS)
        self._resampler = av.AudioResampler("s16", "stereo", SOUND_RATE, SOUND_SAMPLES)
        self._pts = 0

    def give(self, frame: av.AudioFrame) -> None:
        for one in self._resampler.resample(copied_sound(frame)):
            one.pts, one.time_base = self._pts, Fraction(1, SOUND_RATE)
            self._pts += one.samples
            self._put(one)

    async def recv(self) -> av.AudioFrame:
        return await self._take()


class WhipSink:
    """Sends to a server. `send` never waits.

    Args:   address: from `output_stream`. token: the bearer token, if the server wants one.
            bit_rate: the most bits a second that the picture gets.
            sound: whether sound will come, by `hear`.
            say: gets one line when the server is lost, and one when it is back.
    Raises: OutputError: the server cannot be reached, or refuses.
    """

    name = "stream"

    def __init__(
        self,
        address: StreamAddress,
        token: str | None,
        *,
        bit_rate: int,
        sound: bool,
        say: Callable[[str], None],
    ) -> None:
        self._address, self._token, self._say = address, token, say
        self._bit_rate, self._has_sound = bit_rate, sound
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed, self._ending = threading.Event(), asyncio.Event()
        self._tracks: tuple[_Pictures, _Sounds] | None = None
        self._delays_ms: deque[float] = deque(maxlen=RECENT)
        self._sound_late_ms = 0.0
        self._first: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="closeup whip", daemon=True)
        try:
            self._thread.start()
            self._first.result(START_S)
        except (ServerError, TimeoutError) as error:
            self.abort()
            why = str(error) or "it does not answer"
            raise OutputError(f"{address.name} cannot be written: {why}") from error
        except BaseException:  # Ctrl-C, also in Thread.start
            self.abort()
            raise

    def send(self, frame: Frame) -> None:
        """Show a frame's output, or the camera's picture where there is none."""
        image = frame.image if frame.output is None else frame.output
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(image[:height, :width]), format="rgb24"
        ).reformat(format="yuv420p")
        picture.pts, picture.time_base = round(frame.captured_ns / 1e9 / CLOCK), CLOCK
        self._delays_ms.append((time.monotonic_ns() - frame.captured_ns) / 1e6)
        self._give(0, picture)

    def hear(self, frame: av.AudioFrame, captured_ns: int) -> None:
        """Take a frame of sound; from any thread."""
        self._sound_late_ms = (time.monotonic_ns() - captured_ns) / 1e6
        self._give(1, frame)

    def close(self) -> None:
        """End the connection. May be called again."""
        self._closed.set()
        self._call(self._ending.set)
        if self._thread.is_alive():
            self._thread.join(START_S)

    abort = close

    def _give(self, which: int, frame: av.VideoFrame | av.AudioFrame) -> None:
        def give() -> None:
            if self._tracks is not None:
                self._tracks[which].give(frame)  # type: ignore[arg-type]

        self._call(give)

    def _call(self, what: Callable[[], None]) -> None:
        """In the loop, if there is one."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(what)

    def _late_ms(self) -> float:
        """How much later than its sound a picture leaves."""
        delays = sorted(self._delays_ms)
        return max(0.0, delays[len(delays) // 2] - self._sound_late_ms) if delays else 0.0

    def _run(self) -> None:
        settings = media_settings(self._bit_rate, consent_failures=GONE_CHECKS)
        with settings, asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            if not self._closed.is_set():  # who closes it later finds the loop
                runner.run(self._keep())

    async def _keep(self) -> None:
        """Connect, again and again, until the end."""
        ending = asyncio.create_task(self._ending.wait())
        pauses = RetryPauses(SERVER_MOST_S)
        while not ending.done():
            connecting = asyncio.create_task(self._connect())
            await asyncio.wait([connecting, ending], return_when=asyncio.FIRST_COMPLETED)
            connecting.cancel()
            (why,) = await asyncio.gather(connecting, return_exceptions=True)
            if not self._first.done():
                failed = why if isinstance(why, ServerError) else ServerError(str(why))
                self._first.set_exception(failed)
                return
            if ending.done():
                return
            if self._tracks is not None:  # it had been connected
                self._tracks = None
                pauses.reset()
                self._say(f"{self._address.name} is lost; trying again")
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ending), pauses.next_s())

    async def _connect(self) -> None:
        """One connection, until it is lost. Raises: ServerError."""
        pictures, sounds = _Pictures(), _Sounds()
        delayed = DelayedSound(sounds, self._late_ms)

        def prepare(peer: RTCPeerConnection) -> None:
            peer.addTransceiver(pictures, direction="sendonly")
            if self._has_sound:
                peer.addTransceiver(delayed, direction="sendonly")

        try:
            async with server_session(self._address, self._token, prepare) as peer:
                self._tracks = pictures, sounds
                if self._first.done():
                    self._say(f"{self._address.name} is back")
                else:
                    self._first.set_result(None)
                await lost(peer)
        finally:
            for track in (pictures, sounds, delayed):
                track.stop()
