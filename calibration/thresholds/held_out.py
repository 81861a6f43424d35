"""Held out: some people to choose limits on, and others to report on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from engines.hime.people import Person, load_people

One = TypeVar("One")


@dataclass(frozen=True)
class Halves(Generic[One]):
    """Nobody is in both."""

    chosen_on: list[One]
    held_out: list[One]
    source: str
    """What it is, by name and number of people, never by place."""

    @property
    def all(self) -> list[One]:
        """Everybody."""
        return [*self.chosen_on, *self.held_out]


def halves(things: Sequence[One], source: str) -> Halves[One]:
    """Every other one to choose on.

    Raises: ValueError: there are fewer than two.
    """
    if len(things) < 2:
        raise ValueError(f"{source}: a limit is chosen on some and reported on others; give more")
    return Halves(list(things[::2]), list(things[1::2]), source)


def read_people(folders: Sequence[Path], most: int) -> Halves[Person]:
    """Headshots of folders or zips. Args: most: people, evenly over all that there are.

    Raises: ValueError, OSError: one cannot be read, or there are fewer than two people.
    """
    people: list[Person] = []
    sources = []
    for folder in folders:
        read = load_people(folder)
        people += read
        sources.append(f"{folder.stem}: {photos_of(read)}")
    if len(people) > most:
        people = [people[int(i)] for i in np.linspace(0, len(people) - 1, most)]
        sources.append(f"of these {photos_of(people)}")
    return halves(people, "; ".join(sources))


def photos_of(people: Sequence[Person]) -> str:
    """How many, in words."""
    return f"{sum(len(one.photos) for one in people)} headshots of {len(people)} people"
