"""NetworkReader: one opening of a stream on a server (RTSP, RTMP, SRT), read by FFmpeg.

For `CameraSource`, which keeps the newest picture and opens the stream again when it was lost.
"""

from __future__ import annotations

import time
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from stream.errors import InputError
from stream.media.live_sound import LiveSound
from stream.media.pyav import exact
from stream.media.sources.live_reader import LiveReader
from stream.media.sources.media_clock import MediaClock
from stream.media.stream_address import FORMATS, StreamAddress
from stream.media.stream_error import is_missing, reason_of

OPEN_S, READ_S = 10.0, 4.0
LATE_S = 1.0
"""A picture that is older is not shown ..."""
LATE_MOST_S = 3.0
"""... unless all have been for so long: then the way has become longer."""
DAMAGED_MOST = 60
MOST_PIXELS = 4096 * 2304
LOW_DELAY = {"fflags": "nobuffer", "analyzeduration": "1000000", "probesize": "500000"}
OPTIONS = {
    # Nothing but the network: an answer of the server must not make FFmpeg open a file.
    "rtsp": {**LOW_DELAY, "rtsp_transport": "tcp",
             "protocol_whitelist": "rtsp,rtp,udp,tcp,tls,srtp"},
    "flv": {**LOW_DELAY, "protocol_whitelist": "rtmp,rtmps,tcp,tls"},
    "mpegts": {**LOW_DELAY, "protocol_whitelist": "srt"},
}  # fmt: skip


class NetworkReader(LiveReader):
    """Puts a stream's pictures into `pictures`, and its sound into a `LiveSound`.

    Args: address: from `input_stream`; no WebRTC.
          sound: gets the sound; None leaves it out.
    """

    def __init__(self, address: StreamAddress, sound: LiveSound | None = None) -> None:
        self._address, self._sound = address, sound
        self._clock = MediaClock()
        self._fresh_s = time.monotonic()
        super().__init__("closeup stream")

    def _read(self) -> None:
        try:
            kind = FORMATS[self._address.scheme]
            with av.open(
                self._address.url,
                format=kind,
                options=dict(OPTIONS[kind]),
                timeout=(OPEN_S, READ_S),
            ) as container:
                self._take_all(container)
        except (FFmpegError, OSError, ValueError) as error:
            raise stream_error(self._address, error) from error
        raise InputError("the server ended it")

    def _take_all(self, container: InputContainer) -> None:
        if not container.streams.video:
            raise InputError(f"{self._address.name} has no picture")
        video = container.streams.video[0]
        # Threads that each take a frame would hold back as many frames as there are threads.
        video.codec_context.thread_type = "SLICE"
        video.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        rate = exact(video.average_rate)
        self.rate = rate if rate is not None and 1 <= rate <= 240 else self.rate
        wanted: list[Any] = [video]
        if self._sound is not None and container.streams.audio:
            wanted.append(container.streams.audio[0])
            self.has_sound = True
        damaged = 0
        for packet in container.demux(wanted):
            if self._left.is_set():
                return
            try:
                frames = packet.decode()
            except InvalidDataError:
                damaged += 1
                if damaged > DAMAGED_MOST:
                    raise
                continue
            for frame in frames:
                damaged = 0
                self._hand_on(frame)

    def _hand_on(self, frame: Any) -> None:
        now_ns = time.monotonic_ns()
        captured_ns = now_ns
        if frame.time is not None:
            captured_ns = self._clock.captured_ns(float(frame.time), now_ns)
        if isinstance(frame, av.AudioFrame):
            assert self._sound is not None
            self._sound.put(frame, captured_ns)
            return
        if now_ns - captured_ns < 1e9 * LATE_S:
            self._fresh_s = time.monotonic()
        elif time.monotonic() - self._fresh_s < LATE_MOST_S:
            return  # of a backlog, which drains at once
        else:
            self._clock = MediaClock()
            captured_ns = now_ns
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        self.pictures.put((image, captured_ns))


def stream_error(address: StreamAddress, error: Exception) -> InputError:
    """What went wrong with a stream, in one line without its path, password and key."""
    reason = reason_of(error, address.scheme)
    if is_missing(error):
        return InputError(f"{address.name} cannot be opened: {reason}")
    return InputError(f"{address.name} gives no picture ({reason})")
