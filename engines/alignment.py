"""Alignment of exemplars in pixels: each is warped onto the face as the camera sees it now.

The network packs s x s pixels into the channels of one cell of the crop's grid. A shift by a part
of a cell blends them, and fine detail is gone; so exemplars are aligned before they are packed, at
full resolution, by dense optical flow. The flow is found between what both pictures have in common:
what the camera can see, below its Nyquist frequency. Where that does not agree after warping (an
other expression, a hand, hair, background) the confidence falls to 0, and the network is told.

Pictures are RGB uint8. Crop side b px, scale s, exemplars of side s b.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

SEARCH_PER_CELL = 3
"""Pixels of the search pictures for each of the camera's; with four the detail in the result is no
more coherent, with two a little less (0.659, 0.665, 0.657)."""
LEAST_SEARCH_PX, MOST_SEARCH_PX = 64, 112
"""Bounds of their side: the time of a flow grows with its square."""
BLUR_PX = 0.55
"""Of the camera's pixels: both search pictures are smoothed by it to what the camera can see."""
FINE_BLUR_PX = 0.35
"""The same of search pictures that are compared with what the network has made."""
MADE_SHARE = 0.5
"""Of a guide that the network has made, the rest is the camera's picture. Detail that was put in a
wrong place draws the next alignment there: with the made picture alone a third round is worse than
the second (64 headshots in calls, 32 px x4: 27.57, 27.68, 27.59 dB; 16 px x8: 23.54, 23.65,
23.55 dB); with a half it stays (27.57, 27.71, 27.72 dB; 16 px x8 with 0.4: 23.54, 23.69, 23.69)."""
AGREE = 0.05
"""Difference of the low bands, 0..1, at which the confidence has fallen to exp(-1)."""
LEAST_AGREEING, RAMP = 0.25, 0.2
"""An exemplar whose face agrees on average by no more than the first shows somebody else and is not
believed anywhere; by the second more, it is believed where it agrees. Of 48 headshots (32 px x4,
calls) the person's own exemplars agree by 0.48 in the median, another person's by 0.08, and 0.27 at
most in 99 of 100: three of those cost 0.01 dB against none, without this 0.11."""
PATCH_CELLS = 4
"""Side of the patches that the flow is searched with, in the camera's pixels. Of 40 headshots in
calls, aligned twice: 16 px x8, 4 px to a pixel of the camera, patches of 8, 12, 16 and 20 px 23.85,
23.92, 24.00 and 23.96 dB; 32 px x4, 3 px, of 8, 12 and 16 px 28.10, 28.19 and 28.16 dB."""
LEAST_PATCH_PX = 8
"""The finder's own side."""
SMOOTH_CELLS = 0.4
"""Standard deviation, the camera's pixels, that the flow is smoothed by; 16 px x8: 0.03 dB more
than with 0.25."""
STEPS_PER_PX = 1.0
"""Of the search for each patch, by its side; OpenCV's own are 16. Further ones follow noise. Six
recordings, moved by their own motion, noise and JPEG, the small network, patches of 8 px, with 16
and 8: crops of 48 px 3.20 and 3.38 dB over bicubic, coherence of the detail 0.573 and 0.581; 80 px
2.84 and 2.87 dB, 0.502 and 0.509."""
REFINEMENTS, COARSE_REFINEMENTS = 5, 3
"""Of the variational refinement; fewer where there are ..."""
COARSE_PER_CELL = 2
"""... less than so many pixels for each of the camera's: the same to 0.02 dB in a fifth less time.
With 5 and with 3 at two pixels it is 0.08 dB."""
LIGHT = 1 / 6
"""Differences that reach over so much of the side are light, not another content ..."""
LIGHT_SHRINK, LEAST_LIGHT_PX = 4, 16
"""... and are looked at in a picture so many times smaller, but not below this."""
_MEAN = np.full((1, 3), 1 / 3, np.float32)


class Aligned(NamedTuple):
    """One exemplar, warped onto the face."""

    picture: Image
    """RGBA (s b, s b, 4); A is the confidence, 255 where it shows what the camera sees."""
    flow: Floats
    """(n, n, 2), px of the search picture: where each pixel of the face is in the exemplar."""


def agrees(picture: Image) -> float:
    """How much of the face an aligned exemplar shows as the camera sees it: 0..1.

    Args: picture: see `Aligned`.
    """
    return _middle(picture[..., 3]) / 255.0


