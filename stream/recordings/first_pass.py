"""FirstPass: the first pass over a recording, which finds everybody and enhances nothing."""

from __future__ import annotations

import time

from stream.events import EventLog
from stream.frame import Frame
from stream.graph import Stages
from stream.pipeline import Pipeline
from stream.protocols import Source
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.people.track_log import Replay, TrackLog
from stream.session import EnhancementSession
from stream.telemetry.metrics import FACES, FRAMES, Metrics
from stream.telemetry.progress import MakeMeter, Progress

FIRST = "pass 1 of 2, looking: "


class FirstPass:
    """What the first pass saw: where the faces are, and who they are.

    Args: person_index: gets the exemplars; the caller's to wipe.
    """

    def __init__(self, person_index: PersonIndex) -> None:
        self.person_index = person_index
        self.tracks = TrackLog()
        self.metrics = Metrics()
        self.duration_s = 0.0

    @property
    def frames(self) -> int:
        """How many pictures the recording has."""
        return self.metrics.counter(FRAMES)

    @property
    def faces(self) -> int:
        """Faces seen, once in every picture."""
        return self.metrics.counter(FACES)

    def run(self, source: Source, meter: MakeMeter = Progress) -> None:
        """Look through a whole recording.

        Args:   meter: is told of every frame.
        Raises: CloseupError: it cannot be read, or the face detector cannot be had.
        """
        progress = meter(source.frames_total, label=FIRST)

        def see(frame: Frame) -> None:
            self.tracks.add(frame)
            with self.metrics.time("bank"):
                self.person_index.see(frame)
            progress.advance()

        started_s = time.monotonic()
        try:
            events = EventLog()
            stages = Stages([Stages.tracker(events)], events=events)
            session = EnhancementSession(stages, metrics=self.metrics)
            Pipeline(source, session, [], see).run()
        finally:
            progress.finish()
            self.duration_s = time.monotonic() - started_s

    def replay(self) -> Replay:
        """The stage that takes the tracker's place in the second pass."""
        return Replay(self.tracks, self.person_index.number_of)
