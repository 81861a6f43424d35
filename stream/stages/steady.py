"""Steady: patches that do not tremble, because each takes over what the last one showed.

The network sees one frame at a time: the camera's noise, another in every frame, becomes detail,
another in every frame. So the last patch is moved to where everything is now and mixed in, where
both agree; where they do not, because something moved otherwise or appeared, the new one stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image, Patch

KEEP = 0.65
"""Of the last patch where both agree: what changes slowly is followed within three frames. With 0.7
and 10 levels below, a person who moved fast lost 0.09 dB by it, with this 0.03; a frozen scene
trembles a little more, 0.28 in place of 0.21 of what its bicubic enlargement does."""
ALIKE = 7.0
"""Levels by which both differ, averaged over about a pixel of the camera, where the last one has
lost most of its part."""
REST_PX = 0.08
"""Motion below it, in px of the camera, is none: resampling would blur what stands still."""
SMOOTH_PX = 2.0
"""Motion is smoothed over so much, in px of the flow."""
FLOW_SHRINK = 2
MOST_MOVE = 0.25
"""A crop that jumped by more than this part of its side shows too little of the same."""

LEAST_SHIFT, LEAST_GROWTH = 0.25, 0.002
"""Of a patch that is carried on: px of the patch and a part of its size, below which its pixels
are left as they are."""

Box = tuple[int, int, int, int]


class Steady:
    """Steadies the patches of one face."""

    def __init__(self) -> None:
        self._last: Image | None = None
        self._box: Box = (0, 0, 0, 0)
        self._finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def forget(self) -> None:
        """The next patch stands alone."""
        self._last = None

    def __call__(self, image: Image, box: Box) -> Image:
        """The next patch, steadied.

        Args:    image: RGB uint8 (n, n, 3). box: the crop in the frame, integer xyxy px.
        Returns: RGB uint8 (n, n, 3).
        """
        last = self._moved(image, box)
        if last is not None:
            part = _part(image, last, box[2] - box[0])
            image = np.asarray(cv2.blendLinear(last, image, part, 1.0 - part), np.uint8)
        self._last, self._box = image, box
        return image

    def _moved(self, new: Image, box: Box) -> Image | None:
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
        flow = self._flow(new, placed, REST_PX * scale)
        if flow is None:
            return placed
        # In one step from the last patch, so that it is sampled only once.
        columns = flow[..., 0] + np.arange(right, right + side, dtype=np.float32)
        rows = flow[..., 1] + np.arange(down, down + side, dtype=np.float32)[:, None]
        moved = cv2.remap(last, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    def _flow(self, new: Image, last: Image, rest: float) -> Floats | None:
        """From each pixel to the place it had: float32 (n, n, 2), px; less than `rest` is 0, and
        None where all of it is."""
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
        if not moves.any():
            return None
        flow *= moves[..., None]
        return np.asarray(cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR))


def _part(new: Image, last: Image, crop: int) -> Floats:
    """How much of the last patch is shown: float32 (n, n), 0..KEEP. crop: its side, px."""
    apart = cv2.resize(cv2.absdiff(last, new), (crop, crop), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(apart.astype(np.float32).mean(axis=2), (0, 0), 1.0)
    part = np.asarray(KEEP * np.exp(-np.square(coarse / ALIKE)), np.float32)
    return np.asarray(cv2.resize(part, new.shape[:2], interpolation=cv2.INTER_LINEAR))


def _warped(image: Image, where: NDArray[np.float64], how: int) -> Image:
    """Each pixel from where the matrix (2, 3) says it is."""
    size = (image.shape[1], image.shape[0])
    flags = how | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, where, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def carried(
    patch: Patch, then: tuple[float, float], now: tuple[float, float], grown: float
) -> Patch:
    """An earlier patch where the face is now, as large as it is now.

    What that leaves wrong, the compositor takes back: it compares every patch with what the camera
    sees.

    Args:    then, now: centre of the face, (x, y) px of the frame, in the patch and now.
             grown: its size now over its size in the patch.
    Returns: the box moved by whole pixels, the picture in it by the rest.
    """
    shift = [round(b - a) for a, b in zip(then, now, strict=True)]
    x0, y0, x1, y1 = (value + shift[axis % 2] for axis, value in enumerate(patch.box))
    rest = [b - a - s for a, b, s in zip(then, now, shift, strict=True)]
    image = patch.image
    if max(map(abs, rest)) * patch.scale > LEAST_SHIFT or abs(grown - 1.0) > LEAST_GROWTH:
        # Around the face; cv2 puts pixel centres at whole numbers, hence the half.
        center = [patch.scale * (a - c) - 0.5 for a, c in zip(then, patch.box[:2], strict=True)]
        starts = [c - (c + patch.scale * r) / grown for c, r in zip(center, rest, strict=True)]
        where = np.array([[1.0 / grown, 0.0, starts[0]], [0.0, 1.0 / grown, starts[1]]])
        image = _warped(image, where, cv2.INTER_CUBIC)
    return replace(patch, image=image, box=(x0, y0, x1, y1))
