"""Why a stream on a server cannot be read or written, in words."""

from __future__ import annotations

import av
from av.error import FFmpegError

WAYS_OUT = {"srt": "build PyAV with an FFmpeg that has libsrt, or use RTMP or WebRTC"}


def is_missing(error: Exception) -> bool:
    """Whether PyAV has no such protocol or format at all, so that trying again is of no use.

    PyAV's ValueErrors that are FFmpeg's, too, tell of what the server sent.
    """
    is_unknown_format = isinstance(error, ValueError) and not isinstance(error, FFmpegError)
    return is_unknown_format or isinstance(error, av.error.ProtocolNotFoundError)


def reason_of(error: Exception, scheme: str) -> str:
    """Why it failed, without the address, which may hold a password.

    Args: error: what PyAV raised. scheme: of the address, such as "rtsp".
    """
    if is_missing(error):
        way_out = f"; {WAYS_OUT[scheme]}" if scheme in WAYS_OUT else ""
        return f"PyAV was built without {scheme}{way_out}"
    reason = error.strerror if isinstance(error, OSError | FFmpegError) else None
    return str(reason or type(error).__name__)
