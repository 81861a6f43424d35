"""Changes of a part of a face, of no particular kind: something is gone, or is there now.

What a person looks like now must win over what was learnt of them. Close-ups of one sitting never
show that, so a share of the training pairs is changed: in some the truth, and with it the crop; in
the others all exemplars. Shapes and places are drawn anywhere in the face, so that nothing is
learnt of glasses or beards, but that the crop decides where they disagree.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator
Change = Callable[[Image], Image]

NEW = 0.4
"""Share of changed pairs whose truth is changed; in the others all exemplars are."""

MOST = 3
"""Changes of a picture."""
SMOOTHED, MOVED = 0.4, 0.35
"""Shares of the changes that take detail away, and that put another part of the picture there; the
rest paints over it."""
STROKES = 0.35
"""Share of the shapes that are lines; the rest are spots."""
BOTH_SIDES = 0.5
"""Share of the shapes that are there mirrored, too, as faces are."""
COARSE = 4
"""What takes detail away is computed on a picture smaller by so much."""
DIFFERENT = 12
"""8-bit levels by which a pixel is changed, and not only softened at the edge."""
FINE = 16
"""Points are drawn to a sixteenth of a pixel."""


def local_changes(side: int, rng: Rng) -> Change:
    """One to three changes that are drawn anew; they can be made to several headshots of that side,
    RGB uint8 (side, side, 3), which stay as they are: another picture is returned."""
    changes = [_one(side, rng) for _ in range(rng.integers(1, MOST + 1))]

    def change(picture: Image) -> Image:
        for one in changes:
            picture = one(picture)
        return picture

    return change


def changed_pair(
    truth: Image, exemplars: list[Image], share: float, rng: Rng
) -> tuple[Image, list[Image]] | None:
    """The same with the truth changed, or all exemplars alike; None: this one stays as it is.

    Args: truth: RGB uint8 (n, n, 3). exemplars: likewise. share: of the pairs is changed, 0..1.
          rng: the numbers are drawn from it.
    """
    draw = rng.random() / max(share, 1e-9)
    if draw >= 1.0:
        return None
    change = local_changes(truth.shape[0], rng)
    if draw < NEW:
        return change(truth), exemplars
    return truth, [change(one) for one in exemplars]


def _one(side: int, rng: Rng) -> Change:
    where = _where(side, rng)
    draw = rng.random()
    if draw < SMOOTHED:
        return lambda picture: _blended(picture, _smoothed(picture, where), where)
    if draw < SMOOTHED + MOVED:
        return _moved(where, rng)
    return _painted(where, rng)


def _where(side: int, rng: Rng) -> Floats:
    """How much of each pixel is changed: float32 (side, side), 0..1."""
    mask = np.zeros((side, side), np.uint8)
    centre = np.array([rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.8)])
    if rng.random() < STROKES:
        for _ in range(rng.integers(1, 4)):
            turns = np.cumsum(rng.normal(0.0, 0.5, 6)) + rng.uniform(0.0, 2.0 * np.pi)
            steps = rng.uniform(0.02, 0.08) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
            points = centre + rng.normal(0.0, 0.06, 2) + np.cumsum(steps, axis=0)
            line = np.rint(points * side * FINE).astype(np.int32)
            thick = max(1, round(side * float(rng.uniform(0.015, 0.07))))
            cv2.polylines(mask, [line], False, (255,), thick, cv2.LINE_AA, FINE.bit_length() - 1)
    else:
        angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
        radius = np.ones(24)
        for wave in range(2, 5):
            radius += rng.normal(0.0, 0.2 / wave) * np.cos(wave * angles + rng.uniform(0.0, 6.3))
        wide, high = np.exp(rng.uniform(np.log(0.04), np.log(0.25), 2))
        turn = rng.uniform(0.0, np.pi)
        x, y = wide * radius * np.cos(angles), high * radius * np.sin(angles)
        outline = np.stack(
            [x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1
        )
        spot = np.rint((centre + outline) * side * FINE).astype(np.int32)
        cv2.fillPoly(mask, [spot], (255,), cv2.LINE_AA, FINE.bit_length() - 1)
    if rng.random() < BOTH_SIDES:
        mask = np.maximum(mask, mask[:, ::-1])
    soft = cv2.GaussianBlur(mask, (0, 0), side * float(rng.uniform(0.004, 0.02)))
    return np.asarray(soft, np.float32) / np.float32(255.0)


def _blended(picture: Image, other: Floats | Image, where: Floats) -> Image:
    share = where[..., None]
    return np.asarray(
        np.rint(picture + share * (np.asarray(other, np.float32) - picture)), np.uint8
    )


def _smoothed(picture: Image, where: Floats) -> Floats:
    """As its surroundings go on, without detail (normalised convolution)."""
    side = picture.shape[0]
    small = (max(8, side // COARSE),) * 2
    around = np.asarray(np.clip(1.0 - 1.5 * where, 0.0, 1.0), np.float32)
    known = _resized(picture * around[..., None], small, cv2.INTER_AREA)
    weight = _resized(around, small, cv2.INTER_AREA)
    found, total = np.zeros_like(known), np.full_like(weight, 1e-9)
    for sigma, share in ((0.03, 1.0), (0.1, 1e-3), (0.4, 1e-6)):  # the nearest that there is
        found += np.float32(share) * _blurred(known, sigma * small[0])
        total += np.float32(share) * _blurred(weight, sigma * small[0])
    filled = _resized(found / total[..., None], (side, side), cv2.INTER_CUBIC)
    return np.asarray(np.clip(filled, 0.0, 255.0), np.float32)


def _resized(picture: Floats, size: tuple[int, int], way: int) -> Floats:
    return np.asarray(cv2.resize(picture, size, interpolation=way), np.float32)


def _blurred(picture: Floats, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px), np.float32)


def _moved(where: Floats, rng: Rng) -> Change:
    """Another part of the picture there, half of the time in the light that was there."""
    side = where.shape[0]
    shift = rng.uniform(0.12, 0.4, 2) * rng.choice((-1.0, 1.0), 2) * side
    flip = -1.0 if rng.random() < 0.5 else 1.0
    middle = side / 2.0
    turn = np.array([[flip, 0.0, middle - flip * middle + shift[0]], [0.0, 1.0, shift[1]]])
    lit = rng.random() < 0.5

    def change(picture: Image) -> Image:
        moved = cv2.warpAffine(picture, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
        other = np.asarray(moved, np.float32)
        if lit:
            around = _smoothed(picture, where)
            other = np.clip(other + around - _blurred(other, 0.06 * side), 0.0, 255.0)
        return _blended(picture, other, where)

    return change


def _painted(where: Floats, rng: Rng) -> Change:
    """Painted over, more or less densely, with grain or without."""
    side = where.shape[0]
    colour = rng.uniform(10.0, 120.0) if rng.random() < 0.7 else rng.uniform(120.0, 240.0)
    paint = np.full((side, side, 3), colour + rng.normal(0.0, 12.0, 3), np.float32)
    if rng.random() < 0.5:
        grain = rng.normal(0.0, 1.0, (side, side)).astype(np.float32)
        wide, high = side * rng.uniform(0.004, 0.03, 2)
        drawn = cv2.GaussianBlur(grain, (0, 0), sigmaX=float(wide), sigmaY=float(high))
        paint *= np.exp(np.float32(0.3 / max(float(drawn.std()), 1e-6)) * drawn)[..., None]
    np.clip(paint, 0.0, 255.0, out=paint)
    share = where * np.float32(rng.uniform(0.4, 1.0))
    return lambda picture: _blended(picture, paint, share)
