"""Alignment of exemplars in pixels: each is warped onto the face as the camera sees it now.

The network packs s x s pixels into the channels of one cell of the crop's grid. A shift by a part
of a cell blends them, and fine detail is gone; so exemplars are aligned before they are packed, at
full resolution, by dense optical flow. The flow is found between what both pictures have in common:
what the camera can see, below its Nyquist frequency. Where that does not agree after warping (an
other expression, a hand, hair, background) the confidence falls to 0, and the network is told.

Pictures are RGB uint8. Crop side b px, scale s, exemplars of side s b.
"""

from __future__ import annotations

from functools import cache
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
AGREE = 0.05
"""Difference of the low bands, 0..1, at which the confidence has fallen to exp(-1)."""
LEAST_AGREEING, RAMP = 0.25, 0.2
"""An exemplar whose face agrees on average by no more than the first shows somebody else and is not
believed anywhere; by the second more, it is believed where it agrees. Of 48 headshots (32 px x4,
calls) the person's own exemplars agree by 0.48 in the median, another person's by 0.08, and 0.27 at
most in 99 of 100: three of those cost 0.01 dB against none, without this 0.11."""
MORE_THAN_THEIRS = 1.2
"""The truth's detail over that of exemplars, which a codec and the alignment have softened."""
RAISED = 1.5
"""How far detail goes there with an amount of 1; with a half, three quarters of the way."""
MOST_RAISED = 2.0
"""So much is missing at most, as a part of the detail that is there."""
AROUND = 2.0
"""Detail is compared over so much, px of the camera (standard deviation)."""
FAINTEST = 0.5
"""Energy, squared levels, that is noise."""
SURE_POWER = 0.25
"""Of the confidence: detail is raised, too, where exemplars agree only in part."""
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
          fine: for a guide that knows more than the camera.
    """

    def __init__(self, picture: Image, cells: int, *, fine: bool = False) -> None:
        self.cells = cells
        self.side = search_side(cells)
        self.grey = search_picture(picture, cells, self.side, FINE_BLUR_PX if fine else BLUR_PX)


class Guide(SearchPicture):
    """The face as it is known now, to be found in exemplars.

    Args: crop: RGB uint8 (b, b, 3).
          made: what the network has made of it, (s b, s b, 3), if it has: that shows more than the
          camera does, and the alignment becomes finer (coherence of the detail in the result, 32 px
          x4 in calls: 0.646 from the crop alone, 0.660 with it, by the same weights).
    """

    def __init__(self, crop: Image, made: Image | None = None) -> None:
        super().__init__(crop, crop.shape[0], fine=made is not None)
        self.crop = crop
        self.fine = made is not None
        self._finder = _finder()
        if made is not None:
            self.grey = search_picture(made, self.cells, self.side, FINE_BLUR_PX)

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


def align(crop: Image, exemplars: list[Image], made: Image | None = None) -> list[Image]:
    """Align exemplars (s b, s b, 3) to a crop (b, b, 3): RGBA uint8 (s b, s b, 4) each.

    Args: made: see `Guide`.
    """
    guide = Guide(crop, made)
    searched = [SearchPicture(exemplar, guide.cells, fine=guide.fine) for exemplar in exemplars]
    flows = [guide.flow(one) for one in searched]
    return [guide.warped(x, flow).picture for x, flow in zip(exemplars, flows, strict=True)]


def raised(picture: Image, scale: int, aligned: list[Image], amount: float) -> Image:
    """Give fine detail the energy back that averaging has taken from it.

    The best picture by PSNR shows detail weaker the less sure it is: its energy is the truth's
    times the square of its coherence. How strong it is in truth, the exemplars show. So what lies
    above the camera's Nyquist frequency is raised towards theirs, where they agree with the camera;
    what the camera saw stays.

    Args:    picture: RGB uint8 (s b, s b, 3), from the network. scale: s.
             aligned: what it was given, RGBA uint8 (s b, s b, 4) each; see `Aligned`.
             amount: 0, as the network made it, to 1, sharper than the exemplars.
    Returns: RGB uint8 (s b, s b, 3).
    """
    if amount <= 0.0 or not aligned:
        return picture
    side = picture.shape[0]
    cells = side // scale
    sure = [_shrunk(one[..., 3], cells) / 255.0 for one in aligned]
    known = [share * _energy(one[..., :3], cells) for share, one in zip(sure, aligned, strict=True)]
    theirs = sum(known) / (sum(sure) + 1e-3)
    ours = _energy(picture, cells)
    missing = np.sqrt((theirs + FAINTEST) / (ours + FAINTEST)) * MORE_THAN_THEIRS
    more = np.clip(missing - 1.0, 0.0, MOST_RAISED) * np.max(sure, axis=0) ** SURE_POWER
    more = cv2.resize(more, (side, side), interpolation=cv2.INTER_LINEAR) * (RAISED * amount)
    kernel = _low_pass(scale)
    low = cv2.sepFilter2D(picture, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(np.clip(picture + (picture - low) * more[..., None] + 0.5, 0, 255), np.uint8)


def _energy(picture: Image, cells: int) -> Floats:
    """Of the detail that the camera could not see, around each of its pixels: float32 (b, b).

    Args: picture: RGB uint8 (s b, s b, 3). cells: b.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)
    seen = cv2.resize(_shrunk(grey, cells), grey.shape, interpolation=cv2.INTER_CUBIC)
    return np.asarray(
        cv2.GaussianBlur(_shrunk(np.square(grey - seen), cells), (0, 0), AROUND), np.float32
    )


def _shrunk(picture: NDArray[Any], side: int) -> Floats:
    """A picture (n, n), averaged to float32 (side, side)."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


@cache
def _low_pass(scale: int) -> Floats:
    """A windowed sinc that ends at the camera's Nyquist frequency, float32 (6 s + 1,)."""
    at = np.arange(-3 * scale, 3 * scale + 1)
    kernel = np.sinc(at / scale) * np.hamming(len(at))
    return np.asarray(kernel / kernel.sum(), np.float32)


def search_side(cells: int) -> int:
    """Side of the search pictures for a crop of so many cells, px."""
    return int(np.clip(SEARCH_PER_CELL * cells, LEAST_SEARCH_PX, MOST_SEARCH_PX))


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
    agrees, cells = agreement(warped, crop), crop.shape[0]
    face = slice(cells // 4, cells - cells // 4)
    share = (float(agrees[face, face].mean()) - LEAST_AGREEING) / RAMP
    return np.asarray(agrees * min(max(share, 0.0), 1.0), np.float32)


def agreement(picture: Image, crop: Image) -> Floats:
    """How well a picture (s b, s b, 3) agrees with the camera's crop, other light left aside.

    Returns: float32 (b, b), 0..1.
    """
    cells = crop.shape[0]
    small = cv2.resize(picture, (cells, cells), interpolation=cv2.INTER_AREA)
    apart = small.astype(np.float32) - crop
    apart -= cv2.GaussianBlur(apart, (0, 0), LIGHT * cells)
    size = cv2.GaussianBlur(np.abs(apart).mean(axis=2), (0, 0), 0.7)
    return np.asarray(np.exp(-np.square(size / (255.0 * AGREE))), np.float32)


def _finder() -> Any:
    """Dense inverse search (Kroeger et al. 2016)."""
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    finder.setFinestScale(0)
    return finder
