"""Pace: how far apart pictures usually are, so that time constants hold at every frame rate.

A screen recording of a call may have a picture a second, or one whenever something changes. What is
said in seconds for 25 to 30 frames a second ("not seen for a second") would end every face between
two of its pictures.
"""

from __future__ import annotations

from collections import deque
from statistics import median

LOST_S = 1.0
"""A face that was not seen for so long is a new track when it comes back; the bank may know it."""
HOLD_S = 0.12
"""A confirmed track that is not detected stays where it was for so long: one missed frame must not
make it flicker."""
LOST_STEPS = 2.5
"""Both at least so many of the usual steps: a face may be missed in two pictures in turn ..."""
HOLD_STEPS = 1.2
"""... and its track is kept over one ..."""
HOLD_WITHIN_S = 0.4
"""... unless they are further apart: nobody stays in his place for so long."""
SLOW_S = 0.2
"""Pictures this far apart are few: each is searched for what many would have been."""
LONGEST_STEP_S = 5.0
"""Further apart, pictures do not show the same scene."""
STEPS = 7


class Pace:
    """Sees the times of the pictures of one source, in order."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=STEPS)
        self._last_s: float | None = None
        self.step_s = 0.0
        """Since the picture before; 0 for the first one, and where the time went back."""

    def see(self, time_s: float) -> None:
        """The next picture."""
        self.step_s = 0.0 if self._last_s is None else max(0.0, time_s - self._last_s)
        self._last_s = time_s
        if self.step_s > 0.0:
            self._steps.append(min(self.step_s, LONGEST_STEP_S))

    @property
    def usual_s(self) -> float:
        """Between two pictures of late: the median, so that a pause is not taken for a rate."""
        return median(self._steps) if self._steps else 0.0

    @property
    def lost_s(self) -> float:
        """A face that was not seen for longer is gone."""
        return max(LOST_S, LOST_STEPS * self.usual_s)

    @property
    def hold_s(self) -> float:
        """A track that is not detected stays where it was for so long."""
        usual_s = self.usual_s
        return max(HOLD_S, HOLD_STEPS * usual_s) if usual_s <= HOLD_WITHIN_S else HOLD_S

    @property
    def slow(self) -> bool:
        """Whether the last picture is far from the one before."""
        return self.step_s >= SLOW_S
