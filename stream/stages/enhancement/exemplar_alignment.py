"""Exemplar alignment: keeps the exemplars of one face aligned to it, from frame to frame.

`engines.alignment` finds, for one crop, where each of its pixels is in each exemplar. Here that
goes on in time: the flow of a frame starts from the flow of the last one, moved along with the
crop, so it is refined rather than found anew and the detail does not boil; and where the camera
sends the same picture again, nothing is aligned or encoded again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from engines.alignment import (
    SEARCH_PER_CELL,
    Aligned,
    Floats,
    Guide,
    SearchPicture,
    agreement,
    agrees,
    warp,
)
from stream.frame import EXEMPLARS_PER_FACE, Exemplar, Image

SAME_LEVELS = 0.35
"""Mean difference of two crops, 8-bit levels, below which the camera has sent the same picture."""
STEADY = 0.5
"""Of the earlier flow, so much is kept where both agree ..."""
AGREE_PX = 0.35
"""... to about so much, px of the camera: noise of the estimate, not motion."""

FOLLOW = 0.2
"""Of a new measurement of agreement, so much is taken over: expressions come and go in some frames,
and a swap costs a little unrest."""
TRIAL_S = 0.15
"""Once all were tried, another exemplar is tried so often; each time costs a flow (2 ms)."""
BETTER, BETTER_BY = 1.15, 0.02
"""It is used when it agrees by this factor and so much more than the worst of those in use."""

Placement = tuple[int, int, int, float]
"""Exemplars' version, scale, bucket and side of the headshot in the enlarged crop."""


@dataclass
class _Candidate:
    """One exemplar that the face may be shown with."""

    exemplar: Exemplar
    picture: Image
    """Placed in the enlarged crop."""
    searched: dict[bool, SearchPicture] = field(default_factory=dict)
    """By whether the guide knows more than the camera."""
    flow: Floats | None = None
    """Of the last frame, while it is in use."""
    agrees: float | None = None
    """0..1, how much of the face it shows as the camera sees it now; None: not tried yet."""

    def search_picture(self, guide: Guide) -> SearchPicture:
        """What the camera could see of it, for such guides."""
        fine = guide.fine
        if fine not in self.searched:
            self.searched[fine] = SearchPicture(
                self.picture, guide.cells, fine=fine, per_cell=guide.per_cell
            )
        return self.searched[fine]

    def judge(self, aligned: Aligned) -> None:
        """Take in how well it agreed this time."""
        now = agrees(aligned.picture)
        self.agrees = now if self.agrees is None else self.agrees + FOLLOW * (now - self.agrees)


