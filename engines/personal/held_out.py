"""Judges weights by close-ups that they have never seen, as the product would show them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engines.alignment import align
from engines.exemplar_transfer import finished
from engines.hime import degrade
from engines.hime.cases import SEED, SLOTS, Case
from engines.hime.data import cut, to_images, to_tensor
from engines.hime.detail import FACE, detail
from engines.hime.evaluate import DETAIL, details, outputs
from engines.hime.measures import psnr
from engines.hime.model import Hime
from engines.personal.close_ups import CloseUp
from engines.personal.gain import Gain, Picture, Scores, gain_of
from engines.personal.training_pairs import CROP_PX

MOST_CASES = 32
"""Damaged pictures that are judged by."""
NEARER = 0.06
"""Held-out close-ups are cut differently for each damage: by so much nearer at most."""
TOGETHER = 16
"""Pictures that the network makes at once."""


def make_cases(
    held_out: Sequence[CloseUp],
    learnt: Sequence[CloseUp],
    scale: int,
    most: int = MOST_CASES,
    nearer: float = 0.0,
) -> list[Case]:
    """Held-out close-ups, damaged as in a call, with three of those that were learnt from.

    Args: most: so many pictures at most; fewer close-ups are damaged several times.
          nearer: from the second damage on they are cut nearer, by a share of up to this.
    """
    side = CROP_PX[scale] * scale
    rounds = max(1, most // len(held_out))
    cases = []
    for round_ in range(rounds):
        for place, one in enumerate(held_out[:most]):
            rng = np.random.default_rng([SEED, round_, place])
            near, shift = 0.0, (0.0, 0.0)
            if nearer and round_:
                near = rng.uniform(0.0, nearer)
                shift = (rng.uniform(-near / 2, near / 2), rng.uniform(-near / 2, near / 2))
            truth = cut(one.picture, side, 1.0 - near, shift)
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


class HeldOut:
    """Held-out close-ups, damaged, by which the weights of one learning are judged.

    Exemplars are aligned once, to what the shipped weights make, and not anew to what each set of
    weights makes: judging is the network alone, and every set sees the same.

    Args: shipped: the network with the shipped weights. held_out, learnt: see `make_cases`.
    """

    def __init__(
        self, shipped: Hime, held_out: Sequence[CloseUp], learnt: Sequence[CloseUp]
    ) -> None:
        scale = shipped.config.scale
        cases = make_cases(held_out, learnt, scale, MOST_CASES, NEARER)
        self._scale = scale
        self._places = [k % len(held_out) for k in range(len(cases))]
        self._truth = torch.stack([case.truth for case in cases])
        self._crops = torch.stack([case.crop for case in cases])
        crops = to_images(self._crops)
        given = [to_images(case.exemplars) for case in cases]
        self._aligned = [align(*pair) for pair in zip(crops, given, strict=True)]
        made = to_images(self._made(shipped))
        self._aligned = [align(*three) for three in zip(crops, given, made, strict=True)]
        self._shipped = self._pictures(shipped)

    def gain(self, network: Hime) -> Gain:
        """Of other weights over the shipped ones."""
        return gain_of(self._shipped, self._pictures(network))

    def _pictures(self, network: Hime) -> list[Picture]:
        pictures = zip(to_images(self._made(network)), self._aligned, strict=True)
        made = [finished(picture, self._scale, aligned, DETAIL) for picture, aligned in pictures]
        truth = to_images(self._truth)
        psnrs = psnr(_face(to_tensor(made)), _face(self._truth)).tolist()
        return [
            Picture(place, one_db, detail(a, b, self._scale, FACE))
            for place, one_db, a, b in zip(self._places, psnrs, made, truth, strict=True)
        ]

    @torch.inference_mode()
    def _made(self, network: Hime) -> Tensor:
        """By the network alone: (N, 3, s b, s b), 0..1."""
        device = next(network.parameters()).device
        made = []
        for start in range(0, len(self._crops), TOGETHER):
            part = slice(start, start + TOGETHER)
            exemplars = torch.stack([to_tensor(one) for one in self._aligned[part]]).to(device)
            sure = torch.ones(exemplars.shape[:2], device=device)
            made.append(network(self._crops[part].to(device), exemplars, sure).float().cpu())
        return torch.cat(made).clamp(0, 1)


def _face(pictures: Tensor) -> Tensor:
    side = pictures.shape[-1]
    border = round(side * (1 - FACE) / 2)
    return pictures[..., border : side - border, border : side - border]
