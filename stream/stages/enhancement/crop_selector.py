"""CropSelector: how large the crop of a face is, and where it lies.

Both change as rarely as possible: jitter of the crop from frame to frame becomes flicker in
the patch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from engines.runtime import BUCKETS
from stream.frame import Face, Image
from stream.image.headshot import SIDE_PER_WIDTH
from stream.image.resample import cut_square

SMALLEST_X4 = BUCKETS[4][0]
LEAVE = 1.03
"""What began below a limit goes on until it is this much above it, so that nothing flaps."""
TAKE, KEEP = 1.015, 1.06
"""A bucket is taken by headshots this much larger, and kept up to the second: at the headshot's
border the patch is faded out anyway, and the next bucket costs half as much again."""
X8_ZOOM = 4.01
"""x8 only where x4 would be enlarged further; a hair above 4, where a virtual camera may rest."""
STILL_PX = 1.5
"""The crop stays where it is while the face's centre is this near to its own; then it follows by
no more than it must, so that noise of a pixel around any place ends in rest."""
STEPS_PER_OCTAVE = 8
STEP_SLACK = 0.75
"""The size step changes when the headshot is this many steps away (0.5 would flap)."""


@dataclass(frozen=True, eq=False)
class Crop:
    """What the network gets of a frame."""

    image: Image
    """RGB uint8 (b, b, 3)."""
    corner: tuple[int, int]
    """Its top left, px of the frame."""
    scale: int
    """By how much the network enlarges it, 4 or 8."""
    side_px: float
    """Of the headshot in it, px of the frame."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Its place in the frame, xyxy px."""
        (x, y), side = self.corner, self.image.shape[0]
        return x, y, x + side, y + side


@dataclass
class CropSelector:
    """Of one face: the crop that the network gets."""

    scale: int = 4
    bucket: int = 0
    """Side of the crop, px."""
    step: int = 0
    """Of the headshot's size, `STEPS_PER_OCTAVE` for twice the size."""
    corner: tuple[int, int] | None = None
    """Top left, px of the frame; None before the first one."""

    def wanted(self, side: float, zoom: float, largest_px: int, *, x8: bool) -> tuple[int, int]:
        """Scale and bucket that suit a headshot; the present ones if they will do.

        Args: side: of the headshot, px. zoom: of the view. largest_px: no larger crop.
              x8: whether that scale may be used.
        """
        fresh = self.corner is None
        x8_limit = SMALLEST_X4 * (LEAVE if not fresh and self.scale == 8 else 1.0)
        scale = 8 if x8 and zoom > X8_ZOOM and side <= x8_limit else 4
        allowed = [b for b in BUCKETS[scale] if b <= largest_px]
        bucket = next((b for b in allowed if side <= b * TAKE), allowed[-1])
        grows = not fresh and scale == self.scale and bucket > self.bucket
        return scale, self.bucket if grows and side <= self.bucket * KEEP else bucket

    def instead(self, side: float, scale: int, bucket: int, largest_px: int) -> Iterator[int]:
        """Buckets that may take the place of one that is not ready, the best first: the present
        one, smaller ones that still show the whole face, larger ones.

        Args: side: of the headshot, px. scale: 4 or 8. bucket: that is not ready. largest_px: the
              largest bucket that may be spent on a face.
        """
        if self.corner is not None and self.scale == scale and self.bucket <= largest_px:
            yield self.bucket
        allowed = [b for b in BUCKETS[scale] if b <= largest_px]
        yield from (b for b in reversed(allowed) if side <= SIDE_PER_WIDTH * b and b < bucket)
        yield from (b for b in allowed if b > bucket)

    def put(self, face: Face, scale: int, bucket: int) -> None:
        """Lay the crop around a face, as near to the last one as will do.

        Args: scale: 4 or 8. bucket: side of the crop, px.
        """
        # Above the largest bucket, where the middle is enhanced, the exemplar keeps growing.
        exact = STEPS_PER_OCTAVE * math.log2(max(face.headshot_side_px, 1.0))
        if self.corner is None or abs(exact - self.step) > STEP_SLACK:
            self.step = round(exact)

        x, y = (c - bucket / 2.0 for c in face.center)
        if self.corner is None or bucket != self.bucket:
            self.corner = (round(x), round(y))
        else:
            self.corner = (_drag(self.corner[0], x), _drag(self.corner[1], y))
        self.scale, self.bucket = scale, bucket

    def cut(self, image: Image) -> Crop:
        """The crop where it was put in a frame's picture."""
        assert self.corner is not None, "put nowhere"
        x, y = self.corner
        side_px = 2.0 ** (self.step / STEPS_PER_OCTAVE)
        piece = cut_square(image, (x, y, x + self.bucket, y + self.bucket))
        return Crop(piece, self.corner, self.scale, side_px)


def _drag(old: int, wanted: float) -> int:
    if wanted > old + STILL_PX:
        return math.ceil(wanted - STILL_PX)
    if wanted < old - STILL_PX:
        return math.floor(wanted + STILL_PX)
    return old
