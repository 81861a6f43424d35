"""Limits: one number that separates good from bad, chosen on labelled scores.

A limit is chosen on half of the people, and what is said of it was measured on the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.thresholds.rules import Point, Rule, Scores


@dataclass(frozen=True)
class Choice:
    """A limit, and what speaks for it."""

    name: str
    """ "module:CONSTANT" where it is used."""
    chosen: Point
    """On the half of the people that it was chosen on, as the next two."""
    today: Point
    """The constant as it is in the code."""
    best: Point
    """What the data alone would say."""
    held_out: Point
    """What the chosen limit does for the other people."""
    rule: str
    good: int
    bad: int
    """How many the other people have."""
    labels: str
    """What was called good, and what bad."""
    curve: list[Point]
    """Of the other people."""


@dataclass(frozen=True)
class Worth:
    """A size at which exemplars are worth enough, and what speaks for it."""

    name: str
    """ "module:CONSTANT" where it is used."""
    chosen: tuple[float, float]
    """(size, what exemplars are worth there: a share, or dB), on the half that it was chosen on."""
    today: tuple[float, float]
    held_out: float
    """What they are worth to the other people at the chosen size."""
    wanted: float
    """What they must be worth."""
    line: list[tuple[float, float]]
    """Of the other people."""


@dataclass(frozen=True)
class Margin:
    """How far a second limit lies from a first one, so that what trembles does not flap."""

    name: str
    """ "module:CONSTANT" where it is used."""
    first: str
    """The same of the first limit."""
    chosen: tuple[float, float]
    """(limit, share of repeated measurements that differ by less than the two limits), on the half
    of the people that it was chosen on."""
    today: tuple[float, float]
    held_out: float
    """The share of the other people's."""
    wanted: float
    """The share it must have."""


def choose(name: str, scores: Scores, held_out: Scores, rule: Rule, labels: str) -> Choice:
    """Keep the limit that the code has if it is as good as any; else the best, rounded.

    Args: scores: of half of the people, to choose on. held_out: of the others, to report.
    """
    today = scores.at(constant(name))
    best, stays = rule(scores, today.limit)
    best = scores.at(float(f"{best.limit:.3g}"))
    chosen = today if stays else best
    return Choice(
        name=name,
        chosen=chosen,
        today=today,
        best=best,
        held_out=held_out.at(chosen.limit),
        rule=str(rule),
        good=len(held_out.good),
        bad=len(held_out.bad),
        labels=labels,
        curve=held_out.curve(),
    )


def choose_worth(
    name: str,
    line: Sequence[tuple[float, float]],
    held_out: Sequence[tuple[float, float]],
    wanted: float,
) -> Worth:
    """Keep the size that the code has if it leaves as much as wanted; else the nearest that does.

    Args:    line: (size, worth), more than one; straight between, level beyond; of half of the
             people, to choose on. held_out: of the others, to report.
    Raises: ValueError: none of these sizes leaves enough.
    """
    sizes, left = (np.array(values) for values in zip(*sorted(line), strict=True))
    now = constant(name)
    today = (now, float(np.interp(now, sizes, left)))
    if today[1] >= wanted:
        chosen = today
    else:
        fine = np.linspace(sizes[0], sizes[-1], 1000)
        enough = fine[np.interp(fine, sizes, left) >= wanted]
        if not len(enough):
            raise ValueError(f"{name}: no size leaves {wanted:g}")
        size = float(f"{enough[np.argmin(np.abs(enough - now))]:.3g}")
        chosen = (size, float(np.interp(size, sizes, left)))
    others = sorted(held_out)
    size_of, worth_of = (np.array(values) for values in zip(*others, strict=True))
    worth = float(np.interp(chosen[0], size_of, worth_of))
    return Worth(name, chosen, today, worth, wanted, others)


def choose_margin(
    name: str,
    first: str,
    limit: float,
    repeats: tuple[Sequence[float], Sequence[float]],
    wanted: float,
    way: float,
) -> Margin:
    """Keep the second limit if so many repeats differ by less than the two limits; else the least.

    Args: limit: the first one. repeats: how much the measure differs between two looks at the same
          thing, of half of the people, to choose on, and of the others, to report.
          way: 1 where the second limit lies above the first, else -1.
    """
    apart, others = (np.abs(np.asarray(half, np.float64)) for half in repeats)

    def covers(margin: float, half: NDArray[np.float64] = apart) -> float:
        return float(np.mean(half <= margin))

    now = constant(name)
    today = (now, covers(way * (now - limit)))
    if today[1] >= wanted:
        held_out = covers(way * (now - limit), others)
        return Margin(name, first, today, today, held_out, wanted)
    value = float(f"{limit + way * float(np.quantile(apart, wanted, method='higher')):.3g}")
    # Rounded away from the first limit, never towards it.
    if way * (value - limit) < float(np.quantile(apart, wanted)):
        value += way * 10.0 ** (np.floor(np.log10(abs(value))) - 2.0)
    margin = way * (value - limit)
    return Margin(name, first, (value, covers(margin)), today, covers(margin, others), wanted)


def constant(name: str) -> float:
    """The value of "module:CONSTANT" or "module:CONSTANT.field"."""
    module, _, path = name.partition(":")
    value = importlib.import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return float(value)
