"""Whether what a person looks like now wins over what was learnt of them.

Measured where the person has changed since the close-ups, over all faces of a case, with now the
truth N, the learnt look T and the picture made M:

    psnr  = of M to N, there
    shown = <M - N, T - N> / |T - N|^2     0: nothing of the learnt look is shown; 1: all of it

A picture without detail shows some of both, so personal weights are compared with the shipped ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.alignment import align
from engines.hime.cases import Case
from engines.hime.data import to_images
from engines.hime.detail import FACE
from engines.hime.evaluate import outputs
from engines.hime.model import Hime
from engines.hime.people import cut
from engines.personal.close_ups import CloseUp, Image
from engines.personal.held_out import make_cases
from engines.personal.training_pairs import CROP_PX

DIFFERENT = 12
"""8-bit levels by which a pixel of a drawn change differs from the same without it."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """A headshot of now, and what of it has changed; RGB uint8 (n, n, 3)."""

    now: Image
    learnt: Image | None
    """The same moment as it would look if nothing had changed; None: nobody knows, and the
    exemplars, aligned to the face, stand for it."""
    where: Image | None = None
    """uint8 (n, n), above 127 where it has changed; None: wherever both differ."""


@dataclass(frozen=True)
class Shown:
    """What weights make of one change."""

    psnr: float
    """Where the person has changed, dB."""
    shown: float
    """How much of the learnt look, see above."""
    elsewhere: float
    """PSNR in the rest of the face, dB."""


class ChangedCases:
    """Faces far away of a person who has changed since the close-ups.

    Args:   looks: at least one. learnt: the close-ups, which are the exemplars, too.
            most: pictures; fewer faces are damaged several times.
    Raises: ValueError: nowhere do both looks differ.
    """

    def __init__(
        self, looks: Sequence[Look], learnt: Sequence[CloseUp], scale: int, most: int
    ) -> None:
        now = [CloseUp(look.now, float(k)) for k, look in enumerate(looks)]
        self.cases = make_cases(now, learnt, scale, most)
        side = CROP_PX[scale] * scale
        self._now = [to_images(case.truth[None])[0] for case in self.cases]
        self._learnt, self._where = [], []
        for k, case in enumerate(self.cases):
            look = looks[k % len(looks)]
            learnt_look = (
                _usual(case) if look.learnt is None else cut(look.learnt, side, 1.0, (0, 0))
            )
            apart = np.abs(learnt_look.astype(int) - self._now[k]).max(axis=2) > DIFFERENT
            if look.where is not None:
                small = cv2.resize(look.where, (side, side), interpolation=cv2.INTER_AREA)
                apart = np.asarray(small) > 127
            self._learnt.append(learnt_look)
            self._where.append(apart)
        if not any(one.any() for one in self._where):
            raise ValueError("a change that changes nothing cannot be measured")

    def shown(self, network: Hime, exemplars: int) -> tuple[Shown, list[Image]]:
        """What a network makes of them.

        Args:    exemplars: so many close-ups are given.
        Returns: figures, and the pictures.
        """
        made = to_images(outputs(network, self.cases, exemplars))
        wrong, rest, common, whole = [], [], 0.0, 0.0
        for one, now, learnt, where in zip(made, self._now, self._learnt, self._where, strict=True):
            error = one.astype(np.float64) - now
            apart = (learnt.astype(np.float64) - now)[where]
            wrong.append(error[where].ravel())
            rest.append(error[_face(where.shape[0]) & ~where].ravel())
            common += float((error[where] * apart).sum())
            whole += float(np.square(apart).sum())
        shown = Shown(_psnr(wrong), common / max(whole, 1e-9), _psnr(rest))
        return shown, made

    def sheet(self) -> dict[str, list[Image]]:
        """Truth, learnt look and crop of every case."""
        crops = [to_images(case.crop[None])[0] for case in self.cases]
        return {"far": crops, "now": self._now, "learnt": self._learnt}


def _usual(case: Case) -> Image:
    """The face as its exemplars show it, aligned to it."""
    crop = to_images(case.crop[None])[0]
    aligned = align(crop, to_images(case.exemplars))
    return np.asarray(np.mean([one[..., :3] for one in aligned], axis=0).round(), np.uint8)


def _face(side: int) -> NDArray[np.bool_]:
    border = round(side * (1 - FACE) / 2)
    found = np.zeros((side, side), bool)
    found[border : side - border, border : side - border] = True
    return found


def _psnr(errors: Sequence[Floats]) -> float:
    squares = np.square(np.concatenate(errors))
    return 10.0 * math.log10(255.0**2 / max(float(squares.mean()), 1e-9)) if squares.size else 0.0