class SearchPicture:
    """What the camera could see of a picture, as the flow is searched in it.

    Args: picture: RGB uint8 (n, n, 3). cells: b, side of the crops that it is compared with.
          fine: for a guide that knows more than the camera. per_cell: see `search_side`.
    """

    def __init__(
        self,
        picture: Image,
        cells: int,
        *,
        fine: bool = False,
        per_cell: float = SEARCH_PER_CELL,
    ) -> None:
        self.cells, self.per_cell = cells, per_cell
        self.side = search_side(cells, per_cell)
        self.grey = search_picture(picture, cells, self.side, FINE_BLUR_PX if fine else BLUR_PX)


class Guide(SearchPicture):
    """The face as it is known now, to be found in exemplars.

    Args: crop: RGB uint8 (b, b, 3).
          made: what the network has made of it, (s b, s b, 3), if it has: that shows more than the
          camera does, and the alignment becomes finer (coherence of the detail in the result, 32 px
          x4 in calls: 0.646 from the crop alone, 0.660 with it, by the same weights).
          per_cell: see `search_side`.
    """

    def __init__(
        self, crop: Image, made: Image | None = None, per_cell: float = SEARCH_PER_CELL
    ) -> None:
        super().__init__(crop, crop.shape[0], fine=made is not None, per_cell=per_cell)
        self.crop = crop
        self.fine = made is not None
        self._finder = _finder(self.side / self.cells)
        if made is not None:
            seen, shown = (
                search_picture(one, self.cells, self.side, FINE_BLUR_PX) for one in (crop, made)
            )
            mixed = cv2.addWeighted(shown, MADE_SHARE, seen, 1.0 - MADE_SHARE, 0)
            self.grey = np.asarray(mixed, np.uint8)

    def flow(self, exemplar: SearchPicture, start: Floats | None = None) -> Floats:
        """Where each pixel of the face is in an exemplar.

        Args:    exemplar: for crops of this side. start: an earlier flow to refine.
        Returns: float32 (n, n, 2), px of the search picture.
        """
        given: Any = None if start is None else start.copy()
        found = self._finder.calc(self.grey, exemplar.grey, given)
        sigma = SMOOTH_CELLS * self.side / self.cells
        return np.asarray(cv2.GaussianBlur(found, (0, 0), sigma), np.float32)

    def warped(self, exemplar: Image, flow: Floats) -> Aligned:
        """An exemplar (s b, s b, 3) warped by a flow, and where it shows what the camera sees."""
        picture = warp(exemplar, flow)
        sure = np.asarray(confidence(picture, self.crop) * 255.0 + 0.5, np.uint8)
        alpha = cv2.resize(sure, picture.shape[:2], interpolation=cv2.INTER_LINEAR)
        shown = np.empty((*alpha.shape, 4), np.uint8)
        cv2.mixChannels([picture, alpha], [shown], [0, 0, 1, 1, 2, 2, 3, 3])
        return Aligned(shown, flow)

    def agreeing(self, exemplar: Image, flow: Floats) -> float:
        """What `agrees` says of an exemplar (n, n, 3) that is warped by a flow: 0..1.

        Args: exemplar: may be smaller than what is shown, which is faster.
        """
        return _middle(confidence(warp(exemplar, flow), self.crop))


def align(crop: Image, exemplars: list[Image], made: Image | None = None) -> list[Image]:
    """Align exemplars (s b, s b, 3) to a crop (b, b, 3): RGBA uint8 (s b, s b, 4) each.

    Args: made: see `Guide`.
    """
    guide = Guide(crop, made)
    searched = [SearchPicture(exemplar, guide.cells, fine=guide.fine) for exemplar in exemplars]
    flows = [guide.flow(one) for one in searched]
    return [guide.warped(x, flow).picture for x, flow in zip(exemplars, flows, strict=True)]


def best_agreeing(crop: Image, exemplars: list[Image], count: int) -> list[Image]:
    """Those that agree best with the face when they are aligned to it, best first.

    Args: see `align`. count: how many; all where there are no more.
    """
    if len(exemplars) <= count:
        return exemplars
    scores = [agrees(one) for one in align(crop, exemplars)]
    return [exemplars[i] for i in np.argsort(scores, kind="stable")[::-1][:count]]


