"""Judges weights by close-ups that they have never seen, as the product would show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.alignment import align
from engines.back_projection import back_project
from engines.exemplar_transfer import finished
from engines.hime import degrade
from engines.hime.cases import SEED, SLOTS, Case
from engines.hime.data import cut, to_images, to_tensor
from engines.hime.detail import FACE, detail
from engines.hime.evaluate import DETAIL, details, outputs
from engines.hime.local_changes import DIFFERENT, Image, local_changes
from engines.hime.measures import psnr
from engines.hime.model import Hime
from engines.personal.close_ups import CloseUp
from engines.personal.gain import Gain, Picture, Scores, gain_of
from engines.personal.training_pairs import CROP_PX

MOST_CASES = 32
"""Damaged pictures that are judged by, of `CROP_PX`; of larger crops fewer."""
CHANGED = 16
"""Further ones in which a part of the face is changed, likewise."""
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
    crop_px: int | None = None,
) -> list[Case]:
    """Held-out close-ups, damaged as in a call, with three of those that were learnt from.

    Args: most: so many pictures at most; fewer close-ups are damaged several times.
          nearer: from the second damage on they are cut nearer, by a share of up to this.
          crop_px: side of the crops; None: `CROP_PX`.
    """
    side = (crop_px or CROP_PX[scale]) * scale
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
    """Of the pictures that the product would show, before back-projection."""
    truth = torch.stack([case.truth for case in cases])
    made = outputs(network, list(cases), min(len(case.exemplars) for case in cases))
    fine = details(made, truth, network.config.scale, FACE)
    return Scores(float(psnr(_face(made), _face(truth)).mean()), fine.sharpness, fine.coherence)


def make_changed_cases(
    held_out: Sequence[CloseUp], learnt: Sequence[CloseUp], scale: int, crop_px: int | None = None
) -> tuple[list[Case], list[NDArray[np.bool_]]]:
    """Held-out close-ups in which a part of the face is unlike all exemplars: in half of them the
    face is changed, in the others the exemplars are.

    Args: held_out, learnt, scale: see `make_cases`.
    Returns: cases, and where they are changed, bool (s b, s b) each.
    """
    crop_px = crop_px or CROP_PX[scale]
    side, count = crop_px * scale, CHANGED * CROP_PX[scale] // crop_px
    changes = [local_changes(side, np.random.default_rng([SEED, 1, k])) for k in range(count)]
    faces = [cut(held_out[k % len(held_out)].picture, side, 1.0, (0.0, 0.0)) for k in range(count)]
    changed = [change(face) for change, face in zip(changes, faces, strict=True)]
    now = [changed[k] if k % 2 == 0 else faces[k] for k in range(count)]
    seen = [CloseUp(one, float(k)) for k, one in enumerate(now)]
    cases = make_cases(seen, learnt, scale, count, crop_px=crop_px)
    for k in range(1, count, 2):
        worn = [changes[k](one) for one in to_images(cases[k].exemplars)]
        cases[k] = replace(cases[k], exemplars=to_tensor(worn))
    apart = [
        np.abs(one.astype(int) - other).max(axis=2) > DIFFERENT
        for one, other in zip(changed, faces, strict=True)
    ]
    return cases, apart


class HeldOut:
    """Held-out close-ups, damaged, by which the weights of one learning are judged.

    Exemplars are aligned once, to what the shipped weights make, and not anew to what each set of
    weights makes: judging is the network alone, and every set sees the same.

    Args: shipped: the network with the shipped weights. held_out, learnt: see `make_cases`.
          crop_px: likewise.
    """

    def __init__(
        self,
        shipped: Hime,
        held_out: Sequence[CloseUp],
        learnt: Sequence[CloseUp],
        crop_px: int | None = None,
    ) -> None:
        self._scale = scale = shipped.config.scale
        most = MOST_CASES * CROP_PX[scale] // (crop_px or CROP_PX[scale])
        cases = make_cases(held_out, learnt, scale, most, NEARER, crop_px)
        self._places = [k % len(held_out[:most]) for k in range(len(cases))]
        self._usual = _Prepared(cases, shipped)
        changed, self._where = make_changed_cases(held_out, learnt, scale, crop_px)
        self._changed = _Prepared(changed, shipped)
        self._shipped = self._pictures(shipped)
        self._shipped_errors = self._errors(shipped)

    def gain(self, network: Hime) -> Gain:
        """Of other weights over the shipped ones."""
        changed = 10.0 * np.log10(self._shipped_errors / self._errors(network))
        found = gain_of(self._shipped, self._pictures(network))
        return replace(found, changed=float(changed.mean()))

    def _pictures(self, network: Hime) -> list[Picture]:
        made, truths = self._usual.shown(network), self._usual.truth
        psnrs = psnr(_face(to_tensor(made)), _face(truths)).tolist()
        return [
            Picture(place, one_db, detail(a, b, self._scale, FACE))
            for place, one_db, a, b in zip(
                self._places, psnrs, made, to_images(truths), strict=True
            )
        ]

    def _errors(self, network: Hime) -> NDArray[np.float64]:
        """Mean squared errors where the faces are changed, of each that is; before the camera's
        brightness, which would hide a part of what is wrongly shown."""
        made, truths = self._changed.finished(network), to_images(self._changed.truth)
        return np.array(
            [
                np.square(a[where].astype(np.float64) - b[where]).mean() + 1e-3
                for a, b, where in zip(made, truths, self._where, strict=True)
                if where.any()
            ]
        )


class _Prepared:
    """Cases with their exemplars aligned, for any weights."""

    def __init__(self, cases: Sequence[Case], shipped: Hime) -> None:
        self.truth = torch.stack([case.truth for case in cases])
        """(N, 3, s b, s b), 0..1"""
        self._crops = torch.stack([case.crop for case in cases])
        self._scale = shipped.config.scale
        crops = to_images(self._crops)
        given = [to_images(case.exemplars) for case in cases]
        self._aligned = [align(*pair) for pair in zip(crops, given, strict=True)]
        shown = to_images(self._made(shipped))
        self._aligned = [align(*three) for three in zip(crops, given, shown, strict=True)]

    def shown(self, network: Hime) -> list[Image]:
        """What the product would show by these weights: with the exemplars' colour, and brightness
        and colour of the camera. Without the camera's, weights promised half as much again as was
        shown (64 px x4, two people, 80 steps: +0.34 instead of +0.21 and +0.24 dB)."""
        made = zip(self.finished(network), to_images(self._crops), strict=True)
        return [back_project(*pair) for pair in made]

    def finished(self, network: Hime) -> list[Image]:
        """The same before the camera's brightness and colour."""
        pictures = zip(to_images(self._made(network)), self._aligned, strict=True)
        return [finished(picture, self._scale, aligned, DETAIL) for picture, aligned in pictures]

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
