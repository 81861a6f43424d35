"""Training pairs from somebody's own close-ups, as the stream would make them.

A pair is one close-up, damaged as a call damages a face far away, and others as exemplars, aligned
in pixels. The pairs are those of `engines.hime.data`, with one person and nobody else: nothing of
other people is shipped with the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engines.hime.data import Batch, Batches, Recipe
from engines.hime.people import Person
from engines.personal.close_ups import CloseUp

CROP_PX = {4: 32, 8: 16}
"""Side of the crops that are learnt from, by scale: of a close-up 128 px of detail."""
AHEAD = 3
"""Batches that are made ahead."""


def recipe_for(scale: int, count: int) -> Recipe:
    """Batches of `count` crops for this scale."""
    side = CROP_PX[scale]
    return Recipe(
        scale=scale,
        sizes=(side,),
        pixels=count * side * side,
        clean=0.0,
        sharpened=0.1,
        slots=(0, 1, 2, 3),
        slot_weights=(0.04, 0.08, 0.08, 0.8),
        drop=0.05,
        wrong=0.0,
        blank=0.0,
        blurred=0.03,
    )


class PersonalBatches(Batches):
    """Batches of one person, from memory; batch number k depends on the seed and k alone."""

    def __init__(
        self, close_ups: Sequence[CloseUp], scale: int, count: int, seed: int, steps: int
    ) -> None:
        super().__init__([], recipe_for(scale, count), seed, steps)
        self._photos = tuple(one.picture for one in close_ups)

    @cached_property
    def people(self) -> list[Person]:
        """The one person."""
        return [Person("", self._photos)]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each person is drawn."""
        return np.ones(1)


def made_ahead(batches: PersonalBatches, workers: int) -> Iterator[Batch]:
    """All the batches in their order, made by other threads: codec, flow and warping leave the
    interpreter's lock alone."""
    waiting: list[Future[Batch]] = []
    with ThreadPoolExecutor(workers, "closeup pairs") as pool:
        try:
            for number in range(len(batches)):
                waiting.append(pool.submit(batches.__getitem__, number))
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for one in waiting:
                one.cancel()
