"""EnhancementSession: the stages of one camera, driven one frame at a time.

    session = EnhancementSession(stages, live_rate=Fraction(30))
    session.prepare()                                   # live: loads the models
    for frame in camera:
        done = session.process(frame)                   # the stages, in one thread
        if session.hand_on(done):                       # counts it, unless a newer one was shown
            show(done.output)
    session.close()

The Python API, a call, a WebRTC track and a recording each drive one. For a recording every stage
works on every frame, or its error ends the run. Live, stages fail open (`stream.fail_open`), a
machine that is too slow lowers the quality (`stream.quality_controller`), and a frame that should
not wait is shown `plain`, by another thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction

from stream.events import (
    Event,
    FaceLimitReached,
    OnEvent,
    QualityDegraded,
    QualityRecovered,
    StageFailedOpen,
)
from stream.fail_open import FailOpen
from stream.frame import Exemplar, Frame
from stream.graph import Stages
from stream.image.resample import Size
from stream.picture_options import DETAIL, STRENGTH
from stream.quality_controller import QualityController
from stream.quality_ladder import QualityLevel
from stream.stages.framing.framing import Mode
from stream.telemetry.metrics import (
    DROPPED,
    ENHANCED,
    EXEMPLARS,
    FACE_LIMIT,
    FACES,
    FAILED_OPEN,
    FRAMES,
    Metrics,
)
from stream.telemetry.session_stats import SessionStats


class EnhancementSession:
    """Runs stages. Called by one thread, except where it says "from any thread".

    Args: stages: closed by the session.
          live_rate: nominal frames a second of a live source; None for a recording.
          metrics: gets the time of each stage, and counts; one of its own when left out. Where it
          adds to a total, the quality level, which is this camera's, stays out of both.
          on_event: called with each event, in the thread that runs the stages.
          finished: whether the output of a frame is there already, from a run that was interrupted;
          such frames are replayed (`Stage.replay`).
          clock: seconds, never going back.
    """

    def __init__(
        self,
        stages: Stages,
        *,
        live_rate: Fraction | None = None,
        metrics: Metrics | None = None,
        on_event: OnEvent | None = None,
        finished: Callable[[Frame], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics = Metrics() if metrics is None else metrics
        self._stages = stages
        self._finished = finished or (lambda frame: False)
        self._clock = clock
        stages.events.listen(self._count_event)
        if on_event is not None:
            stages.events.listen(on_event)
        self._fail_open = None if live_rate is None else self._make_fail_open()
        if self._fail_open is not None:
            self._fail_open.preparing = bool(stages.to_load)
        # Never asked, as in a recording, it leaves the stages at full quality.
        levels = self.metrics if live_rate and self.metrics.total is None else Metrics()
        self._controller = QualityController(
            self._apply, float(1 / (live_rate or 1)), levels, clock
        )
        self._order = threading.Lock()
        self._newest = -1

    def prepare(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Live: load the models and try out the network; until that is done, frames are `late`.

        Args:    stopped: asked before each step, whether to leave it out and all after it.
        Returns: whether everything was done. If it was not, no frame must be processed.
        Raises:  ModelError, EngineError.
        """
        if self._fail_open is None or not self._stages.to_load:
            return True
        return self._fail_open.prepare((*self._stages.to_load, self._begin), stopped)

    def process(self, frame: Frame) -> Frame:
        """Run all stages on a frame.

        Returns: the frame with its faces, its view and its output; live with an output in any case.
                 One that was overtaken by a newer one comes back as it is.
        Raises:  what a stage raises; live nothing.
        """
        if frame.index <= self._newest:
            return frame
        if self._fail_open is None:
            replayed = self._finished(frame)
            for stage in self._stages.all:
                with self.metrics.time(stage.name):
                    frame = stage.replay(frame) if replayed else stage(frame)
            return frame
        started_s = self._clock()
        frame = self._fail_open(frame)
        # What some stages took says nothing of what all would take.
        if self._fail_open.complete:
            self._control_quality(frame, self._clock() - started_s)
        return frame

    @property
    def late(self) -> bool:
        """Live: frames should not wait for `process`, but be shown `plain`; from any thread."""
        return self._fail_open is not None and self._fail_open.is_late()

    def plain(self, frame: Frame) -> Frame:
        """The camera's picture in the geometry of the last view; live, from any thread."""
        assert self._fail_open is not None, "recordings wait"
        return self._fail_open.plain(frame)

    def hand_on(self, frame: Frame) -> bool:
        """Say that a frame goes to the outputs now, and count it; from any thread.

        Returns: False: it must not, because a newer one did; it counts as dropped.
        """
        with self._order:
            if frame.index <= self._newest:
                self.metrics.count(DROPPED)
                return False
            self._newest = frame.index
        self.metrics.count(FRAMES)
        self.metrics.count(FACES, len(frame.faces))
        self.metrics.count(ENHANCED, frame.enhanced)
        self.metrics.set(EXEMPLARS, self._stages.bank.harvested)
        return True

    def reframe(self, size: Size, rate: Fraction, framing: Mode, scale: float = 1.0) -> None:
        """From the next frame on, pictures have another size or framing. See `Stages.build`.

        Args: size, rate, framing, scale: as of `Stages.build`.
        """
        self._stages = self._stages.reframed(size, rate, framing, scale)
        if self._fail_open is not None:
            self._fail_open = self._make_fail_open()

    def forget(self) -> None:
        """Wipe what is remembered of everybody's looks; from any thread."""
        for stage in self._stages.all:
            stage.forget()

    def close(self) -> None:
        """Close every stage. Raises: the first error of a stage, after all of them were closed."""
        errors = []
        for stage in self._stages.all:
            try:
                stage.close()
            except BaseException as error:  # the others have models and memory to give back
                errors.append(error)
        if errors:
            raise errors[0]

    @property
    def strength(self) -> float:
        """Of the enhancement, 0..1; may be set from any thread, which raises ConfigError."""
        return self._stages.compositor.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._stages.compositor.strength = STRENGTH.check(strength)

    @property
    def detail(self) -> float:
        """How much fine detail is shown, 0..1; may be set from any thread, which raises
        ConfigError."""
        enhancer = self._stages.enhancer
        return DETAIL.default if enhancer is None else enhancer.detail

    @detail.setter
    def detail(self, detail: float) -> None:
        checked = DETAIL.check(detail)
        if self._stages.enhancer is not None:
            self._stages.enhancer.detail = checked

    @property
    def events(self) -> tuple[Event, ...]:
        """The latest of them, oldest first; from any thread."""
        return self._stages.events.latest

    @property
    def failing(self) -> tuple[StageFailedOpen, ...]:
        """The stages that fail now; from any thread."""
        return () if self._fail_open is None else self._fail_open.failing

    @property
    def preparing(self) -> bool:
        """Whether the models are not there yet; from any thread."""
        return self._fail_open is not None and self._fail_open.preparing

    @property
    def quality(self) -> QualityLevel:
        """What the stages may spend on a frame now; from any thread."""
        return self._controller.quality

    @property
    def load(self) -> float:
        """Live: share of the time between frames that the last ones took; from any thread."""
        return self._controller.load

    @property
    def track_ids(self) -> tuple[int, ...]:
        """Of the people of whom exemplars are kept; from any thread."""
        return self._stages.bank.track_ids

    def tell(self, event: Event) -> None:
        """Add an event of what works beside the stages; from any thread."""
        self._stages.events.add(event)

    def person_number(self, track_id: int) -> int:
        """Another one when somebody else's exemplars are kept, see `Bank.person_number`."""
        return self._stages.bank.person_number(track_id)

    def exemplars_of(self, track_id: int) -> tuple[Exemplar, ...]:
        """The exemplars that are kept of one person, oldest first; from any thread."""
        return self._stages.bank.exemplars_of(track_id)

    def stats(self) -> SessionStats:
        """All figures so far; from any thread."""
        count, opened = self.metrics.counter, self._stages.opener.opened
        return SessionStats(
            frames=count(FRAMES),
            dropped=count(DROPPED),
            failed_open=count(FAILED_OPEN),
            faces=count(FACES),
            enhanced=count(ENHANCED),
            exemplars=self._stages.bank.harvested,
            level=self._controller.level,
            runtime=opened.runtime.name if opened else "",
        )

    def _count_event(self, event: Event) -> None:
        if isinstance(event, FaceLimitReached):
            self.metrics.set(FACE_LIMIT, event.limit)

    def _make_fail_open(self) -> FailOpen:
        stages = self._stages
        return FailOpen(stages.all, self.metrics, stages.whole, stages.events.add, self._clock)

    def _begin(self) -> None:
        level, crop_s = self._stages.first_quality()
        enhancer = self._stages.enhancer
        small = enhancer is not None and enhancer.has_small
        beside = enhancer is not None and enhancer.beside is not None
        self._controller.start(level, crop_s, small=small, beside=beside)

    def _control_quality(self, frame: Frame, worked_s: float) -> None:
        before = self._controller.level
        enhancer = self._stages.enhancer
        self._controller(frame, worked_s, 0.0 if enhancer is None else enhancer.beside_s)
        level, quality = self._controller.level, self.quality.name
        if level > before:
            self._stages.events.add(QualityDegraded(level, quality))
        elif level < before:
            self._stages.events.add(QualityRecovered(level, quality))

    def _apply(self, quality: QualityLevel) -> None:
        for stage in self._stages.all:
            stage.apply(quality)
