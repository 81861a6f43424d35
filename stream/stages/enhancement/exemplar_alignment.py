"""ExemplarAlignment: aligns exemplars to a far face as it is now: its place, angle and size.

The network moves the features of exemplars by whole cells of the crop well and by parts of a cell
badly, because a cell holds s x s pixels in its channels; and it never turns them. So the pictures
are moved before they are encoded, by a similarity: the one between the exemplar as it was given
last and what the network made with it. That follows the head from frame to frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from stream.frame import Exemplar, Image

LEAST_CELLS = 0.25
"""An exemplar is aligned anew when its rim would move by so many cells of the crop."""
SEARCH_PX = 96
"""Side of the pictures in which motion is searched."""
EVEN = 1 / 8
"""Light and contrast are made equal over so much of the side: an exemplar was lit otherwise."""
INNER = 0.64
"""The middle part of the headshot, with the face; around it is another background."""
INLIER_PX = 1.0
LEAST_INLIERS = 0.35
MOST_LEFT = 0.9
"""Of the motion, so much belongs to one similarity at least; of the difference, so much is left at
most. Otherwise both show something else: of somebody else's exemplars nearly all, of the person's
own a third (tried on 60 headshots, chosen on every other one)."""
MOST_TURN = math.radians(30)
MOST_GROWTH = 1.25
MOST_SHIFT = 0.15
"""Moved further than this, in sides of the headshot, it is not the same view of a face."""

Similarity = tuple[float, float, float, float]
"""(a, b, x, y): p -> (a p.x - b p.y + x, b p.x + a p.y + y), in sides of the headshot around its
centre: from a place in the crop to the place in the exemplar that shows the same."""
PLAIN: Similarity = (1.0, 0.0, 0.0, 0.0)

Numbers = dict[str, float | None]


class ExemplarAlignment:
    """How the exemplars of one face are aligned to it."""

    def __init__(self) -> None:
        self.aligned = 0
        """Goes up when they are to be aligned anew: what was encoded before is of no use then."""
        self._exemplars: tuple[Exemplar, ...] = ()
        self._version: int | None = None
        self._where: list[Similarity] = []
        self._due_s = -math.inf
        self._given: list[Image] = []
        """Evenly lit, as they were aligned last."""
        self._span = 1.0
        """Side of that canvas, in sides of the headshot."""

    def meet(self, exemplars: tuple[Exemplar, ...], version: int) -> None:
        """Say which exemplars the face has now (`Face.exemplars_version`): those that it had
        stay as they are aligned."""
        if version != self._version or len(exemplars) != len(self._where):
            known = dict(zip(map(id, self._exemplars), self._where, strict=True))
            self._where = [known.get(id(one), PLAIN) for one in exemplars]
            self._version, self._due_s, self._given = version, -math.inf, []
        self._exemplars = exemplars

    def align(self, side: float, canvas: int) -> list[Image]:
        """The exemplars as the network is to see them; see `align`."""
        pairs = zip(self._exemplars, self._where, strict=True)
        aligned = [align(one.image, side, canvas, where) for one, where in pairs]
        self._given, self._span = [evenly_lit(one) for one in aligned], canvas / side
        return aligned

    def refine(self, made: Image, cells: int, now_s: float, every_s: float) -> bool:
        """Compare the exemplars with what the network made with them, from time to time.

        Args:    made: RGB uint8 (s*b, s*b, 3). cells: b. now_s: of the frame.
        Returns: whether they are to be aligned anew.
        """
        if self._due_s - every_s <= now_s < self._due_s or not self._given:
            return False
        self._due_s = now_s + every_s
        face = evenly_lit(made)
        found = [better(face, given) for given in self._given]
        if max(map(displacement, found)) * cells < LEAST_CELLS:
            return False
        for slot, (a, b, x, y) in enumerate(found):
            where = joined(self._where[slot], (a, b, x * self._span, y * self._span))
            self._where[slot] = where if plausible(where) else PLAIN
        self.aligned += 1
        return True

    def numbers(self) -> Numbers:
        """What `recall` needs to align the same exemplars in the same way."""
        kept: Numbers = {"refine due": self._due_s}
        for slot, where in enumerate(self._where):
            kept.update({f"laid {slot}{axis}": v for axis, v in zip("abxy", where, strict=True)})
        return kept

    def recall(self, kept: Mapping[str, float | None]) -> None:
        """Align the exemplars as they were when `numbers` were taken."""
        self._due_s = float(kept["refine due"] or 0.0)
        for slot in range(len(self._where)):
            a, b, x, y = (float(kept[f"laid {slot}{axis}"] or 0.0) for axis in "abxy")
            self._where[slot] = (a, b, x, y)
        self.aligned += 1


def align(exemplar: Image, side: float, canvas: int, where: Similarity = PLAIN) -> Image:
    """An exemplar at the size of the headshot in the enlarged crop, aligned as `where` says.

    Args:    exemplar: RGB uint8 (n, n, 3). side: of the headshot, canvas: of the enlarged crop; px.
    Returns: RGB uint8 (canvas, canvas, 3), edges reflected.
    """
    a, b, x, y = where
    n = exemplar.shape[0]
    if math.hypot(a, b) * n > side:
        # shrunk by area first, so that sampling does not alias
        n = max(round(side / math.hypot(a, b)), 1)
        small = cv2.resize(exemplar, (n, n), interpolation=cv2.INTER_AREA)
        exemplar = np.asarray(small, np.uint8)
    turn = n / side * np.array([[a, -b], [b, a]])
    # cv2 puts pixel centres at whole numbers, hence the halves
    middle = np.full(2, (canvas - 1) / 2.0)
    start = (n - 1) / 2.0 + n * np.array([x, y]) - turn @ middle
    aligned = cv2.warpAffine(
        exemplar,
        np.column_stack([turn, start]),
        (canvas, canvas),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(aligned, np.uint8)


def evenly_lit(picture: Image) -> Image:
    """Grey, SEARCH_PX wide, light and contrast of each neighbourhood made equal: uint8."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA if grey.shape[0] > SEARCH_PX else cv2.INTER_LINEAR
    grey = cv2.resize(grey, (SEARCH_PX, SEARCH_PX), interpolation=how).astype(np.float32)
    width = EVEN * SEARCH_PX
    fine = grey - cv2.GaussianBlur(grey, (0, 0), width)
    contrast = np.sqrt(cv2.GaussianBlur(np.square(fine), (0, 0), width) + 25.0)
    return np.asarray((fine / contrast * 40.0 + 128.0).clip(0, 255), np.uint8)


