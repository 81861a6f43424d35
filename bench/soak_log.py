"""SoakLog: what a soak writes down, in memory that is taken once, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import fmean
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from stream.frame import Frame
from stream.live_learning import GAIN, LEARNING
from stream.quality_controller import DOWN, UP
from stream.quality_ladder import LADDER
from stream.telemetry.metrics import DROPPED, ENHANCED, FACES, FAILED_OPEN, Metrics
from stream.telemetry.process_memory import resident_bytes

BEGINNING_S = 10.0
AFTER_S = 1.0
"""So long after a disturbance nothing counts as normal."""
NORMAL_PERCENT = 99.0


class Result(TypedDict):
    """The JSON of a soak. Levels, the counters at the end and what is said of the beginning include
    the warm-up, all else not."""

    seconds: float
    runtime: str
    frames: int
    fps: float
    age_ms: dict[str, float]
    """p50, p95, p99 and max, from capture until the output has the frame."""
    age_slope_ms_per_min: float
    memory_mb: float | None
    """Resident, at the end; None where the system does not say."""
    memory_slope_mb_per_min: float | None
    levels: dict[str, float]
    """Step of the quality ladder → part of the frames, 0..1."""
    disturbances: int
    frames_until_normal: dict[str, float]
    """How many frames after a disturbed one were older than 99 % of the undisturbed: mean, max;
    empty where no frame is undisturbed."""
    quality_steps_down: int
    quality_steps_up: int
    frames_dropped: int
    frames_failed_open: int
    faces_seen: int
    faces_enhanced: int
    models_ready_s: float | None
    """From the start of the call until all models are loaded; None: they never were."""
    first_frame_s: float | None
    """From the start of the call until the output has its first frame; None: it got none."""
    first_enhanced_s: float | None
    """Until the first frame with an enhanced face."""
    first_10_s: dict[str, int]
    """Frames that were taken, dropped and failed open in these."""
    learning_share: float | None
    """Part of the time in which somebody was learnt, 0..1; None: nobody was to be learnt."""
    learnt_gain_db: float | None
    """Of the person who was learnt last, over the shipped weights; None: nobody gained."""


class Log:
    """Filled by the threads of a pipeline, each method by one of them.

    Args: frames: at most so many are taken. samples: of memory.
    """

    def __init__(self, frames: int, samples: int) -> None:
        # Filled at once: memory that grows while it is first written would look like a leak.
        self._taken_s = np.full(frames, np.nan)
        self._ages_ms = np.full(frames, np.nan)
        self._indices = np.full(frames, -1, np.int64)
        self._frames = 0
        self._memory = np.full((samples, 2), np.nan)
        self._samples = 0
        self._disturbed: list[int] = []
        self._levels = np.zeros(len(LADDER), np.int64)
        self._enhanced_s: float | None = None
        self._ready_s: float | None = None
        self._beginning = (0, 0)
        self._learning: list[bool] = []
        self._started_s = time.monotonic()

    def taken(self, frame: Frame, now_ns: int) -> None:
        """The output has a frame."""
        place = self._frames
        if place == len(self._indices):
            return
        self._taken_s[place] = now_ns / 1e9 - self._started_s
        self._ages_ms[place] = (now_ns - frame.captured_ns) / 1e6
        self._indices[place] = frame.index
        self._frames += 1
        if self._enhanced_s is None and frame.enhanced:
            self._enhanced_s = float(self._taken_s[place])

    def models_ready(self) -> None:
        """All models are loaded."""
        self._ready_s = time.monotonic() - self._started_s

    def worked(self, level: int) -> None:
        """The worker has finished a frame at this step of the ladder."""
        self._levels[level] += 1

    def disturbed(self, frame: Frame) -> None:
        """A stage is about to sleep on this frame."""
        self._disturbed.append(frame.index)

    def count(self, metrics: Metrics) -> None:
        """Look at the counters, now and then."""
        if time.monotonic() - self._started_s <= BEGINNING_S:
            self._beginning = (metrics.counter(DROPPED), metrics.counter(FAILED_OPEN))

    def learning(self, gauges: Mapping[str, float]) -> None:
        """Write down whether somebody is learnt now. Args: gauges: of the session."""
        self._learning.append(gauges.get(LEARNING, 0.0) > 0.0)

    def sample_memory(self) -> None:
        """Write down how much memory there is now."""
        resident = resident_bytes()
        if resident is not None and self._samples < len(self._memory):
            now_s = time.monotonic() - self._started_s
            self._memory[self._samples] = (now_s, resident / 1e6)
            self._samples += 1

    def result(self, metrics: Metrics, warm_up_s: float, runtime: str) -> Result:
        """What follows.

        Args: metrics: of the pipeline. warm_up_s: at the start, not counted. runtime: its name.
        """
        times_s = self._taken_s[: self._frames]
        counted = times_s >= warm_up_s
        ages, when = self._ages_ms[: self._frames][counted], times_s[counted]
        span_s = float(when[-1] - when[0]) if len(when) > 1 else 0.0
        memory = self._memory[: self._samples]
        late = memory[memory[:, 0] >= warm_up_s]
        worked = max(int(self._levels.sum()), 1)
        disturbed = self._disturbed_places(warm_up_s)
        again = self._until_normal(disturbed, warm_up_s)
        return Result(
            seconds=round(span_s, 1),
            runtime=runtime,
            frames=len(ages),
            fps=round((len(ages) - 1) / span_s, 2) if span_s > 0.0 else 0.0,
            age_ms=_ages(ages),
            age_slope_ms_per_min=_slope(when, ages),
            memory_mb=round(float(memory[-1, 1]), 1) if len(memory) else None,
            memory_slope_mb_per_min=_slope(late[:, 0], late[:, 1]) if len(memory) else None,
            levels={
                f"{level} ({LADDER[level].name})": round(int(number) / worked, 4)
                for level, number in enumerate(self._levels)
                if number
            },
            disturbances=len(disturbed),
            frames_until_normal=(
                {"mean": round(float(np.mean(again)), 2), "max": float(max(again))} if again else {}
            ),
            quality_steps_down=metrics.counter(DOWN),
            quality_steps_up=metrics.counter(UP),
            frames_dropped=metrics.counter(DROPPED),
            frames_failed_open=metrics.counter(FAILED_OPEN),
            faces_seen=metrics.counter(FACES),
            faces_enhanced=metrics.counter(ENHANCED),
            models_ready_s=None if self._ready_s is None else round(self._ready_s, 4),
            first_frame_s=round(float(times_s[0]), 4) if len(times_s) else None,
            first_enhanced_s=None if self._enhanced_s is None else round(self._enhanced_s, 4),
            first_10_s=dict(
                zip(
                    ("frames", "dropped", "failed_open"),
                    (int((times_s <= BEGINNING_S).sum()), *self._beginning),
                    strict=True,
                )
            ),
            learning_share=round(fmean(self._learning), 4) if self._learning else None,
            learnt_gain_db=metrics.gauges.get(GAIN),
        )

    def _disturbed_places(self, warm_up_s: float) -> NDArray[np.int64]:
        """Where among the frames that were taken the disturbed ones, or those after them, are."""
        places = np.searchsorted(self._indices[: self._frames], self._disturbed)
        places = places[places < self._frames]
        return places[self._taken_s[places] >= warm_up_s]

    def _until_normal(self, places: NDArray[np.int64], warm_up_s: float) -> list[int]:
        """For each disturbance: how many of the frames after the disturbed one were too old."""
        times_s, ages = self._taken_s[: self._frames], self._ages_ms[: self._frames]
        quiet = times_s >= warm_up_s
        for place in places:
            quiet &= (times_s < times_s[place] - AFTER_S) | (times_s > times_s[place] + AFTER_S)
        if not quiet.any():
            return []
        normal = float(np.percentile(ages[quiet], NORMAL_PERCENT))
        counts = []
        for place in places:
            after = ages[place + 1 :]
            good = np.flatnonzero(after <= normal)
            counts.append(int(good[0]) if len(good) else len(after))
        return counts


def _ages(ages: NDArray[np.float64]) -> dict[str, float]:
    if not len(ages):
        return {}
    marks = {f"p{percent}": np.percentile(ages, percent) for percent in (50, 95, 99)}
    return {name: round(float(value), 1) for name, value in {**marks, "max": ages.max()}.items()}


def _slope(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Of the straight line that fits best, per minute; 0 where there is no line."""
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return 0.0
    minutes = (times_s - times_s.mean()) / 60.0
    return round(float((minutes * (values - values.mean())).sum() / (minutes**2).sum()), 3)
