"""Exemplar alignment: keeps the exemplars of one face aligned to it, from frame to frame.

`engines.alignment` finds, for one crop, where each of its pixels is in each exemplar. Here that
goes on in time: the flow of a frame starts from the flow of the last one, moved along with the
crop, so it is refined rather than found anew and the detail does not boil; and where the camera
sends the same picture again, nothing is aligned or encoded again.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from engines.alignment import Aligned, Floats, Guide, SearchPicture, agreement, warp
from stream.frame import Exemplar, Image

SAME_LEVELS = 0.35
"""Mean difference of two crops, 8-bit levels, below which the camera has sent the same picture."""
STEADY = 0.5
"""Of the earlier flow, so much is kept where both agree ..."""
AGREE_PX = 0.35
"""... to about so much, px of the camera: noise of the estimate, not motion."""

Placement = tuple[int, int, int, float]
"""Exemplars' version, scale, bucket and side of the headshot in the enlarged crop."""


class ExemplarAlignment:
    """The exemplars of one face, as the network gets them."""

    def __init__(self) -> None:
        self.aligned = 0
        """Goes up when the exemplars are aligned anew: older features are of no use."""
        self._exemplars: tuple[Exemplar, ...] = ()
        self._placement: Placement | None = None
        self._placed: list[Image] = []
        self._searched: dict[bool, list[SearchPicture]] = {}
        """By whether the guide knows more than the camera."""
        self._flows: list[Floats] = []
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

    def forget(self) -> None:
        """The next frame is aligned as if it were the first."""
        self._flows = []
        self._crop = self._made = None
        self._due_s = -math.inf

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
    ) -> list[Image]:
        """Align the exemplars to the crop of one frame.

        Args:    exemplars: at least one. crop: RGB uint8 (b, b, 3).
                 corner: its top left, px of the frame. placement: what they are placed for.
                 now_s: of the frame. every_s: while the crop stays in its place, not more often.
        Returns: RGBA uint8 (s b, s b, 4) each; the same list while nothing has changed.
        """
        if placement != self._placement:
            self._place(exemplars, placement)
        moved = [a - b for a, b in zip(corner, self._corner, strict=True)]
        if self._crop is not None and not any(moved):
            waits = self._due_s - every_s <= now_s < self._due_s
            same = float(cv2.absdiff(crop, self._crop).mean()) < SAME_LEVELS
            # once more, where the network has made something of it since
            if waits or (same and (self._fine or self._made is None)):
                return self._done
        guide = self._guide(crop)
        searched = self._search_pictures(crop.shape[0], guide.fine)
        per_px = guide.side / crop.shape[0]
        found: list[Aligned] = []
        for slot, picture in enumerate(self._placed):
            start = self._flows[slot] if self._flows else None
            if start is not None and any(moved):
                start = _shifted(start, moved, per_px)
            flow = guide.flow(searched[slot], start)
            if start is not None:
                flow = steadied(flow, start, AGREE_PX * per_px)
            found.append(guide.warped(picture, flow))
        self._flows = [one.flow for one in found]
        self._done = [one.picture for one in found]
        self._crop, self._corner, self._made = crop.copy(), corner, None
        self._fine = guide.fine
        self._due_s = now_s + every_s
        self.aligned += 1
        return self._done

    def _guide(self, crop: Image) -> Guide:
        """The face as it is known: by the camera now, and by the network a frame ago."""
        plain = Guide(crop)
        if self._made is None or self._crop is None:
            return plain
        motion = plain.flow(SearchPicture(self._crop, plain.cells))
        carried = warp(self._made, motion)
        side = carried.shape[0]
        same = cv2.resize(agreement(carried, crop), (side, side), interpolation=cv2.INTER_LINEAR)
        seen = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        return Guide(crop, np.asarray(cv2.blendLinear(carried, seen, same, 1.0 - same), np.uint8))

    def _search_pictures(self, cells: int, fine: bool) -> list[SearchPicture]:
        if fine not in self._searched:
            self._searched[fine] = [SearchPicture(one, cells, fine=fine) for one in self._placed]
        return self._searched[fine]

    def _place(self, exemplars: tuple[Exemplar, ...], placement: Placement) -> None:
        side, canvas = placement[3], placement[1] * placement[2]
        known = dict(zip(map(id, self._exemplars), self._flows, strict=False))
        same_grid = self._placement is not None and self._placement[1:3] == placement[1:3]
        self._exemplars = exemplars
        self._placed = [placed(one.image, side, canvas) for one in exemplars]
        self._searched = {}
        # exemplars that stay keep their flow: a new one beside them does not make them jump
        kept = [known.get(id(one)) for one in exemplars] if same_grid else [None]
        self._flows = [flow for flow in kept if flow is not None]
        if len(self._flows) != len(exemplars):
            self._flows = []
        self._placement, self._crop, self._made, self._done = placement, None, None, []


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