def search_side(cells: int, per_cell: float = SEARCH_PER_CELL) -> int:
    """Side of the search pictures for a crop of so many cells, px.

    Args: per_cell: pixels of theirs for each of the camera's, within the bounds.
    """
    return int(np.clip(per_cell * cells, LEAST_SEARCH_PX, MOST_SEARCH_PX))


def search_picture(picture: Image, cells: int, side: int, blur_px: float = BLUR_PX) -> Image:
    """A picture `cells` of the camera's pixels wide as it is searched: grey uint8 (side, side).

    Args: blur_px: it is smoothed by so much, px of the camera.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA if grey.shape[0] > side else cv2.INTER_CUBIC
    if grey.shape[0] != side:
        grey = cv2.resize(grey, (side, side), interpolation=how)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), blur_px * side / cells), np.uint8)


def warp(picture: Image, flow: Floats) -> Image:
    """Sample a picture (n, n, 3) where the flow says; the flow may be of another resolution."""
    side = picture.shape[0]
    growth: Any = side / flow.shape[0]
    if growth != 1.0:
        flow = np.asarray(cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR))
    where = cv2.scaleAdd(flow, growth, _places(side))
    nothing: Any = None
    return np.asarray(
        cv2.remap(picture, where, nothing, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )


@lru_cache(8)
def _places(side: int) -> Floats:
    """Column and row of each pixel: float32 (n, n, 2), not to be written to."""
    return np.stack(np.meshgrid(*2 * [np.arange(side, dtype=np.float32)]), axis=2)


def confidence(warped: Image, crop: Image) -> Floats:
    """Where a warped exemplar shows what the camera sees: float32 (b, b), 0..1."""
    agrees = agreement(warped, crop)
    share = (_middle(agrees) - LEAST_AGREEING) / RAMP
    return np.asarray(agrees * min(max(share, 0.0), 1.0), np.float32)


def _middle(picture: NDArray[Any]) -> float:
    """Mean over the face in the middle of a headshot (n, n)."""
    edge = picture.shape[0] // 4
    return float(picture[edge:-edge, edge:-edge].mean())


def agreement(picture: Image, crop: Image) -> Floats:
    """How well a picture (s b, s b, 3) agrees with the camera's crop, other light left aside.

    Returns: float32 (b, b), 0..1.
    """
    cells = crop.shape[0]
    small = cv2.resize(picture, (cells, cells), interpolation=cv2.INTER_AREA)
    apart = cv2.subtract(small, crop, dtype=cv2.CV_32F)
    tiny = min(cells, max(cells // LIGHT_SHRINK, LEAST_LIGHT_PX))
    light = cv2.resize(apart, (tiny, tiny), interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(light, (0, 0), LIGHT * tiny)
    light = cv2.resize(light, (cells, cells), interpolation=cv2.INTER_LINEAR)
    size = cv2.GaussianBlur(cv2.transform(cv2.absdiff(apart, light), _MEAN), (0, 0), 0.7)
    return np.asarray(np.exp(-np.square(size / (255.0 * AGREE))), np.float32)


def turned(flow: Floats | None, angle: float, side: int) -> Floats:
    """Where each pixel is in a picture, by a flow into that picture turned around its middle.

    Args:    flow: (n, n, 2), px; None: it moves nothing. angle: radians; the picture was turned
             counter-clockwise by it. side: n.
    Returns: (n, n, 2), px. The other way about with the negative angle.
    """
    middle = (side - 1) / 2.0
    there = _places(side) if flow is None else cv2.add(_places(side), flow)
    cos, sin = math.cos(angle), math.sin(angle)
    right, down = middle - middle * (cos - sin), middle - middle * (sin + cos)
    turn = np.array([[cos, -sin, right], [sin, cos, down]])
    return np.asarray(cv2.subtract(cv2.transform(there, turn), _places(side)), np.float32)


def _finder(per_cell: float) -> Any:
    """Dense inverse search (Kroeger et al. 2016), its patches overlapping by a half.

    Args: per_cell: pixels of the search pictures for each of the camera's.
    """
    patch = max(int(PATCH_CELLS * per_cell), LEAST_PATCH_PX)
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    finder.setFinestScale(0)
    finder.setPatchSize(patch)
    finder.setPatchStride(patch // 2)
    finder.setGradientDescentIterations(round(STEPS_PER_PX * patch))
    coarse = per_cell < COARSE_PER_CELL
    finder.setVariationalRefinementIterations(COARSE_REFINEMENTS if coarse else REFINEMENTS)
    return finder
