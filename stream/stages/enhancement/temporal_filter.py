"""TemporalFilter: motion-compensated temporal denoising of patches; static regions converge.

The network sees one frame at a time: the camera's noise, another in every frame, becomes detail,
another in every frame. So the last patch is moved to where everything is now and mixed in, where
both agree; where they do not, because something moved otherwise or appeared, the new one stands.
Regions that the codec did not send anew converge: of a network of 8 or 16 bits a
crop with eleven pixels changed by a level or two makes another rounding everywhere, of 0.4 levels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

KEEP = 0.65
"""Of the last patch where both agree: what changes slowly is followed within three frames. With 0.7
and 10 levels below, a person who moved fast lost 0.09 dB by it, with this 0.03; a frozen scene
flickers a little more, 0.28 in place of 0.21 of what its bicubic enlargement does."""
ALIKE = 7.0
"""Levels by which both differ, averaged over about a pixel of the camera, where the last one has
lost most of its part."""
SAME = 0.5
"""The camera sends what it has sent while it differs by less than so many levels, averaged over
about a pixel."""
REST_FRAMES = 30
"""Such a part shows the mean of the last patches: of so many at most, so that it follows what
changes without the camera, such as other exemplars."""
REST_PX = 0.08
"""Motion below it, in px of the camera, is none: resampling would blur what stands still."""
SMOOTH_PX = 2.0
"""Motion is smoothed over so much, in px of the flow."""
FLOW_SHRINK = 2
MOST_MOVE = 0.25
"""A crop that jumped by more than this part of its side shows too little of the same."""

Box = tuple[int, int, int, int]


class TemporalFilter:
    """Steadies the patches of one face."""

    def __init__(self) -> None:
        self._last: Image | None = None
        self._crop: Image | None = None
        self._box: Box = (0, 0, 0, 0)
        self._rested: Floats | None = None
        """(b, b): for how many frames the camera has sent the same there."""
        self._finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def forget(self) -> None:
        """The next patch stands alone."""
        self._last = self._crop = self._rested = None

    def __call__(self, image: Image, box: Box, crop: Image) -> Image:
        """The next patch, steadied.

        Args:    image: RGB uint8 (s*b, s*b, 3). box: the crop in the frame, integer xyxy px.
                 crop: RGB uint8 (b, b, 3), what the camera sent of it.
        Returns: RGB uint8 (s*b, s*b, 3).
        """
        self._rested = rested = self._rest(crop, box)
        last = self._moved(image, box, rested)
        if last is not None:
            part = _part(image, last, rested)
            image = np.asarray(cv2.blendLinear(last, image, part, 1.0 - part), np.uint8)
        self._last, self._box, self._crop = image, box, crop
        return image

    def _rest(self, crop: Image, box: Box) -> Floats:
        """For how many frames the camera has sent the same: float32 (b, b)."""
        if self._crop is None or self._rested is None or box != self._box:
            return np.zeros(crop.shape[:2], np.float32)
        same = _mean(cv2.absdiff(crop, self._crop)) < SAME
        return np.asarray(np.where(same, self._rested + 1.0, 0.0), np.float32)

    def _moved(self, new: Image, box: Box, rested: Floats) -> Image | None:
        """The last patch as it would look now; None where there is none that fits."""
        last, then = self._last, self._box
        side = new.shape[0]
        if last is None or last.shape != new.shape or box[2] - box[0] != then[2] - then[0]:
            return None
        scale = side // (box[2] - box[0])
        right, down = (scale * (box[axis] - then[axis]) for axis in (0, 1))
        if max(abs(right), abs(down)) > MOST_MOVE * side:
            return None
        placed = last
        if right or down:
            there = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
            placed = _warped(last, there, cv2.INTER_NEAREST)
        flow = self._flow(new, placed, REST_PX * scale, rested)
        if flow is None:
            return placed
        # In one step from the last patch, so that it is sampled only once.
        columns = flow[..., 0] + np.arange(right, right + side, dtype=np.float32)
        rows = flow[..., 1] + np.arange(down, down + side, dtype=np.float32)[:, None]
        moved = cv2.remap(last, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    def _flow(self, new: Image, last: Image, rest: float, rested: Floats) -> Floats | None:
        """From each pixel to the place it had: float32 (n, n, 2), px; less than `rest` is 0, so is
        what the camera sent before, and None where all of it is."""
        side = new.shape[0]
        small = side // FLOW_SHRINK
        first, second = (
            cv2.resize(
                cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
                (small, small),
                interpolation=cv2.INTER_AREA,
            )
            for picture in (new, last)
        )
        flow: Any = None
        flow = cv2.GaussianBlur(self._finder.calc(first, second, flow), (0, 0), SMOOTH_PX)
        flow *= FLOW_SHRINK
        moves = (np.abs(flow[..., 0]) >= rest) | (np.abs(flow[..., 1]) >= rest)
        moves &= cv2.resize(rested, (small, small), interpolation=cv2.INTER_NEAREST) == 0.0
        if not moves.any():
            return None
        flow *= moves[..., None]
        return np.asarray(cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR))


def _part(new: Image, last: Image, rested: Floats) -> Floats:
    """How much of the last patch is shown: float32 (n, n), 0..1."""
    size = (rested.shape[1], rested.shape[0])
    coarse = _mean(cv2.resize(cv2.absdiff(last, new), size, interpolation=cv2.INTER_AREA))
    frames = np.minimum(rested, REST_FRAMES)
    part = np.maximum(KEEP, frames / (frames + 1.0)) * np.exp(-np.square(coarse / ALIKE))
    part = np.asarray(part, np.float32)
    return np.asarray(cv2.resize(part, new.shape[:2], interpolation=cv2.INTER_LINEAR))


def _mean(apart: NDArray[Any]) -> Floats:
    """Of a difference (h, w, 3), over the channels and about a pixel: float32 (h, w)."""
    return np.asarray(cv2.GaussianBlur(apart.astype(np.float32).mean(axis=2), (0, 0), 1.0))


def _warped(image: Image, where: NDArray[np.float64], how: int) -> Image:
    """Each pixel from where the matrix (2, 3) says it is."""
    size = (image.shape[1], image.shape[0])
    flags = how | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, where, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
