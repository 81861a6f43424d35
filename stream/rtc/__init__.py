"""WebRTC: a track for programs, and a relay for people. asyncio and aiortc live here alone.

    from stream.rtc import EnhancedVideoTrack, SharedRuntime

`__all__` is the public API: the track, what it takes and gives, and the errors that it raises.
Needs aiortc, which the extra `webrtc` brings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.lazy_names import lazy_names

if TYPE_CHECKING:
    from engines.runtime import EngineError
    from stream.camera_profile import CameraProfile
    from stream.errors import CloseupError, ConfigError, ModelError
    from stream.live_learning import LearningPermit
    from stream.rtc.enhanced_track import EnhancedVideoTrack
    from stream.rtc.status import Status
    from stream.shared_runtime import SharedRuntime

__all__ = [
    "CameraProfile",
    "CloseupError",
    "ConfigError",
    "EngineError",
    "EnhancedVideoTrack",
    "LearningPermit",
    "ModelError",
    "SharedRuntime",
    "Status",
]
_HOMES = {
    "CameraProfile": "stream.camera_profile",
    "CloseupError": "stream.errors",
    "ConfigError": "stream.errors",
    "EngineError": "engines.runtime",
    "EnhancedVideoTrack": "stream.rtc.enhanced_track",
    "LearningPermit": "stream.live_learning",
    "ModelError": "stream.errors",
    "SharedRuntime": "stream.shared_runtime",
    "Status": "stream.rtc.status",
}
# Late: the command line asks for the relay's options before it knows that aiortc is there.
__getattr__, __dir__ = lazy_names(globals(), _HOMES)
