"""Fail open: a call goes on, whatever happens to a stage.

A stage that raises, or takes longer than `LATE_S` for one frame, lets the camera's picture through
in the geometry of the last view. It is counted and said once. After `FAILURES` of them the stage
stays off for a while and the others go on without it. The while doubles each time a stage raises; a
slow one is tried again soon, since what made it slow is often another program.

While a call begins, and its models are loaded, it shows the camera's picture, too. That is no
failure and counts as none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from engines.errors import one_line
from stream.events import OnEvent, StageFailedOpen, StageRecovered
from stream.frame import Frame, View
from stream.image.resample import resample
from stream.protocols import Stage
from stream.telemetry.metrics import FAILED_OPEN, Metrics

LATE_S = 0.25
"""Longer than any stage takes that keeps up, and shorter than a pause that is noticed."""
FAILURES = 5
GOOD_FRAMES = 30
"""So many good frames in a row make up for all failures before them."""
RETRY_S, RETRY_MOST_S = 5.0, 60.0


@dataclass
class _Watch:
    """The failures of one stage."""

    stage: Stage
    failures: int = 0
    good: int = 0
    off_until_s: float | None = None
    pause_s: float = RETRY_S
    failing: StageFailedOpen | None = None
    """As it was reported; None while there is nothing to report."""


class FailOpen:
    """Runs the stages of a live pipeline. `plain` and `is_late` are for any thread.

    Args: stages: in order; closed by their owner. metrics: gets their times and `FAILED_OPEN`.
          whole: the view before framing has chosen one; None for the picture as it is.
          tell: is told when a stage begins to fail or is switched off, and when it works again.
          clock: seconds, never going back.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        metrics: Metrics,
        whole: View | None,
        tell: OnEvent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watches = [_Watch(stage) for stage in stages]
        self._metrics = metrics
        self._view = whole
        self._tell = tell
        self._clock = clock
        self._busy_since_s: float | None = None
        self.preparing = False
        """Whether the stages are not there yet; for any thread."""
        self.complete = False
        """Whether every stage has worked on the last frame: what others took says nothing of what
        all would take."""

    @property
    def failing(self) -> tuple[StageFailedOpen, ...]:
        """The stages that fail now, as that was reported; from any thread."""
        return tuple(one.failing for one in self._watches if one.failing is not None)

    def prepare(
        self, steps: Iterable[Callable[[], object]], stopped: Callable[[], bool] = lambda: False
    ) -> bool:
        """Do what has to be done before the first frame, in the thread that runs the stages.

        Args:    stopped: asked before each step, whether to leave it out and all after it.
        Returns: whether everything was done. If it was not, no frame must be given.
        Raises:  what a step raises.
        """
        self.preparing = True
        for step in steps:
            if stopped():
                return False
            step()
        self.preparing = False
        return True

    def __call__(self, frame: Frame) -> Frame:
        """Run the stages on one frame; what they raise stays here.

        Returns: the frame with an `output`, whatever happened.
        """
        self._busy_since_s = self._clock()
        try:
            return self._run(frame)
        finally:
            self._busy_since_s = None

    def is_late(self) -> bool:
        """Whether frames should not wait: nothing works yet, or on one frame for too long."""
        return self.preparing or self._overdue()

    def plain(self, frame: Frame) -> Frame:
        """The camera's picture in the geometry of the last view, for a frame that does not wait."""
        # Not whether it is preparing: that may have ended since somebody asked.
        if self._overdue():
            self._metrics.count(FAILED_OPEN)
        return self._drawn(frame)

    def _overdue(self) -> bool:
        since_s = self._busy_since_s
        return since_s is not None and self._clock() - since_s > LATE_S

    def _drawn(self, frame: Frame) -> Frame:
        view = frame.view or self._view
        if view is None:
            return replace(frame, output=frame.image)
        output = resample(frame.image, view.rect, view.size)
        return replace(frame, view=view, output=output)

    def _run(self, frame: Frame) -> Frame:
        self.complete = skipped = False
        for watch in self._watches:
            if watch.off_until_s is not None and self._clock() < watch.off_until_s:
                # Without framing the others still need a view, the last one.
                frame = replace(frame, view=frame.view or self._view)
                skipped = True
                continue
            started_s = self._clock()
            try:
                with self._metrics.time(watch.stage.name):
                    done = watch.stage(frame)
            except Exception as error:
                self._failed(watch, StageFailedOpen(watch.stage.name, "raised", one_line(error)))
                self._metrics.count(FAILED_OPEN)
                return self._drawn(frame)
            if self._clock() - started_s > LATE_S:
                self._failed(watch, StageFailedOpen(watch.stage.name, "late"))
            else:
                self._worked(watch)
            frame = done
        self._view = frame.view or self._view
        self.complete = not skipped
        if skipped:
            self._metrics.count(FAILED_OPEN)
        return frame if frame.output is not None else self._drawn(frame)

    def _failed(self, watch: _Watch, how: StageFailedOpen) -> None:
        watch.failures += 1
        watch.good = 0
        raised = how.why == "raised"
        if watch.failures >= FAILURES:
            watch.off_until_s = self._clock() + watch.pause_s
            if raised:
                watch.pause_s = min(2.0 * watch.pause_s, RETRY_MOST_S)
        # A single late frame, while a model is loaded, is no news.
        if watch.failing is None and (watch.off_until_s is not None or raised):
            watch.failing = how
            self._tell(how)

    def _worked(self, watch: _Watch) -> None:
        watch.good += 1
        if watch.good < GOOD_FRAMES or not watch.failures:
            return
        watch.failures, watch.off_until_s, watch.pause_s = 0, None, RETRY_S
        if watch.failing is not None:
            watch.failing = None
            self._tell(StageRecovered(watch.stage.name))