class ExemplarAlignment:
    """The exemplars of one face, as the network gets them.

    Of all that the bank offers, those that agree best with the face as it is now are used: the
    bank knows pose and sharpness, not expression. One more than these is aligned for trial at a
    time, so that the others' agreement is known.

    Args: count: how many are used at once.
    """

    def __init__(self, count: int = EXEMPLARS_PER_FACE) -> None:
        self.aligned = 0
        """Goes up when the exemplars are aligned anew: older features are of no use."""
        self._count = count
        self._candidates: list[_Candidate] = []
        """Those in use first."""
        self._placement: Placement | None = None
        self._per_cell: float = SEARCH_PER_CELL
        self._tried_s = -math.inf
        self._corner = (0, 0)
        self._crop: Image | None = None
        self._fine = False
        """Whether it was aligned to more than the camera sees."""
        self._made: Image | None = None
        """What the network has made of that crop."""
        self._done: list[Image] = []
        self._due_s = -math.inf

    @property
    def pictures(self) -> list[Image]:
        """The exemplars as they were aligned last: RGBA uint8 (s b, s b, 4) each; empty: none."""
        return self._done

    @property
    def used(self) -> tuple[Exemplar, ...]:
        """The exemplars that these are of."""
        return tuple(one.exemplar for one in self._candidates[: self._count])

    def forget(self) -> None:
        """The next frame is aligned as if it were the first."""
        self._candidates, self._placement = [], None
        self._crop = self._made = None
        self._due_s = self._tried_s = -math.inf

    def remember(self, made: Image) -> None:
        """Take what the network has made of the crop that was aligned last: the next one is aligned
        to it, as far as it still shows the same.

        Args: made: RGB uint8 (s b, s b, 3).
        """
        self._made = made

    def align(
        self,
        exemplars: tuple[Exemplar, ...],
        crop: Image,
        corner: tuple[int, int],
        placement: Placement,
        now_s: float,
        every_s: float = 0.0,
        per_cell: float = SEARCH_PER_CELL,
    ) -> list[Image]:
        """Align the exemplars to the crop of one frame.

        Args:    exemplars: at least one, best first as far as is known. crop: RGB uint8 (b, b, 3).
                 corner: its top left, px of the frame. placement: what they are placed for.
                 now_s: of the frame. every_s: while the crop stays in its place, not more often.
                 per_cell: see `engines.alignment.search_side`.
        Returns: RGBA uint8 (s b, s b, 4) each; the same list while nothing has changed.
        """
        if placement != self._placement or per_cell != self._per_cell:
            self._place(exemplars, placement, per_cell)
        moved = [a - b for a, b in zip(corner, self._corner, strict=True)]
        if self._crop is not None and not any(moved):
            waits = self._due_s - every_s <= now_s < self._due_s
            same = float(cv2.absdiff(crop, self._crop).mean()) < SAME_LEVELS
            # once more, where the network has made something of it since
            if waits or (same and (self._fine or self._made is None)):
                return self._done
        guide = self._guide(crop)
        self._try_another(guide, now_s)
        per_px = guide.side / crop.shape[0]
        self._done = []
        for one in self._candidates[: self._count]:
            start = one.flow
            if start is not None and any(moved):
                start = _shifted(start, moved, per_px)
            flow = guide.flow(one.search_picture(guide), start)
            if start is not None:
                flow = steadied(flow, start, AGREE_PX * per_px)
            found = guide.warped(one.picture, flow)
            one.flow = flow
            one.judge(found)
            self._done.append(found.picture)
        self._crop, self._corner, self._made = crop.copy(), corner, None
        self._fine = guide.fine
        self._due_s = now_s + every_s
        self.aligned += 1
        return self._done

    def _try_another(self, guide: Guide, now_s: float) -> None:
        """Find out how well one that is not in use agrees, and use it where that is better."""
        used, others = self._candidates[: self._count], self._candidates[self._count :]
        if not others or any(one.agrees is None for one in used):
            return
        unknown = [one for one in others if one.agrees is None]
        if not unknown and 0.0 <= now_s - self._tried_s < TRIAL_S:
            return
        self._tried_s = now_s
        one = (unknown or others)[0]
        one.agrees = None
        flow = guide.flow(one.search_picture(guide))
        one.judge(guide.warped(one.picture, flow))
        others = [*(other for other in others if other is not one), one]
        worst = min(used, key=_agreement)
        if _agreement(one) > BETTER * _agreement(worst) + BETTER_BY:
            others[-1] = worst
            used[used.index(worst)] = one
            worst.flow = None
        self._candidates = used + others

    def _guide(self, crop: Image) -> Guide:
        """The face as it is known: by the camera now, and by the network a frame ago."""
        plain = Guide(crop, per_cell=self._per_cell)
        if self._made is None or self._crop is None:
            return plain
        motion = plain.flow(SearchPicture(self._crop, plain.cells, per_cell=self._per_cell))
        carried = warp(self._made, motion)
        side = carried.shape[0]
        same = cv2.resize(agreement(carried, crop), (side, side), interpolation=cv2.INTER_LINEAR)
        seen = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        known = np.asarray(cv2.blendLinear(carried, seen, same, 1.0 - same), np.uint8)
        return Guide(crop, known, self._per_cell)

    def _place(
        self, exemplars: tuple[Exemplar, ...], placement: Placement, per_cell: float
    ) -> None:
        side, canvas = placement[3], placement[1] * placement[2]
        known = {id(one.exemplar): one for one in self._candidates}
        in_use = {id(one) for one in self.used}
        grid = (*placement[1:3], per_cell)
        same_grid = self._placement and (*self._placement[1:3], self._per_cell) == grid
        # those in use stay so, and keep their flow: a new one beside them does not make them jump
        order = sorted(exemplars, key=lambda one: id(one) not in in_use)
        self._candidates = []
        for one in order:
            candidate = _Candidate(one, placed(one.image, side, canvas))
            if before := known.get(id(one)):
                candidate.agrees = before.agrees
                candidate.flow = before.flow if same_grid else None
            self._candidates.append(candidate)
        self._placement, self._per_cell = placement, per_cell
        self._crop, self._made, self._done = None, None, []


def _agreement(one: _Candidate) -> float:
    return one.agrees or 0.0


def placed(exemplar: Image, side: float, canvas: int) -> Image:
    """An exemplar at the size of the headshot in the enlarged crop, centred, edges reflected.

    Args:    exemplar: RGB uint8 (n, n, 3). side: of the headshot, canvas: of the enlarged crop; px.
    Returns: RGB uint8 (canvas, canvas, 3).
    """
    n = exemplar.shape[0]
    if n > side:
        # shrunk by area first, so that sampling does not alias
        n = max(round(side), 1)
        small = cv2.resize(exemplar, (n, n), interpolation=cv2.INTER_AREA)
        exemplar = np.asarray(small, np.uint8)
    growth = n / side
    # cv2 puts pixel centres at whole numbers, hence the halves
    start = (n - 1) / 2.0 - growth * (canvas - 1) / 2.0
    return np.asarray(
        cv2.warpAffine(
            exemplar,
            np.array([[growth, 0.0, start], [0.0, growth, start]]),
            (canvas, canvas),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )


def steadied(flow: Floats, earlier: Floats, agree: float) -> Floats:
    """A flow that takes over from the earlier one where both agree: (n, n, 2), px.

    Args: agree: px of the flow, at which the share of the earlier one has fallen to exp(-1).
    """
    apart = np.square(flow - earlier).sum(axis=2, keepdims=True)
    keep = STEADY * np.exp(-apart / agree**2)
    return np.asarray(flow + keep * (earlier - flow), np.float32)


def _shifted(flow: Floats, moved: list[int], per_px: float) -> Floats:
    """A flow after the crop has moved by whole px of the camera and the exemplars with it."""
    x, y = (value * per_px for value in moved)
    where = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    size = (flow.shape[1], flow.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    carried = cv2.warpAffine(flow, where, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(carried + np.array([x, y], np.float32), np.float32)
