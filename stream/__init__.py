"""Closeup for programs: pictures in, pictures with sharp faces out.

    from stream import Enhancer

    with Enhancer() as enhancer:
        sharp = enhancer(image)

`__all__` is the public API: the class, what it takes, and the errors that it raises. All of them
but EngineError, of the runtimes, are CloseupErrors. WebRTC is in `stream.rtc`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.lazy_names import lazy_names
from stream.version import __version__

if TYPE_CHECKING:
    from engines.runtime import EngineError
    from stream.api import Enhancer
    from stream.camera_profile import CameraProfile
    from stream.errors import CloseupError, ConfigError, InputError, ModelError, OutputError

__all__ = [
    "CameraProfile",
    "CloseupError",
    "ConfigError",
    "EngineError",
    "Enhancer",
    "InputError",
    "ModelError",
    "OutputError",
    "__version__",
]
_HOMES = {
    "CameraProfile": "stream.camera_profile",
    "CloseupError": "stream.errors",
    "ConfigError": "stream.errors",
    "EngineError": "engines.runtime",
    "Enhancer": "stream.api",
    "InputError": "stream.errors",
    "ModelError": "stream.errors",
    "OutputError": "stream.errors",
}
# Late: to import `stream.frame` alone does not load a face detector.
__getattr__, __dir__ = lazy_names(globals(), _HOMES)
