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

from stream.frame import Floats, Image, Patch

KEEP = 0.7
"""Of the last patch where both agree: variance with time falls to a fifth, and something that
changes slowly is followed within three frames."""
ALIKE = 10.0
"""Levels by which both differ, averaged over about a pixel of the camera, where the last one has
lost most of its part. Noise makes 2 to 4."""
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
        self._last: Floats | None = None
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
        new = image.astype(np.float32)
        last = self._moved(new, box)
        if last is not None:
            new += self._part(new, last)[..., None] * (last - new)
        self._last, self._box = new, box
        return np.asarray(np.clip(np.rint(new), 0.0, 255.0), np.uint8)

    def _moved(self, new: Floats, box: Box) -> Floats | None:
        """The last patch as it would look now; None where there is none that fits."""
        last, then = self._last, self._box
        side = new.shape[0]
        if last is None or last.shape != new.shape or box[2] - box[0] != then[2] - then[0]:
            return None
        scale = side // (box[2] - box[0])
        right, down = (scale * (box[axis] - then[axis]) for axis in (0, 1))
        if max(abs(right), abs(down)) > MOST_MOVE * side:
            return None
        rows, columns = np.indices((side, side), np.float32)
        columns += right
        rows += down
        placed = last
        if right or down:
            placed = np.asarray(
                cv2.remap(last, columns, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            )
        flow = self._flow(new, placed)
        flow[np.abs(flow).max(axis=2) < REST_PX * scale] = 0.0
        if not flow.any():
            return placed
        # In one step from the last patch, so that it is sampled only once.
        columns += flow[..., 0]
        rows += flow[..., 1]
        return np.asarray(
            cv2.remap(last, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        )

    def _flow(self, new: Floats, last: Floats) -> Floats:
        """From each pixel to the place it had: float32 (n, n, 2), px."""
        side = new.shape[0]
        small = side // FLOW_SHRINK
        first, second = (
            cv2.cvtColor(np.asarray(np.clip(one, 0.0, 255.0), np.uint8), cv2.COLOR_RGB2GRAY)
            for one in (
                cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
                for picture in (new, last)
            )
        )
        flow: Any = None
        flow = self._finder.calc(first, second, flow)
        flow = cv2.GaussianBlur(flow, (0, 0), SMOOTH_PX)
        enlarged = cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR)
        return np.asarray(FLOW_SHRINK * enlarged, np.float32)

    def _part(self, new: Floats, last: Floats) -> Floats:
        """How much of the last patch is shown: float32 (n, n), 0..KEEP."""
        side = new.shape[0]
        crop = self._box[2] - self._box[0]
        apart = np.abs(last - new).mean(axis=2)
        coarse = cv2.resize(apart, (crop, crop), interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), 1.0)
        part = KEEP * np.exp(-np.square(coarse / ALIKE))
        return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR))


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
        # Grown around the face; cv2 puts pixel centres at whole numbers, hence the half.
        center = [patch.scale * (a - c) - 0.5 for a, c in zip(then, patch.box[:2], strict=True)]
        right, down = (
            c * (1.0 - grown) + patch.scale * r for c, r in zip(center, rest, strict=True)
        )
        turn = np.array([[grown, 0.0, right], [0.0, grown, down]], np.float64)
        size = (image.shape[1], image.shape[0])
        image = np.asarray(
            cv2.warpAffine(
                image, turn, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            ),
            np.uint8,
        )
    return replace(patch, image=image, box=(x0, y0, x1, y1))
