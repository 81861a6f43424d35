"""Protocols: what a `Pipeline` or a session runs, and what each part may be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Protocol

from stream.frame import Frame
from stream.quality_ladder import QualityLevel


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


@dataclass(frozen=True)
class FaceState:
    """What a stage has concluded about one face, in numbers; each stage has its own kind of it."""


class Stage:
    """Looks at a frame and returns it with more known about it.

    A stage inherits from this class, and overrides what concerns it. All of it happens in one
    thread, except where it says "from any thread".
    """

    name: str
    """One word, for the report."""
    face_state: ClassVar[type[FaceState]] = FaceState
    """What `save` gives for a face."""

    def __call__(self, frame: Frame) -> Frame:
        """`dataclasses.replace(frame, ...)`; never writes into the frame's arrays."""
        raise NotImplementedError

    def replay(self, frame: Frame) -> Frame:
        """Take in a frame whose output is there already, from a run that was interrupted.

        Afterwards the stage knows what it would know if it had worked on the frame, except for what
        `save` has saved; nothing needs to be drawn, and the network need not run.
        """
        return self(frame)

    def apply(self, quality: QualityLevel) -> None:
        """Spend no more than this from the next frame on; from any thread."""

    def forget(self) -> None:
        """Let go of everything that shows what somebody looks like; from any thread."""

    def save(self) -> dict[int, FaceState]:
        """What a later run cannot find out by `replay`: by track_id, numbers alone.

        Pictures cannot be saved; they are let go of, so that this run goes on exactly as one does
        that is given to `restore` what was saved.
        """
        return {}

    def restore(self, faces: Mapping[int, FaceState]) -> None:
        """Take what `save` gave after the frame that was replayed last."""

    def close(self) -> None:
        """Give everything back. Called once."""


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
