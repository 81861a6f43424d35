"""Protocols: what a `Pipeline` runs, and what each part must be able to do."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

from stream.frame import Frame


class Source(Protocol):
    """Where frames come from. Opened and closed by the one who made it (`with`)."""

    @property
    def width(self) -> int:
        """Of every frame, px."""
        ...

    @property
    def height(self) -> int:
        """Of every frame, px."""
        ...

    @property
    def rate(self) -> Fraction:
        """Frames per second, on average."""
        ...

    @property
    def time_base(self) -> Fraction:
        """Of every frame's pts, seconds."""
        ...

    @property
    def frames_total(self) -> int | None:
        """How many frames to expect; None when nobody knows."""
        ...

    @property
    def live(self) -> bool:
        """True: frames come when they come, an old one is worth nothing."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order; raises `InputError` when it cannot go on."""
        ...


class Stage(Protocol):
    """Looks at a frame and returns it with more known about it. Runs in one thread."""

    @property
    def name(self) -> str:
        """One word, for the report."""
        ...

    def __call__(self, frame: Frame) -> Frame:
        """`dataclasses.replace(frame, ...)`; never writes into the frame's arrays."""
        ...

    def close(self) -> None:
        """Give everything back. Called once, in the thread that ran the stage."""
        ...


class Sink(Protocol):
    """Takes finished frames. `send` runs in its own thread; `close` or `abort` after it."""

    @property
    def name(self) -> str:
        """One word, for the report."""
        ...

    def send(self, frame: Frame) -> None:
        """Take one frame, in order."""
        ...

    def close(self) -> None:
        """The run went well: flush and publish."""
        ...

    def abort(self) -> None:
        """The run failed: remove what is half-written. May follow a `close` that raised."""
        ...
