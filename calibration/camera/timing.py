"""Timing: how evenly frames come, and how long the exposure takes to settle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

GAP = 1.5
"""An interval this many times the usual one lacks a frame."""
JUMP_LEVELS = 8.0
"""So much brighter or darker within three frames is a change of the light, not of the exposure."""
SETTLED = 0.1
"""Settled: within this share of the way from the jump to the end."""
LEAST_WAY_LEVELS = 4.0
"""A camera that moves the brightness by less after a jump did not answer it."""
WINDOW_S, LEAST_WINDOW_S, END_S = 5.0, 1.0, 0.4
LEAST_FRAMES = 10
SMOOTH = 5
ANOTHER = 0.5
"""The next change of the light is at least this part as steep as the last; what is less is the
exposure's answer to that."""


@dataclass(frozen=True)
class Rhythm:
    """How evenly frames come."""

    interval_ms: float
    """The usual time between two frames (median)."""
    jitter_ms: float
    """Standard deviation of that time, gaps left out."""
    gaps: float
    """Share of the intervals in which a frame is missing."""
    repeated: float
    """Share of the frames that are copies of the one before."""


def rhythm(times_s: Sequence[float], repeated: int = 0) -> Rhythm | None:
    """Args: times_s: of all frames, in order. Returns: None for fewer than `LEAST_FRAMES`."""
    if len(times_s) < LEAST_FRAMES:
        return None
    intervals = 1e3 * np.diff(np.asarray(times_s, np.float64))
    usual = float(np.median(intervals))
    gap = intervals > GAP * usual
    return Rhythm(
        interval_ms=usual,
        jitter_ms=float(intervals[~gap].std()),
        gaps=float(gap.mean()),
        repeated=repeated / len(times_s),
    )


def settling_s(times_s: Sequence[float], levels: Sequence[float]) -> list[float]:
    """How long the brightness took to settle after each change of the light.

    Args:    times_s: of all frames. levels: mean luma of each, 0..255.
    Returns: seconds from each jump that the camera answered until 90 % of its answer was there.
    """
    times = np.asarray(times_s, np.float64)
    light = np.asarray(levels, np.float64)
    found = []
    starts = _jumps(light)
    for number, start in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else len(light)
        until = min(times[start] + WINDOW_S, times[end - 1])
        if until - times[start] < LEAST_WINDOW_S:
            continue
        inside = np.arange(start, end)[times[start:end] <= until]
        rest = float(np.median(light[inside][times[inside] >= until - END_S]))
        off = np.abs(light[inside] - rest)
        peak = int(np.argmax(off[: LEAST_FRAMES // 2]))
        if off[peak] < LEAST_WAY_LEVELS:
            continue
        # A single frame that trembles out again has settled, too.
        calm = np.median(sliding_window_view(np.pad(off, SMOOTH // 2, "edge"), SMOOTH), axis=1)
        outside = np.flatnonzero(calm > SETTLED * off[peak])
        last = min(int(outside[-1]) + 1, len(inside) - 1)
        found.append(float(times[inside[last]] - times[inside[peak]]))
    return found


def _jumps(light: NDArray[np.float64]) -> list[int]:
    """Where the light had just changed: the index after each steepest step."""
    if len(light) < LEAST_FRAMES:
        return []
    change = np.abs(light[3:] - light[:-3])
    starts: list[int] = []
    steepest, index = 0.0, 0
    while index < len(change):
        if change[index] < JUMP_LEVELS:
            index += 1
            continue
        end = index
        while end < len(change) and change[end] >= JUMP_LEVELS:
            end += 1
        steps = np.abs(np.diff(light[index : min(end + 3, len(light))]))
        if steps.max() >= ANOTHER * steepest:
            starts.append(index + int(np.argmax(steps)) + 1)
            steepest = float(steps.max())
        index = end
    return starts
