"""Exemplar alignment: keeps the exemplars of one face aligned to it, from frame to frame.

`engines.alignment` finds, for one crop, where each of its pixels is in each exemplar. Here that
goes on in time: the flow of a frame starts from the flow of the last one, moved along with the
face, so it is refined rather than found anew and the detail does not boil; and where the camera
sends the same picture again, nothing is aligned or encoded again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from engines.alignment import (
    SEARCH_PER_CELL,
    Floats,
    Guide,
    SearchPicture,
    agreement,
    agrees,
    search_side,
    turned,
    warp,
)
from stream.frame import EXEMPLARS_PER_FACE, Exemplar, Image

SAME_LEVELS = 0.35
"""Mean difference of two crops, 8-bit levels, below which the camera has sent the same picture."""
STEADY = 0.5
"""Of the earlier flow, so much is kept where both agree ..."""
AGREE_PX = 0.35
"""... to about so much, px of the camera: noise of the estimate, not motion."""

MOTION_PER_CELL = 1.0
"""See `engines.alignment.search_side`: of the motion from the last crop to this one."""
REST = 7.0
"""Over the crop's side, px of the camera: motion well below it is noise and counts for nothing. The
less there is to see, the more noise there is: 48 px with 0.15 and 0.3 px +3.31 and +3.21 dB, 16 px
x8 with 0.15 and 0.4 px +3.71 and +3.72 dB, flicker 4.88 and 4.77."""
MADE_PER_CELL = 2
"""Pictures that are only compared have so many px for each of the camera's: exemplars on trial, and
what the network has made, unless exemplars are searched in larger ones."""
FRESH = 2
"""In a call so many of the three exemplars are searched again, in turn; the third's flow moves on
with the face. With one, detail loses its place (six recordings, crops of 48 px, small network:
coherence 0.576, 0.573 and 0.488 with three, two and one; 80 px 0.516, 0.511 and 0.497)."""

FOLLOW = 0.2
"""Of a new measurement of agreement, so much is taken over: expressions come and go in some frames,
and a swap costs a little unrest."""
TRIAL_S = 0.15
"""Once all were tried, another exemplar is tried so often; each time costs a flow (2 ms)."""
BETTER, BETTER_BY = 1.15, 0.02
"""It is used when it agrees by this factor and so much more than the worst of those in use."""

TURN_STEP = 0.15
"""Exemplars are searched turned as the head is now, in steps of so much, radians: the flow compares
patches, which do not turn."""

Placement = tuple[int, int, int, float]
"""Exemplars' version, scale, bucket and side of the headshot in the enlarged crop."""


