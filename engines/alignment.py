"""Alignment of exemplars in pixels: each is warped onto the face as the camera sees it now.

The network packs s x s pixels into the channels of one cell of the crop's grid. A shift by a part
of a cell blends them, and fine detail is gone; so exemplars are aligned before they are packed, at
full resolution, by dense optical flow. The flow is found between what both pictures have in common:
what the camera can see, below its Nyquist frequency. Where that does not agree after warping (an
other expression, a hand, hair, background) the confidence falls to 0, and the network is told.

Pictures are RGB uint8. Crop side b px, scale s, exemplars of side s b.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

SEARCH_PER_CELL = 2
"""Pixels of the search pictures for each of the camera's. Flow from twice the camera's resolution
is as good as from four times (coherence of the warped detail 0.610 and 0.609) in half the time."""
LEAST_SEARCH_PX = 64
MOST_SEARCH_PX = 160
BLUR_PX = 0.55
"""Of the camera's pixels: both search pictures are smoothed by it to what the camera can see."""
AGREE = 0.04
"""Difference of the low bands, 0..1, at which the confidence has fallen to exp(-1)."""
MOST_RAISED = 0.6
"""So much is added to the detail at most."""
LIGHT = 1 / 6
"""Differences that reach over so much of the side are light, not another content."""


class Aligned(NamedTuple):
    """One exemplar, warped onto the face."""

    picture: Image
    """RGBA (s b, s b, 4); A is the confidence, 255 where it shows what the camera sees."""
    flow: Floats
    """(n, n, 2), px of the search picture: where each pixel of the face is in the exemplar."""


class SearchPicture:
    """What the camera could see of a picture, as the flow is searched in it.

    Args: picture: RGB uint8 (n, n, 3). cells: b, side of the crops that it is compared with.
    """

    def __init__(self, picture: Image, cells: int) -> None:
        self.cells = cells
        self.side = search_side(cells)
        self.grey = search_picture(picture, cells, self.side)


class Guide(SearchPicture):
    """The face as the camera sees it now, to be found in exemplars.

    Args: crop: RGB uint8 (b, b, 3).
    """

    def __init__(self, crop: Image) -> None:
        super().__init__(crop, crop.shape[0])
        self.crop = crop
        self._finder = _finder()

    def flow(self, exemplar: SearchPicture, start: Floats | None = None) -> Floats:
        """Where each pixel of the face is in an exemplar.

        Args:    exemplar: for crops of this side. start: an earlier flow to refine.
        Returns: float32 (n, n, 2), px of the search picture.
        """
        given: Any = None if start is None else start.copy()
        found = self._finder.calc(self.grey, exemplar.grey, given)
        return np.asarray(cv2.GaussianBlur(found, (0, 0), 1.0), np.float32)

    def warped(self, exemplar: Image, flow: Floats) -> Aligned:
        """An exemplar (s b, s b, 3) warped by a flow, and where it shows what the camera sees."""
        picture = warp(exemplar, flow)
        sure = cv2.resize(
            confidence(picture, self.crop), picture.shape[:2], interpolation=cv2.INTER_LINEAR
        )
        alpha = np.asarray(sure * 255.0 + 0.5, np.uint8)
        return Aligned(np.dstack([picture, alpha]), flow)


def align(crop: Image, exemplars: list[Image]) -> list[Image]:
    """Align exemplars (s b, s b, 3) to a crop (b, b, 3): RGBA uint8 (s b, s b, 4) each."""
    guide = Guide(crop)
    flows = [guide.flow(SearchPicture(exemplar, guide.cells)) for exemplar in exemplars]
    return [guide.warped(x, flow).picture for x, flow in zip(exemplars, flows, strict=True)]


def raised(picture: Image, scale: int, sure: Image, amount: float) -> Image:
    """Give fine detail the energy back that averaging has taken from it.

    The best picture by PSNR shows detail weaker the less sure it is: its energy is the truth's
    times the square of its coherence. What the picture shows beyond its own enlargement from the
    camera's grid is raised, where exemplars agree with the camera; what the camera saw stays.

    Args:    picture: RGB uint8 (s b, s b, 3), from the network. scale: s.
             sure: uint8 (s b, s b), the confidence of the exemplars there.
             amount: 0, as the network made it, to 1, about as sharp as the truth.
    Returns: RGB uint8 (s b, s b, 3).
    """
    if amount <= 0.0:
        return picture
    side, cells = picture.shape[0], picture.shape[0] // scale
    small = cv2.resize(picture, (cells, cells), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    fine = picture.astype(np.float32) - coarse
    more = sure.astype(np.float32) * (MOST_RAISED * amount / 255.0)
    return np.asarray(np.clip(picture + fine * more[..., None] + 0.5, 0, 255), np.uint8)


def search_side(cells: int) -> int:
    """Side of the search pictures for a crop of so many cells, px."""
    return int(np.clip(SEARCH_PER_CELL * cells, LEAST_SEARCH_PX, MOST_SEARCH_PX))


def search_picture(picture: Image, cells: int, side: int) -> Image:
    """What the camera can see of a picture: grey uint8 (side, side), `cells` of its pixels wide."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA if grey.shape[0] > side else cv2.INTER_CUBIC
    if grey.shape[0] != side:
        grey = cv2.resize(grey, (side, side), interpolation=how)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), BLUR_PX * side / cells), np.uint8)


def warp(picture: Image, flow: Floats) -> Image:
    """Sample a picture (n, n, 3) where the flow says; the flow may be of another resolution."""
    side = picture.shape[0]
    growth = side / flow.shape[0]
    if growth != 1.0:
        flow = np.asarray(cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR)) * growth
    here = np.arange(side, dtype=np.float32)
    columns, rows = flow[..., 0] + here, flow[..., 1] + here[:, None]
    return np.asarray(
        cv2.remap(picture, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )


def confidence(warped: Image, crop: Image) -> Floats:
    """Where a warped exemplar shows what the camera sees: float32 (b, b), 0..1."""
    cells = crop.shape[0]
    small = cv2.resize(warped, (cells, cells), interpolation=cv2.INTER_AREA)
    apart = small.astype(np.float32) - crop
    apart -= cv2.GaussianBlur(apart, (0, 0), LIGHT * cells)
    size = cv2.GaussianBlur(np.abs(apart).mean(axis=2), (0, 0), 0.7)
    return np.asarray(np.exp(-np.square(size / (255.0 * AGREE))), np.float32)


def _finder() -> Any:
    """Dense inverse search (Kroeger et al. 2016)."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    finder.setFinestScale(0)
    return finder