def better(face: Image, given: Image) -> Similarity:
    """The similarity after which an exemplar shows more of what the face shows; PLAIN: none does.

    Args:    face: evenly lit, what the network made. given: evenly lit, an exemplar as it was
    given.
    Returns: from a place in `face` to the place in `given`, in sides of the picture.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow: Any = None
    flow = finder.calc(face, given, flow)
    edge = round(SEARCH_PX * (1.0 - INNER) / 2.0)
    inner = slice(edge, SEARCH_PX - edge)
    sparse = slice(edge, SEARCH_PX - edge, 3)
    rows, columns = np.mgrid[sparse, sparse].astype(np.float32)
    # around the centre, cv2's pixel centres at whole numbers
    here = np.stack([columns.ravel(), rows.ravel()], axis=1) - (SEARCH_PX - 1) / 2.0
    there = here + flow[sparse, sparse].reshape(-1, 2)
    matrix, agree = cv2.estimateAffinePartial2D(
        here, there, method=cv2.RANSAC, ransacReprojThreshold=INLIER_PX
    )
    if matrix is None or float(agree.mean()) < LEAST_INLIERS:
        return PLAIN
    a, b = float(matrix[0, 0]), float(matrix[1, 0])
    x, y = (float(v) / SEARCH_PX for v in matrix[:, 2])
    moved = align(given, SEARCH_PX, SEARCH_PX, (a, b, x, y))
    before, after = (float(cv2.absdiff(face, g)[inner, inner].mean()) for g in (given, moved))
    return (a, b, x, y) if after <= MOST_LEFT * before else PLAIN


def joined(outer: Similarity, inner: Similarity) -> Similarity:
    """`outer` of `inner`."""
    a, b, x, y = outer
    c, d, u, v = inner
    return a * c - b * d, a * d + b * c, a * u - b * v + x, b * u + a * v + y


def plausible(where: Similarity) -> bool:
    """Whether an exemplar of a face may have to be aligned so."""
    a, b, x, y = where
    return (
        1.0 / MOST_GROWTH <= math.hypot(a, b) <= MOST_GROWTH
        and abs(math.atan2(b, a)) <= MOST_TURN
        and math.hypot(x, y) <= MOST_SHIFT
    )


def displacement(change: Similarity) -> float:
    """How far the rim of the face moves by it, in sides of the picture."""
    a, b, x, y = change
    return math.hypot(x, y) + math.hypot(a - 1.0, b) * INNER / 2.0
