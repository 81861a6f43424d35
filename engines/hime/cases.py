"""What a network is measured on: headshots, their damage, and close-ups that it may use."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from engines.hime import degrade
from engines.hime.data import Person, cut, shrink_bicubic, to_tensor

SLOTS = 3
BANK = 8
"""Close-ups of which the product chooses, as `stream.frame.CANDIDATES_PER_FACE`."""
SEED = 20


@dataclass(frozen=True)
class Case:
    """One headshot of a person, and what the network may use; pictures 0..1."""

    crop: Tensor
    """(3, b, b)"""
    truth: Tensor
    """(3, s b, s b)"""
    exemplars: Tensor
    """(slots, 3, s b, s b) of the same person"""
    strangers: Tensor
    """likewise, of another person"""
    more: Tensor | None = None
    """(n, 3, s b, s b): further ones of the same person, of which the best may be chosen"""
    more_strangers: Tensor | None = None
    """likewise, of that other person"""
    person: str = ""
    """Whose headshot it is."""

    def offered(self, kind: str, count: int) -> Tensor:
        """Close-ups of which `count` are to be chosen: (at least count, 3, s b, s b).

        Args:   see `given`, whose are the first; there is a choice of "own" and "wrong" ones.
        Raises: ValueError: see `given`.
        """
        first = self.given(kind, count)
        more = {"own": self.more, "wrong": self.more_strangers}.get(kind)
        if more is None or count == 0:
            return first
        rest = self.exemplars if kind == "own" else self.strangers
        return torch.cat([first, rest[count:], more])

    def given(self, kind: str, count: int) -> Tensor:
        """Close-ups of one kind: (count, 3, s b, s b).

        Args:   kind: "own"; or one that should do no harm: "wrong" (another person's), "blank"
                (grey), "blurred" (to what the crop shows already), "mirrored".
        Raises: ValueError: another kind, or more than there are slots.
        """
        if count > len(self.exemplars):
            raise ValueError(f"{count} close-ups wanted, {len(self.exemplars)} drawn")
        own = self.exemplars[:count]
        if kind == "own" or count == 0:
            return own
        if kind == "wrong":
            return self.strangers[:count]
        if kind == "blank":
            return torch.full_like(own, 0.5)
        if kind == "mirrored":
            return own.flip(-1)
        if kind == "blurred":
            scale = self.truth.shape[-1] // self.crop.shape[-1]
            pictures = [cv2.GaussianBlur(x.permute(1, 2, 0).numpy(), (0, 0), scale) for x in own]
            return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        raise ValueError(f"no such kind of close-ups: {kind}")


def make_cases(
    people: list[Person],
    scale: int,
    size: int,
    degradation: str,
    limit: int | None = None,
    slots: int = SLOTS,
    least: int = 16,
    bank: int = 0,
) -> list[Case]:
    """Draw exemplars and damage for every headshot; the same list for every method.

    Args:   size: side of the crops, px. degradation: "clean" or "call".
            limit: use about this many headshots, evenly over all people.
            slots: close-ups to draw; people with fewer other photos are left out.
            bank: so many are there to choose from, where a person has them.
            least: side of the smallest crops, px; PWAve enlarges 8 px.
    Raises: ValueError: too few people or photos, or such crops cannot be made.
    """
    if size < least or size % 2:
        raise ValueError(f"--size must be an even number of at least {least}")
    if limit is not None and limit < 1:
        raise ValueError("--limit must be at least 1")
    usable = [p for p in people if len(p.photos) > slots]
    if len(usable) < 2:
        raise ValueError(
            f"needs at least 2 people with {slots + 1} photos of {scale * size} px or more each"
        )
    index = [(p, k) for p, person in enumerate(usable) for k in range(len(person.photos))]
    if limit is not None and limit < len(index):
        index = [index[int(i)] for i in np.linspace(0, len(index) - 1, limit)]
    big = scale * size
    cases = []
    for p, k in index:
        rng = np.random.default_rng([SEED, p, k])
        name, photos = usable[p].name, usable[p].photos
        others = [photos[i] for i in rng.permutation(len(photos)) if i != k]
        others, further = others[:slots], others[slots : max(slots, bank)]
        stranger = usable[(p + 1 + int(rng.integers(len(usable) - 1))) % len(usable)].photos
        picks = [stranger[i] for i in rng.permutation(len(stranger))]
        picks, unlike = picks[:slots], picks[slots : max(slots, bank)]
        truth = cut(photos[k], big, 1.0, (0.0, 0.0))
        own, wrong, more, odd = (
            [cut(x, big, 1.0, (0.0, 0.0)) for x in xs] for xs in (others, picks, further, unlike)
        )
        if degradation == "call":
            crop = to_tensor(degrade.call([truth], scale, rng))[0]
            own, wrong = ([degrade.close_up(x, rng) for x in xs] for xs in (own, wrong))
            more, odd = ([degrade.close_up(x, rng) for x in xs] for xs in (more, odd))
        else:
            crop = shrink_bicubic(to_tensor([truth]), scale)[0]
        further_own, further_wrong = (to_tensor(xs) if xs else None for xs in (more, odd))
        cases.append(
            Case(
                *(crop, to_tensor([truth])[0], to_tensor(own), to_tensor(wrong)),
                *(further_own, further_wrong),
                person=name,
            )
        )
    return cases