@dataclass
class _Candidate:
    """One exemplar that the face may be shown with."""

    exemplar: Exemplar
    picture: Image
    """Placed in the enlarged crop."""
    searched: dict[tuple[bool, int], SearchPicture] = field(default_factory=dict)
    """By whether the guide knows more than the camera, and by turn."""
    flow: Floats | None = None
    """Of the last frame, while it is in use."""
    fine: bool = False
    """Whether that was searched by more than the camera sees."""
    agrees: float | None = None
    """0..1, how much of the face it shows as the camera sees it now; None: not tried yet."""

    def search(self, guide: Guide, start: Floats | None, roll: float) -> Floats:
        """Where each pixel of the face is in it.

        Args: start: an earlier flow to refine. roll: tilt of the head now, radians.
        """
        steps = round((self.exemplar.roll - roll) / TURN_STEP)
        searched = self._search_picture(guide, steps)
        if not steps:
            return guide.flow(searched, start)
        tilt, side = steps * TURN_STEP, guide.side
        if start is not None:
            start = turned(start, -tilt, side)
        return turned(guide.flow(searched, start), tilt, side)

    def _search_picture(self, guide: Guide, steps: int) -> SearchPicture:
        """What the camera could see of it, turned by so many steps, for such guides."""
        key = (guide.fine, steps)
        if key not in self.searched:
            picture = self.picture
            if steps:
                side = picture.shape[0]
                picture = warp(picture, turned(None, steps * TURN_STEP, side))
            self.searched[key] = SearchPicture(
                picture, guide.cells, fine=guide.fine, per_cell=guide.per_cell
            )
        return self.searched[key]

    def judge(self, now: float) -> None:
        """Take in how well it agreed this time: 0..1."""
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
        self._first = 0
        """`aligned` when `forget` was called: whose turn it is depends on nothing before."""
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
        self._candidates, self._placement, self._first = [], None, self.aligned
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
        roll: float = 0.0,
    ) -> list[Image]:
        """Align the exemplars to the crop of one frame.

        Args:    exemplars: at least one, best first as far as is known. crop: RGB uint8 (b, b, 3).
                 corner: its top left, px of the frame. placement: what they are placed for.
                 now_s: of the frame. every_s: while the crop stays in its place, not more often.
                 per_cell: see `engines.alignment.search_side`. roll: tilt of the head, radians,
                 positive clockwise.
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
        motion = self._motion(crop, moved)
        guide = self._guide(crop, motion)
        self._try_another(guide, now_s, roll)
        per_px = guide.side / crop.shape[0]
        self._done = []
        fresh = FRESH if per_cell < SEARCH_PER_CELL else self._count
        for place, one in enumerate(self._candidates[: self._count]):
            flow = one.flow
            if flow is not None and motion is not None:
                flow = _carried(flow, motion)
            due = (self.aligned - self._first - place) % self._count < fresh
            if flow is None or due or guide.fine > one.fine:
                found_flow = one.search(guide, flow, roll)
                if flow is not None:
                    found_flow = steadied(found_flow, flow, AGREE_PX * per_px)
                flow, one.fine = found_flow, guide.fine
            found = guide.warped(one.picture, flow)
            one.flow = flow
            one.judge(agrees(found.picture))
            self._done.append(found.picture)
        self._crop, self._corner, self._made = crop.copy(), corner, None
        self._fine = guide.fine
        self._due_s = now_s + every_s
        self.aligned += 1
        return self._done

    def _try_another(self, guide: Guide, now_s: float, roll: float) -> None:
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
        flow = one.search(guide, None, roll)
        one.judge(guide.agreeing(_shrunk(one.picture, MADE_PER_CELL * guide.cells), flow))
        others = [*(other for other in others if other is not one), one]
        worst = min(used, key=_agreement)
        if _agreement(one) > BETTER * _agreement(worst) + BETTER_BY:
            others[-1] = worst
            used[used.index(worst)] = one
            worst.flow = None
        self._candidates = used + others

    def _motion(self, crop: Image, moved: list[int]) -> Floats | None:
        """From each pixel of a crop to where it was in the last one; None where there is none."""
        if self._crop is None:
            return None
        cells = crop.shape[0]
        now = Guide(crop, per_cell=MOTION_PER_CELL)
        per_px = now.side / cells
        jump = np.empty((now.side, now.side, 2), np.float32)
        jump[...] = np.array(moved, np.float32) * per_px
        last = SearchPicture(self._crop, cells, per_cell=MOTION_PER_CELL)
        beyond = now.flow(last, jump) - jump
        moves = np.square(beyond).sum(axis=2, keepdims=True) / (REST / cells * per_px) ** 2
        return np.asarray(jump + beyond * (1.0 - np.exp(-moves)), np.float32)

    def _guide(self, crop: Image, motion: Floats | None) -> Guide:
        """The face as it is known: by the camera now, and by the network a frame ago."""
        made, cells = self._made, crop.shape[0]
        if made is None or motion is None:
            return Guide(crop, per_cell=self._per_cell)
        side = max(search_side(cells, self._per_cell), MADE_PER_CELL * cells)
        carried = warp(_shrunk(made, side), motion)
        size = carried.shape[:2]
        same = cv2.resize(agreement(carried, crop), size, interpolation=cv2.INTER_LINEAR)
        seen = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)
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


def _shrunk(picture: Image, side: int) -> Image:
    """A picture (n, n, 3), no larger than this."""
    if picture.shape[0] <= side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


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
    back = cv2.subtract(earlier, flow)
    apart = cv2.transform(cv2.multiply(back, back), np.full((1, 2), -1.0 / agree**2))
    keep = cv2.multiply(cv2.exp(apart), STEADY)
    return np.asarray(cv2.add(flow, cv2.multiply(back, cv2.merge([keep, keep]))), np.float32)


def _carried(flow: Floats, motion: Floats) -> Floats:
    """A flow (n, n, 2) as it is after a motion, see `ExemplarAlignment._motion`."""
    side = flow.shape[0]
    moved = cv2.resize(motion, (side, side), interpolation=cv2.INTER_LINEAR)
    moved *= side / motion.shape[0]
    here = np.arange(side, dtype=np.float32)
    columns, rows = moved[..., 0] + here, moved[..., 1] + here[:, None]
    before = cv2.remap(flow, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(before + moved, np.float32)
