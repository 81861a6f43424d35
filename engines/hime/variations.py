"""Exemplars made from the photo itself, for people with one photo and for general photographs.

The pair must be as different as two moments of a call, or the network learns to copy: the photo is
moved, the head turned, the expression changed by smooth local warps, parts taken from somebody
else's photo (what the other moment does not show: closed eyes, an open mouth, a hand), the light
changed from place to place, and the picture sharpened or denoised otherwise.

Lengths are shares of the picture's side. All numbers are drawn from the generator that is passed
in.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.hime import degrade

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator

GRID = 32
"""Points a side at which warps are computed: they are smooth."""
VARIATIONS = ("moved", "turned", "expression", "foreign", "lit", "processed")
SHIFT, ZOOM, ROTATION = 0.03, 0.04, 0.07
"""Standard deviations; the rotation in radians."""
TURN = 0.03
"""How far the middle of a turned head moves against its outline (standard deviation)."""
HEAD = 0.36
"""Half the width of a head in a headshot, hair included."""
STRONGEST_WARP = 0.02
"""The largest standard deviation of local warps."""
LIGHT = 0.15
"""Standard deviation of the logarithm of the light from place to place."""
FOREIGN = 0.35
"""Share of made exemplars with a part of somebody else's photo, where there is one."""


def _field(side: int, cells: tuple[int, ...], spread: float, rng: Rng) -> Floats:
    """Smooth noise: random values of a shape (rows, columns, ...), enlarged to `side` px."""
    grid = rng.normal(0, spread, cells).astype(np.float32)
    return np.asarray(cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def displacement(side: int, kinds: tuple[str, ...], rng: Rng) -> Floats:
    """Where each pixel of the made picture is in the photo, relative to its own place.

    Args:    kinds: some of `VARIATIONS`; "moved", "turned" and "expression" count here.
             side: px. rng: the numbers are drawn from it.
    Returns: float32 (side, side, 2): columns and rows, px.
    """
    at = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID - 0.5
    x, y = at[None, :], at[:, None]
    found = np.zeros((GRID, GRID, 2), np.float32)
    if "moved" in kinds:
        zoom, angle = np.exp(rng.normal(0, ZOOM)), rng.normal(0, ROTATION)
        cos, sin = zoom * np.cos(angle) - 1.0, zoom * np.sin(angle)
        shift = rng.normal(0, SHIFT, 2)
        found[..., 0] += cos * x - sin * y + shift[0]
        found[..., 1] += sin * x + cos * y + shift[1]
    if "turned" in kinds:
        # a rounded head before a background that stays: the nearer a point, the further it moves
        near = np.sqrt(np.clip(1.0 - (x**2 + y**2) / HEAD**2, 0.0, 1.0))
        found += rng.normal(0, TURN, 2).astype(np.float32) * near[..., None]
    if "expression" in kinds:
        cells, spread = int(rng.integers(3, 10)), rng.uniform(0, STRONGEST_WARP)
        found += _field(GRID, (cells, cells, 2), spread, rng)
    grown = cv2.resize(found, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown * side, np.float32)


def _mixed(picture: Image, other: Image, rng: Rng) -> Image:
    """A soft-edged part of another picture of the same side, at the same place: near the face."""
    side = picture.shape[0]
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.04, 0.15, 2)
    far = ((at[None, :] - centre[0]) / radius[0]) ** 2 + (
        (at[:, None] - centre[1]) / radius[1]
    ) ** 2
    share = np.exp(-(far**2)).astype(np.float32)[..., None]
    return np.asarray(picture + (other.astype(np.float32) - picture) * share + 0.5, np.uint8)


def another_moment(picture: Image, other: Image | None, kinds: tuple[str, ...], rng: Rng) -> Image:
    """The same content as it could be at another moment of a call.

    Args:    picture: RGB uint8 (n, n, 3). other: somebody else's, likewise, for "foreign".
             kinds: some of `VARIATIONS`. rng: the numbers are drawn from it.
    Returns: RGB uint8 (n, n, 3).
    """
    side = picture.shape[0]
    here = np.arange(side, dtype=np.float32)
    moved = displacement(side, kinds, rng)
    made: Image = picture
    if np.any(moved):
        columns, rows = moved[..., 0] + here, moved[..., 1] + here[:, None]
        edge = cv2.BORDER_REFLECT_101
        warped = cv2.remap(picture, columns, rows, cv2.INTER_CUBIC, borderMode=edge)
        made = np.asarray(warped, np.uint8)
    if "foreign" in kinds and other is not None:
        made = _mixed(made, other, rng)
    if "lit" in kinds:
        light = np.exp(_field(side, (3, 3), LIGHT, rng))[..., None]
        made = np.asarray(np.clip(made * light + 0.5, 0, 255), np.uint8)
    return _processed(made, rng) if "processed" in kinds else made


def _processed(picture: Image, rng: Rng) -> Image:
    """Sharpened or denoised as a camera may do it otherwise at another moment."""
    kind = rng.random()
    if kind < 0.35:
        return degrade.sharpen(picture, rng)
    if kind < 0.55:
        return np.asarray(cv2.bilateralFilter(picture, 5, rng.uniform(10, 40), 2.0), np.uint8)
    if kind < 0.75:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.9)), np.uint8)
    return picture
