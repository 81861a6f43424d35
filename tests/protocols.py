"""Which protocols PyAV's FFmpeg has."""

from __future__ import annotations

import av


def has_srt() -> bool:
    """Whether it was built with libsrt; PyAV's wheels are not."""
    try:
        av.open("srt://127.0.0.1:9?mode=listener&listen_timeout=1", timeout=0.1)
    except av.error.ProtocolNotFoundError:
        return False
    except (av.error.FFmpegError, OSError):
        pass
    return True
