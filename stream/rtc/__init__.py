"""WebRTC: a track for programs, and a relay for people. asyncio and aiortc live here alone.

    from stream.rtc import EnhancedVideoTrack, SharedRuntime

Needs aiortc: pip install 'closeup[webrtc]'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.rtc.enhanced_track import EnhancedVideoTrack
    from stream.shared_runtime import SharedRuntime

__all__ = ["EnhancedVideoTrack", "SharedRuntime"]


def __getattr__(name: str) -> object:
    # Late: the command line asks for the relay's options before it knows that aiortc is there.
    if name == "EnhancedVideoTrack":
        from stream.rtc.enhanced_track import EnhancedVideoTrack

        return EnhancedVideoTrack
    if name == "SharedRuntime":
        from stream.shared_runtime import SharedRuntime

        return SharedRuntime
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
