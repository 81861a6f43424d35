"""Evidence: what was chosen, from what, for people: lines and curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from calibration.thresholds.limits import Choice, Margin, Worth
from calibration.thresholds.thresholds_file import table_of
from engines.diagram import Image, panel


@dataclass
class Evidence:
    """What was chosen, each with its data, and notes for people."""

    chosen: list[tuple[Choice | Worth | Margin, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, source: str, *limits: Choice | Worth | Margin) -> None:
        """Take limits in. Args: source: the data, by name and number of people."""
        self.chosen += [(one, source) for one in limits]

    def try_to_add(
        self, source: str, name: str, choose: Callable[[], Choice | Worth | Margin]
    ) -> None:
        """Take a limit in where the data can say something of it; else a note says why not.

        Args: source: the data. name: of the limit, for the note. choose: raises ValueError where
              the data say nothing.
        """
        try:
            self.add(source, choose())
        except ValueError as error:
            self.notes.append(f"{name} was not measured: {error}")

    def tables(self, when: str) -> list[tuple[str, dict[str, float | int | str]]]:
        """For the file. Args: when: the day."""
        return [(one.name, table_of(one, f"{source}; {when}")) for one, source in self.chosen]

    def lines(self) -> list[str]:
        """For people."""
        return [*self.notes, *(_line(one) for one, _ in self.chosen)]

    def draw(self) -> Image:
        """A diagram of each limit. RGB uint8 (H, W, 3)."""
        panels = [_panel(one) for one, _ in self.chosen if not isinstance(one, Margin)]
        return np.concatenate(panels)


def _line(one: Choice | Worth | Margin) -> str:
    now, chosen = (
        (one.today.limit, one.chosen.limit)
        if isinstance(one, Choice)
        else (one.today[0], one.chosen[0])
    )
    verdict = "stays" if chosen == now else f"should be {chosen:g}"
    begin = f"{one.name} = {now:g} {verdict}: "
    if isinstance(one, Worth):
        return begin + f"exemplars are worth {one.held_out:.2f}, {one.wanted:g} wanted"
    if isinstance(one, Margin):
        return begin + (
            f"{one.held_out:.0%} of repeats lie within, {one.wanted:.0%} wanted, beside {one.first}"
        )
    return begin + (
        f"precision {one.held_out.precision:.4f}, recall {one.held_out.recall:.4f} "
        f"({one.good} good, {one.bad} bad held out); where it was chosen today "
        f"{one.today.precision:.4f}, {one.today.recall:.4f}, best {one.best.limit:g}: "
        f"{one.best.precision:.4f}, {one.best.recall:.4f} ({one.rule})"
    )


def _panel(one: Choice | Worth) -> Image:
    name = one.name.rpartition(".")[2]
    if isinstance(one, Worth):
        size, worth = one.today
        series = {"worth": one.line, f"today {size:g}": [(size, 0.0), (size, worth)]}
        return panel(f"{name}: worth of exemplars", series, "size")
    today, chosen = one.today.limit, one.chosen.limit
    series = {
        "precision": [(point.limit, point.precision) for point in one.curve],
        "recall": [(point.limit, point.recall) for point in one.curve],
        f"today {today:g}": [(today, 0.0), (today, 1.0)],
    }
    if chosen != today:
        series[f"chosen {chosen:g}"] = [(chosen, 0.0), (chosen, 1.0)]
    return panel(name, series, "limit")
