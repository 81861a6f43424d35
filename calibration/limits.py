"""Limits: one number that separates good from bad, chosen on labelled scores.

The classes count alike, however many there are of each: precision is the share of good among what
passes when good and bad come equally often.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

AS_GOOD = 0.01
"""A limit in use stays when it meets the precision and loses no more recall than this: numbers must
not wander with every new photo."""
SHIPPED = Path(__file__).with_name("thresholds.toml")


@dataclass(frozen=True)
class Point:
    """What one limit does; what reaches it passes."""

    limit: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Choice:
    """A limit, and what speaks for it."""

    name: str
    """ "module:CONSTANT" where it is used."""
    chosen: Point
    today: Point
    """The constant as it is in the code."""
    best: Point
    """What the data alone would say."""
    wanted: float
    """The precision it must have."""
    good: int
    bad: int
    labels: str
    """What was called good, and what bad."""
    curve: list[Point]


@dataclass(frozen=True)
class Worth:
    """A size at which close-ups are worth enough, and what speaks for it."""

    name: str
    """ "module:CONSTANT" where it is used."""
    chosen: tuple[float, float]
    """(size, what close-ups are worth there: a share, or dB)"""
    today: tuple[float, float]
    wanted: float
    """What they must be worth."""
    line: list[tuple[float, float]]


class Scores:
    """Scores with labels; higher must mean better.

    Raises: ValueError: of one label there is none.
    """

    def __init__(self, good: Sequence[float], bad: Sequence[float]) -> None:
        if not len(good) or not len(bad):
            raise ValueError("a limit needs scores of both labels")
        self.good: NDArray[np.float64] = np.sort(np.asarray(good, np.float64))
        self.bad: NDArray[np.float64] = np.sort(np.asarray(bad, np.float64))

    def at(self, limit: float) -> Point:
        """What this limit does."""
        passed = 1.0 - np.searchsorted(self.good, limit) / len(self.good)
        wrong = 1.0 - np.searchsorted(self.bad, limit) / len(self.bad)
        precision = passed / (passed + wrong) if passed + wrong > 0.0 else 1.0
        return Point(float(limit), float(precision), float(passed))

    def curve(self, count: int = 41) -> list[Point]:
        """Precision and recall from where all pass until none does."""
        low = min(self.good[0], self.bad[0])
        high = max(self.good[-1], self.bad[-1])
        return [self.at(float(limit)) for limit in np.linspace(low, high, count)]

    def best(self, precision: float) -> Point:
        """The limit that passes most of the good with this precision.

        Between the last bad score and the first good one every limit does; the middle is taken.
        Without any limit that precise, the most precise one.
        """
        limits = np.unique(np.concatenate([self.good, self.bad]))
        points = [self.at(float(limit)) for limit in limits]
        enough = [point for point in points if point.precision >= precision]
        if not enough:
            return max(points, key=lambda point: (point.precision, point.recall))
        most = max(enough, key=lambda point: point.recall)
        below = self.bad[self.bad < most.limit]
        if len(below):
            middle = self.at((most.limit + float(below[-1])) / 2.0)
            if middle.precision >= precision:
                return middle
        return most


def choose(name: str, scores: Scores, precision: float, labels: str) -> Choice:
    """Keep the limit that the code has if it is as good as any; else the best, rounded."""
    today = scores.at(constant(name))
    best = scores.best(precision)
    best = scores.at(round(best.limit, 3))
    stays = today.precision >= min(precision, best.precision) and (
        today.recall >= best.recall - AS_GOOD
    )
    return Choice(
        name=name,
        chosen=today if stays else best,
        today=today,
        best=best,
        wanted=precision,
        good=len(scores.good),
        bad=len(scores.bad),
        labels=labels,
        curve=scores.curve(),
    )


def choose_worth(name: str, line: Sequence[tuple[float, float]], wanted: float) -> Worth:
    """Keep the size that the code has if it leaves as much as wanted; else the nearest that does.

    Args:   line: (size, worth), more than one; straight between, level beyond.
    Raises: ValueError: none of these sizes leaves enough.
    """
    ordered = sorted(line)
    sizes, left = (np.array(values) for values in zip(*ordered, strict=True))
    now = constant(name)
    today = (now, float(np.interp(now, sizes, left)))
    if today[1] >= wanted:
        return Worth(name, today, today, wanted, ordered)
    fine = np.linspace(sizes[0], sizes[-1], 1000)
    enough = fine[np.interp(fine, sizes, left) >= wanted]
    if not len(enough):
        raise ValueError(f"{name}: no size leaves {wanted:g}")
    chosen = float(f"{enough[np.argmin(np.abs(enough - now))]:.3g}")
    return Worth(name, (chosen, float(np.interp(chosen, sizes, left))), today, wanted, ordered)


def constant(name: str) -> float:
    """The value of "module:CONSTANT" or "module:CONSTANT.field"."""
    module, _, path = name.partition(":")
    value = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return float(value)


def format_choices(choices: Sequence[Choice], worths: Sequence[Worth], source: str) -> str:
    """TOML: a table for each limit."""
    lines = [
        "# Limits of bank and tracker, and what speaks for them. Written by",
        "# python -m calibration.thresholds; a test holds the code to these values.",
        f'source = "{source}"',
    ]
    for one in choices:
        lines += [
            "",
            f'["{one.name}"]',
            f"value = {one.chosen.limit:g}",
            f"precision = {one.chosen.precision:.4f}",
            f"recall = {one.chosen.recall:.4f}",
            f"wanted_precision = {one.wanted:g}",
            f"good = {one.good}",
            f"bad = {one.bad}",
            f'labels = "{one.labels}"',
        ]
        if one.chosen != one.today:
            lines.append(
                f'before = "{one.today.limit:g}: precision {one.today.precision:.4f}, '
                f'recall {one.today.recall:.4f}"'
            )
    for two in worths:
        lines += [
            "",
            f'["{two.name}"]',
            f"value = {two.chosen[0]:g}",
            f"worth = {two.chosen[1]:.3f}",
            f"wanted_worth = {two.wanted:g}",
        ]
        if two.chosen != two.today:
            lines.append(f'before = "{two.today[0]:g}: worth {two.today[1]:.3f}"')
    return "\n".join(lines) + "\n"


def shipped() -> dict[str, float]:
    """The values of the file that ships, by "module:CONSTANT"."""
    read = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    return {name: float(one["value"]) for name, one in read.items() if isinstance(one, dict)}
