"""LiveSound: a live source's sound, on its way to the outputs that carry some."""

from __future__ import annotations

import threading
from collections.abc import Callable

import av

Listener = Callable[[av.AudioFrame, int], None]
"""Gets a frame of sound and when it was captured (`time.monotonic_ns`), in the source's thread."""


class LiveSound:
    """Hands sound from a source to its listeners. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> None:
        """Be told of every frame from now on; a listener must be quick and must not raise."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def put(self, frame: av.AudioFrame, captured_ns: int) -> None:
        """Hand on the next frame; listeners must not write into it."""
        for listener in self._listeners:
            listener(frame, captured_ns)
