"""Events: what happened in a session, as values. `note_of` makes the line that people read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engines.runtime import PassedOver, ProfileState

KEPT = 256
"""So many of the latest events can be read again."""


@dataclass(frozen=True)
class StageFailedOpen:
    """A stage began to fail: the camera's picture is shown where it is needed. Reported once, until
    the stage has recovered."""

    stage: str
    """Its name."""
    why: Literal["raised", "late"]
    error: str = ""
    """What it raised, in one line."""


@dataclass(frozen=True)
class StageRecovered:
    """A stage that failed works again."""

    stage: str


@dataclass(frozen=True)
class QualityDegraded:
    """The stages took too long: quality was given up."""

    level: int
    """Step of `stream.quality_ladder.LADDER`; 0 is full quality."""
    quality: str
    """Its name."""


@dataclass(frozen=True)
class QualityRecovered:
    """There was time again: some of the quality came back."""

    level: int
    quality: str
    """See `QualityDegraded`."""


@dataclass(frozen=True)
class RuntimeChosen:
    """The network of one scale was opened, and why by this runtime."""

    scale: int
    """4 or 8."""
    name: str
    passed_over: tuple[PassedOver, ...] = ()
    profile: ProfileState | None = None
    """See `engines.runtime.OpenedRuntime`."""


@dataclass(frozen=True)
class ExemplarAdmitted:
    """The bank has taken in one more exemplar of a person."""

    track_id: int


@dataclass(frozen=True)
class FaceLimitReached:
    """More faces were in the picture than are followed at once; the others stay as they are."""

    limit: int
    """So many far faces are followed, and as many near ones."""


@dataclass(frozen=True)
class PersonLearnt:
    """The network has learnt a person of the call, and what was learnt is used from now on."""

    track_id: int
    gain_db: float
    """PSNR in the face over the shipped weights, on close-ups that were not learnt from."""
    gain_coherence: float


@dataclass(frozen=True)
class PersonRecognised:
    """A face is surely that of the person who is known before the call, and has what is kept."""

    track_id: int


@dataclass(frozen=True)
class LearningFailed:
    """Nobody is learnt; the call goes on with what it has."""

    error: str
    """In one line."""


Event = (
    StageFailedOpen
    | StageRecovered
    | QualityDegraded
    | QualityRecovered
    | RuntimeChosen
    | ExemplarAdmitted
    | FaceLimitReached
    | PersonLearnt
    | PersonRecognised
    | LearningFailed
)
OnEvent = Callable[[Event], None]


def note_of(event: Event) -> str | None:
    """What a person is told at once, in one line; None for what only figures show."""
    if isinstance(event, StageFailedOpen):
        what = "is too slow" if event.why == "late" else f"failed ({event.error})"
        return f"the {event.stage} {what}; the camera's picture is shown where it is needed"
    if isinstance(event, StageRecovered):
        return f"the {event.stage} works again"
    if isinstance(event, FaceLimitReached):
        return f"more than {event.limit} faces at once: the others stay as they are"
    if isinstance(event, PersonLearnt):
        return f"person {event.track_id} was learnt: {event.gain_db:+.2f} dB in the face"
    if isinstance(event, PersonRecognised):
        return f"person {event.track_id} is the one of --person"
    if isinstance(event, LearningFailed):
        return f"nobody is learnt: {event.error}"
    return None


def notes_to(say: Callable[[str], None]) -> OnEvent:
    """Says what people should know at once, a line each."""

    def on_event(event: Event) -> None:
        if (line := note_of(event)) is not None:
            say(line)

    return on_event


class EventLog:
    """The latest events, and who hears of new ones. Filled by the thread that runs the stages."""

    def __init__(self) -> None:
        self._latest: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[OnEvent] = []

    @property
    def latest(self) -> tuple[Event, ...]:
        """The last `KEPT` of them, oldest first; from any thread."""
        return tuple(self._latest)

    def add(self, event: Event) -> None:
        """It happened now."""
        self._latest.append(event)
        for listener in self._listeners:
            listener(event)

    def listen(self, listener: OnEvent) -> None:
        """Call this with every event from now on, in the thread that runs the stages."""
        self._listeners.append(listener)
