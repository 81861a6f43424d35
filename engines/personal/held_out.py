"""Judges weights by close-ups that they have never seen, as the product would show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engines.hime import degrade
from engines.hime.cases import SEED, SLOTS, Case
from engines.hime.data import cut, to_tensor
from engines.hime.detail import FACE
from engines.hime.evaluate import details, outputs
from engines.hime.measures import psnr
from engines.hime.model import Hime
from engines.personal.close_ups import CloseUp
from engines.personal.gain import Scores
from engines.personal.training_pairs import CROP_PX

MOST_CASES = 16
"""Damaged pictures that are judged by; a quarter of a second each on two cores."""


def make_cases(
    held_out: Sequence[CloseUp], learnt: Sequence[CloseUp], scale: int, most: int = MOST_CASES
) -> list[Case]:
    """Held-out close-ups, damaged as in a call, with three of those that were learnt from.

    Args: most: so many pictures at most; fewer close-ups are damaged several times.
    """
    side = CROP_PX[scale] * scale
    rounds = max(1, most // len(held_out))
    cases = []
    for round_ in range(rounds):
        for place, one in enumerate(held_out[:most]):
            rng = np.random.default_rng([SEED, round_, place])
            truth = cut(one.picture, side, 1.0, (0.0, 0.0))
            picked = rng.permutation(len(learnt))[:SLOTS]
            own = [cut(learnt[k].picture, side, 1.0, (0.0, 0.0)) for k in picked]
            crop = to_tensor(degrade.call([truth], scale, rng))[0]
            own_t = to_tensor([degrade.close_up(x, rng) for x in own])
            cases.append(Case(crop, to_tensor([truth])[0], own_t, own_t))
    return cases


def score(network: Hime, cases: Sequence[Case]) -> Scores:
    """Of the pictures that the product would show."""
    truth = torch.stack([case.truth for case in cases])
    made = outputs(network, list(cases), min(len(case.exemplars) for case in cases))
    fine = details(made, truth, network.config.scale, FACE)
    return Scores(float(psnr(_face(made), _face(truth)).mean()), fine.sharpness, fine.coherence)


def _face(pictures: Tensor) -> Tensor:
    side = pictures.shape[-1]
    border = round(side * (1 - FACE) / 2)
    return pictures[..., border : side - border, border : side - border]
