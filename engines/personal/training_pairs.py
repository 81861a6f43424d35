"""Training pairs from somebody's own close-ups, as the stream would make them.

A pair is one close-up, damaged as a call damages a face far away, and others as exemplars, aligned
in pixels. The pairs are those of `engines.hime.data`, with one person; nothing of other people is
shipped with the program.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.hime.data import Batch, Batches, Image, Recipe, Rng
from engines.hime.local_changes import changed_pair
from engines.hime.model import Hime
from engines.hime.people import Person
from engines.personal.close_ups import CloseUp
from engines.personal.method import Method

CROP_PX = {4: 32, 8: 16}
"""Side of the crops that are learnt from where nothing else is known, by scale: of a close-up 128
px of detail."""
AHEAD = 3
"""Batches that are made ahead."""
NEIGHBOURS = 0.2
"""Share of the close-ups before and after the truth that are no exemplars to it."""
SURELY = 2.0
"""Validity of the exemplars of changed pairs, until they are aligned."""
REUSED = 4
"""Every pair is learnt from about so many times: to damage and to align one takes nearly as long as
a step that learns from it."""
FRESH_FIRST = 8
"""So many batches come before any of them comes again."""
KEPT_PIXELS = 512 * 128 * 128
"""Of pairs, so many pixels of truth are kept for that, the latest ones; 126 MB."""


def recipe_for(scale: int, count: int, side: int) -> Recipe:
    """How the batches of a learning are made.

    Args: scale: 4 or 8. count: crops of `CROP_PX` in a batch; there are fewer larger ones.
          side: of the crops, px.
    """
    return Recipe(
        scale=scale,
        sizes=(side,),
        pixels=count * CROP_PX[scale] ** 2,
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
    """Batches of one person, and of others if they are wanted, from memory.

    Batch number k depends on the seed and k alone.

    Args: shipped: the network with the shipped weights. Exemplars are aligned as in a stream from
          its second frame on: to what it makes with them, which shows more than the crop does. By
          pairs without that a network learns to trust exemplars less than they deserve (16 px x8,
          two people, 1,024 pairs: +0.32 instead of +0.46 dB).
          method: says whether other people's pairs are among them. side: of the crops, px.
    """

    def __init__(
        self,
        close_ups: Sequence[CloseUp],
        shipped: Hime,
        count: int,
        seed: int,
        steps: int,
        method: Method | None = None,
        side: int | None = None,
    ) -> None:
        self._method = method or Method()
        scale = shipped.config.scale
        recipe = recipe_for(scale, count, side or CROP_PX[scale])
        super().__init__([], recipe, seed, steps, guide=shipped)
        self._photos = tuple(one.picture for one in close_ups)

    @cached_property
    def people(self) -> list[Person]:
        """The person, and others where the method has some."""
        return [Person("", self._photos), *self._method.general]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each person is drawn."""
        others = len(self._method.general)
        share = self._method.share
        return np.array([1.0 - share, *[share / max(others, 1)] * others])

    def _order(self, person: Person, rng: Rng) -> NDArray[np.intp]:
        """Without the truth's neighbours in time: nobody has a close-up of the moment that is
        enhanced, and by pairs that have one exemplars are believed too much (32 px x4, one person,
        512 pairs: +0.10 instead of +0.19 dB; at 16 px x8 no difference)."""
        order = super()._order(person, rng)
        apart = np.abs(order - order[0])
        return np.asarray(order[(apart == 0) | (apart > NEIGHBOURS * len(order))], np.intp)

    def _sample(
        self, side: int, slots: int, clean: bool, rng: Rng
    ) -> tuple[Image, list[Image], list[float]]:
        truth, exemplars, valid = super()._sample(side, slots, clean, rng)
        changed = changed_pair(truth, exemplars, self._method.changed, rng)
        if changed is not None:
            truth, exemplars = changed
            valid = [SURELY * one for one in valid]
        return truth, exemplars, valid

    def __getitem__(self, index: int) -> Batch:
        """Batch number `index`. Exemplars that alignment does not believe anywhere are left out,
        except in changed pairs: as damaged as crops are, it often says so of a person's own, and
        that they can be relied on all the same is not to be learnt."""
        batch = super().__getitem__(index)
        believed = (batch.exemplars[:, :, 3] > 0).flatten(2).any(dim=2)
        validity = torch.where(batch.validity > 1, 1.0, batch.validity * believed)
        return Batch(batch.crop, batch.exemplars, validity, batch.truth)


def is_fresh(step: int) -> bool:
    """Whether a step, counted from 0, has pairs that no earlier one had."""
    return step < FRESH_FIRST or step % REUSED == 0


def drawn(batches: PersonalBatches, steps: int, seed: int, workers: int) -> Iterator[Batch]:
    """A batch for every step: new ones, and between them kept ones, half of these mirrored.

    What comes depends on `batches`, seed and step alone.

    Args: batches: the new ones. steps: how many batches are yielded. seed: of the choice of kept
          ones. workers: threads that make the new ones.
    """
    numbers = sum(map(is_fresh, range(steps)))
    fresh = made_ahead(batches, numbers, workers)
    kept: deque[_Kept] = deque()
    try:
        for step in range(steps):
            if is_fresh(step):
                batch = next(fresh)
                kept.append(_Kept(batch))
                truth = batch.truth.shape
                if len(kept) * truth[0] * truth[2] * truth[3] > KEPT_PIXELS:
                    kept.popleft()
                yield batch
            else:
                rng = np.random.default_rng([seed, step])
                yield kept[int(rng.integers(len(kept)))].batch(mirrored=rng.random() < 0.5)
    finally:
        fresh.close()


class _Kept:
    """A batch in 8 bits, in which all its pictures came."""

    def __init__(self, batch: Batch) -> None:
        pictures = (batch.crop, batch.exemplars, batch.truth)
        self._pictures = tuple((one * 255).round().byte() for one in pictures)
        self._validity = batch.validity

    def batch(self, *, mirrored: bool) -> Batch:
        """The batch again."""

        def picture(one: Tensor) -> Tensor:
            return (torch.flip(one, dims=(-1,)) if mirrored else one).float() / 255

        crop, exemplars, truth = map(picture, self._pictures)
        return Batch(crop, exemplars, self._validity, truth)


def made_ahead(batches: PersonalBatches, count: int, workers: int) -> Generator[Batch, None, None]:
    """The first batches in their order, made by other threads: codec, flow and warping leave the
    interpreter's lock alone.

    Args: batches: all of them. count: how many are wanted. workers: threads.
    """
    waiting: list[Future[Batch]] = []
    with ThreadPoolExecutor(workers, "closeup pairs") as pool:
        try:
            for number in range(count):
                waiting.append(pool.submit(batches.__getitem__, number))
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for one in waiting:
                one.cancel()
