"""StreamSink: the picture and the sound to a server that takes RTMP or SRT.

Both carry the time of their capture, so what plays them shows them together. When the server is
lost the sink says so once and tries again, with growing pauses; what comes meanwhile is dropped.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction

import av
import numpy as np

from stream.errors import OutputError
from stream.frame import Frame
from stream.image.resample import Size
from stream.media.pyav import copied_sound
from stream.media.retry_pauses import SERVER_MOST_S, RetryPauses
from stream.media.sinks.stream_child import (
    CLOCK,
    HEAD,
    OPEN_S,
    PICTURE,
    READY,
    SOUND,
    SOUND_RATE,
    WRITE_S,
    Settings,
)
from stream.media.stream_address import FORMATS, StreamAddress

SOUND_GAP_S = 0.05
"""Sound that is later than what came before it by more leaves a gap."""
KEPT_SOUNDS = 200
CHILD = "stream.media.sinks.stream_child"
START_S = 5.0
"""The process itself takes up to so long to start."""


class StreamLostError(Exception):
    """The server is gone, or cannot be reached; says why."""


class QueuedSound:
    """Sound until the next picture is sent: as s16, stereo, with steady times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[av.AudioFrame, int]] = deque(maxlen=KEPT_SOUNDS)
        self.begin()

    def begin(self) -> None:
        """Times begin anew."""
        self._resampler = av.AudioResampler("s16", "stereo", SOUND_RATE)
        self._next: int | None = None

    def put(self, frame: av.AudioFrame, captured_ns: int) -> None:
        """From any thread."""
        with self._lock:
            self._waiting.append((frame, captured_ns))

    def take(self, epoch_ns: int) -> list[tuple[int, bytes]]:
        """What came since: samples after `epoch_ns`, and data."""
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        found = []
        for frame, captured_ns in waiting:
            start = round((captured_ns - epoch_ns) * SOUND_RATE / 1e9)
            if start < 0:
                continue
            for one in self._resampler.resample(copied_sound(frame)):
                if self._next is None or abs(start - self._next) > SOUND_GAP_S * SOUND_RATE:
                    self._next = max(start, self._next or 0)
                found.append((self._next, one.to_ndarray().tobytes()))
                self._next += one.samples
                start += one.samples
        return found


class StreamSink:
    """Sends to a server. `send` may block for seconds; frames are dropped meanwhile.

    Args:   address: from `output_stream`; no WebRTC.
            size: (width, height) px of every picture; of an odd one the last row is left out.
            rate: nominal frames a second. bit_rate: of the picture, bits a second.
            sound: whether sound will come, by `hear`.
            say: gets one line when the server is lost, and one when it is back.
    Raises: OutputError: the server cannot be reached, or refuses.
    """

    name = "stream"

    def __init__(
        self,
        address: StreamAddress,
        size: Size,
        rate: Fraction,
        *,
        bit_rate: int,
        sound: bool,
        say: Callable[[str], None],
    ) -> None:
        self._address, self._say = address, say
        self._settings = Settings(
            url=address.url, format=FORMATS[address.scheme], width=size[0] // 2 * 2,
            height=size[1] // 2 * 2, rate=float(rate), bit_rate=bit_rate, sound=sound,
        )  # fmt: skip
        self._sound = QueuedSound()
        self._child: subprocess.Popen[bytes] | None = None
        self._epoch_ns: int | None = None
        self._pts = -1
        self._pauses, self._again_s = RetryPauses(SERVER_MOST_S), 0.0
        try:
            self._open()
        except StreamLostError as error:
            self.abort()
            raise OutputError(f"{address.name} cannot be written: {error}") from error
        except BaseException:  # Ctrl-C
            self.abort()
            raise

    def hear(self, frame: av.AudioFrame, captured_ns: int) -> None:
        """Take a frame of sound; from any thread."""
        if self._settings.sound:
            self._sound.put(frame, captured_ns)

    def send(self, frame: Frame) -> None:
        """Send a frame's output, or the camera's picture where there is none."""
        try:
            if self._child is None:
                if time.monotonic() < self._again_s:
                    return
                self._open()
                self._say(f"{self._address.name} is back")
            self._write(frame)
        except StreamLostError as error:
            if self._epoch_ns is not None:  # else it has been said already
                self._say(f"{self._address.name} is lost ({error}); trying again")
            self.abort()
            self._again_s = time.monotonic() + self._pauses.next_s()

    def close(self) -> None:
        """Send what is on its way, and leave the server. May be called again."""
        child = self._child
        if child is not None:
            assert child.stdin is not None
            with suppress(OSError):
                child.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                child.wait(2 * WRITE_S)
        self.abort()

    def abort(self) -> None:
        """Leave the server."""
        child, self._child = self._child, None
        self._epoch_ns = None
        if child is not None:
            child.kill()
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                with suppress(OSError):
                    pipe.close()
            child.wait()

    def _open(self) -> None:
        path = json.dumps([one or os.getcwd() for one in sys.path])
        start = f"import sys; sys.path[:] = {path}; from {CHILD} import main; sys.exit(main())"
        pipe = subprocess.PIPE
        # Unbuffered, so that what a dead child did not take is not written again at the end; in
        # a session of its own, because Ctrl-C is for us.
        self._child = subprocess.Popen(
            [sys.executable, "-c", start],
            bufsize=0,
            stdin=pipe,
            stdout=pipe,
            start_new_session=True,
        )
        self._put(self._settings.line())
        if (said := self._told(START_S + OPEN_S)) != READY:
            raise StreamLostError(said or "the server does not answer")
        self._epoch_ns, self._pts = None, -1
        self._pauses.reset()
        self._sound.begin()

    def _told(self, limit_s: float) -> str:
        """The child's next line; empty when it says nothing."""
        assert self._child is not None
        out = self._child.stdout
        assert out is not None
        if sys.platform != "win32" and not select.select([out], [], [], limit_s)[0]:
            return ""
        return out.readline().decode(errors="replace").strip()

    def _write(self, frame: Frame) -> None:
        if self._epoch_ns is None:
            self._epoch_ns = frame.captured_ns
        image = frame.image if frame.output is None else frame.output
        width, height = self._settings.width, self._settings.height
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(image[:height, :width]), format="rgb24"
        ).reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        elapsed = Fraction(frame.captured_ns - self._epoch_ns, 1_000_000_000)
        self._pts = max(self._pts + 1, round(elapsed / CLOCK))
        for start, data in self._sound.take(self._epoch_ns):
            self._put(HEAD.pack(SOUND, start, len(data)) + data)
        data = picture.to_ndarray().tobytes()
        self._put(HEAD.pack(PICTURE, self._pts, len(data)) + data)

    def _put(self, data: bytes) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        left = memoryview(data)
        try:
            while left:
                left = left[self._child.stdin.write(left) :]
        except OSError as error:
            raise StreamLostError(self._told(WRITE_S) or "it takes nothing more") from error
