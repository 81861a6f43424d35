"""LiveReader: one opening of a camera or stream, for `CameraSource`."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from fractions import Fraction

from stream.frame import Image
from stream.link import Link, LinkClosedError


class LiveReader(ABC):
    """A thread that puts its pictures into `pictures`. It begins when this is made.

    Args: name: of the thread.
    """

    has_sound = False

    def __init__(self, name: str) -> None:
        self.rate = Fraction(30)
        """Nominal, until it says another one."""
        self.pictures: Link[tuple[Image, int]] = Link.latest()
        """RGB uint8 (H, W, 3), and when it was captured (`time.monotonic_ns`)."""
        self._left = threading.Event()
        # A driver that hangs must not hold up the end of the program.
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self.thread.start()
        except BaseException:  # Ctrl-C in Thread.start does not tell whether the thread runs
            self.leave()
            raise

    def leave(self) -> None:
        """Close it as soon as possible; from any thread."""
        self._left.set()
        self.pictures.close()

    @abstractmethod
    def _read(self) -> None:
        """Open it and read until `_left`. What it raises reaches who waits for a picture."""

    def _run(self) -> None:
        try:
            if not self._left.is_set():
                self._read()
        except LinkClosedError:
            pass  # left
        except BaseException as error:
            self.pictures.close(error)
