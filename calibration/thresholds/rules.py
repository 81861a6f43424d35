"""Rules: labelled scores, and which limit is the best on them.

The classes count alike, however many there are of each: precision is the share of good among what
passes when good and bad come equally often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AS_GOOD = 0.01
"""A limit in use stays when it does what is wanted and loses no more than this of what the best one
would keep: numbers must not wander with every new photo."""


TAIL = 100
"""The largest of the bad scores, which their tail is told by."""


@dataclass(frozen=True)
class Point:
    """What one limit does; what reaches it passes."""

    limit: float
    precision: float
    recall: float


class Scores:
    """Scores with labels. Args: upper: what stays below the limit passes, not what reaches it.

    Raises: ValueError: of one label there is none.
    """

    _needs_bad = True

    def __init__(self, good: Sequence[float], bad: Sequence[float], *, upper: bool = False) -> None:
        if not len(good) or (self._needs_bad and not len(bad)):
            raise ValueError("a limit needs scores of both labels")
        self._sign = -1.0 if upper else 1.0
        self.good: NDArray[np.float64] = np.sort(self._sign * np.asarray(good, np.float64))
        self.bad: NDArray[np.float64] = np.sort(self._sign * np.asarray(bad, np.float64))

    def at(self, limit: float) -> Point:
        """What this limit does."""
        least = self._sign * limit
        passed = 1.0 - np.searchsorted(self.good, least) / len(self.good)
        wrong = float(np.mean(self.bad >= least)) if len(self.bad) else 0.0
        precision = passed / (passed + wrong) if passed + wrong > 0.0 else 1.0
        return Point(float(limit), float(precision), float(passed))

    def curve(self, count: int = 41) -> list[Point]:
        """Precision and recall around the good scores, as far again as they reach on both sides."""
        everything = np.concatenate([self.good, self.bad])
        reach = self.good[-1] - self.good[0]
        low = max(everything.min(), self.good[0] - reach)
        high = min(everything.max(), self.good[-1] + reach)
        return [self.at(self._sign * float(limit)) for limit in np.linspace(low, high, count)]

    def limits(self) -> NDArray[np.float64]:
        """Every limit that makes a difference, from where all pass on."""
        return self._sign * np.unique(np.concatenate([self.good, self.bad]))

    def passing_bad_below(self, limit: float) -> float | None:
        """The last bad score that this limit keeps out; None: it lets all pass."""
        below = self.bad[self.bad < self._sign * limit]
        return self._sign * float(below[-1]) if len(below) else None


class Gains(Scores):
    """Scores of what helps or harms by a known amount: good is what gains.

    Args: gains_db: what each is worth when it passes; 0 or less is bad, of which there may be none.
    """

    _needs_bad = False

    def __init__(
        self, scores: Sequence[float], gains_db: Sequence[float], *, upper: bool = False
    ) -> None:
        pairs = list(zip(scores, gains_db, strict=True))
        super().__init__(
            [score for score, gain in pairs if gain > 0.0],
            [score for score, gain in pairs if gain <= 0.0],
            upper=upper,
        )
        values = self._sign * np.asarray(scores, np.float64)
        order = np.argsort(values)
        self._values = values[order]
        self._rest = np.append(np.cumsum(np.asarray(gains_db, np.float64)[order][::-1])[::-1], 0.0)

    def total_db(self, limit: float) -> float:
        """Sum of what passes."""
        return float(self._rest[np.searchsorted(self._values, self._sign * limit)])


Rule = Callable[[Scores, float], tuple[Point, bool]]
"""(scores, the limit in use) → the best limit, and whether the one in use does as well."""


@dataclass(frozen=True)
class Precise:
    """Most recall with this precision. Args: lost: so much of it may the limit in use lose.

    Between the last bad score and the first good one every limit does; the middle is taken.
    Without any limit that precise, the most precise one.
    """

    precision: float
    lost: float = AS_GOOD

    def __str__(self) -> str:
        what = "most recall with" if self.lost < 1.0 else "any with"
        return f"{what} precision {self.precision:g}"

    def __call__(self, scores: Scores, now: float) -> tuple[Point, bool]:
        """See `Rule`."""
        best, today = self.best(scores), scores.at(now)
        enough = today.precision >= min(self.precision, best.precision)
        return best, enough and today.recall >= best.recall - self.lost

    def best(self, scores: Scores) -> Point:
        """The limit that the data alone would say."""
        points = [scores.at(float(limit)) for limit in scores.limits()]
        enough = [point for point in points if point.precision >= self.precision]
        if not enough:
            return max(points, key=lambda point: (point.precision, point.recall))
        most = max(enough, key=lambda point: point.recall)
        below = scores.passing_bad_below(most.limit)
        if below is not None:
            middle = scores.at((most.limit + below) / 2.0)
            if middle.precision >= self.precision:
                return middle
        return most


@dataclass(frozen=True)
class Keeping:
    """The strictest limit that passes this share of the good."""

    recall: float

    def __str__(self) -> str:
        return f"strictest with recall {self.recall:g}"

    def __call__(self, scores: Scores, now: float) -> tuple[Point, bool]:
        """See `Rule`."""
        points = [scores.at(float(limit)) for limit in scores.limits()]
        best = [point for point in points if point.recall >= self.recall][-1]
        today = scores.at(now)
        enough = today.recall >= self.recall - AS_GOOD
        return best, enough and today.precision >= best.precision - AS_GOOD


@dataclass(frozen=True)
class FewestMistakes:
    """Most good that passes less bad that passes, as shares of each."""

    def __str__(self) -> str:
        return "fewest mistakes"

    def __call__(self, scores: Scores, now: float) -> tuple[Point, bool]:
        """See `Rule`."""
        best = max((scores.at(float(limit)) for limit in scores.limits()), key=_right)
        return best, _right(scores.at(now)) >= _right(best) - AS_GOOD


@dataclass(frozen=True)
class Rare:
    """The lowest limit that no more than this share of the bad is expected to reach.

    So rare a thing is not in the data: the tail is taken to fall as an exponential does, which for
    what has an upper end is rather too much than too little.
    """

    share: float

    def __str__(self) -> str:
        return f"{self.share:g} of the bad at most, by their tail"

    def __call__(self, scores: Scores, now: float) -> tuple[Point, bool]:
        """See `Rule`."""
        count = min(TAIL, len(scores.bad) // 2)
        start = float(scores.bad[-count - 1]) if count else float(scores.bad[-1])
        fall = float((scores.bad[len(scores.bad) - count :] - start).mean()) if count else 0.0
        limit = (
            start + fall * float(np.log(count / len(scores.bad) / self.share)) if count else start
        )
        best, today = scores.at(limit), scores.at(now)
        # One of few is no difference.
        lost = max(AS_GOOD, 1.5 / len(scores.good))
        return best, now >= limit and today.recall >= best.recall - lost


@dataclass(frozen=True)
class MostGain:
    """The strictest limit that keeps this share of the most dB that any limit keeps."""

    share: float = 0.95

    def __str__(self) -> str:
        return f"strictest that keeps {self.share:.0%} of the most dB"

    def __call__(self, scores: Scores, now: float) -> tuple[Point, bool]:
        """See `Rule`. Raises: TypeError: these scores have no dB."""
        if not isinstance(scores, Gains):
            raise TypeError("without gains there is no most gain")
        limits = [float(limit) for limit in scores.limits()]
        enough = self.share * max(map(scores.total_db, limits))
        best = [limit for limit in limits if scores.total_db(limit) >= enough][-1]
        return scores.at(best), scores.total_db(now) >= enough


def _right(point: Point) -> float:
    """Share of good that passes less share of bad that does."""
    if point.recall == 0.0:
        return 0.0
    return point.recall - point.recall * (1.0 / point.precision - 1.0)
