"""StillTiles: which parts of a picture show what they showed when they were last searched.

A detector that is asked about the same picture twice answers the same. In most calls the room does
not move, so most tiles need no search in most of their turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from stream.frame import Floats, Image
from stream.image.detection import Region

BLOCK_PX = 32
"""What is compared are means of blocks: a face of 20 px that comes or goes fills two fifths."""
STEP_PX = 4
"""Of which every so many columns and rows are read: 64 pixels, whose noise averages out."""
STILL_LEVELS = 4.0
"""No block has changed by more: a camera's noise of 4 levels stays below, and so does a codec's."""
MOST_GAIN = 1.25
"""Clouds and a camera's exposure change all blocks alike, by less; a lamp by more."""
STILL_TURNS = 8
"""A tile that stays still is searched all the same in every so many of its turns."""


class StillTiles:
    """What the tiles of one source showed when they were last searched."""

    def __init__(self) -> None:
        self._seen: dict[Region, tuple[Floats, int]] = {}

    def forget_at(self, box: Sequence[float] | Floats) -> None:
        """The tiles that overlap a box, xyxy px, are searched in their next turn."""
        x0, y0, x1, y1 = box
        for tile in list(self._seen):
            if tile[0] < x1 and x0 < tile[2] and tile[1] < y1 and y0 < tile[3]:
                del self._seen[tile]

    def is_due(self, tile: Region, blocks: Floats) -> bool:
        """Whether a tile is to be searched in this turn; if so, it is taken to be.

        Args: tile: xyxy px of the picture. blocks: as `block_means` has them of it.
        """
        left, top = tile[0] // BLOCK_PX, tile[1] // BLOCK_PX
        right, bottom = math.ceil(tile[2] / BLOCK_PX), math.ceil(tile[3] / BLOCK_PX)
        now = blocks[top:bottom, left:right]
        then, turns = self._seen.get(tile, (now, 0))
        if turns > 0 and then.shape == now.shape and _alike(then, now):
            # Compared with the last search, not the last turn: what changes slowly adds up.
            self._seen[tile] = (then, turns - 1)
            return False
        self._seen[tile] = (now, STILL_TURNS - 1)
        return True


def _alike(then: Floats, now: Floats) -> bool:
    """Whether no block has changed, but for the light that falls on all of them."""
    gain = float(np.median((now + 1.0) / (then + 1.0)))
    gain = min(max(gain, 1.0 / MOST_GAIN), MOST_GAIN)
    return float(np.abs(now - gain * then).max()) < STILL_LEVELS


def block_means(image: Image) -> Floats:
    """The mean green of each block: float32 (ceil(H / 32), ceil(W / 32)), 8-bit levels.

    Args: image: RGB uint8 (H, W, 3).
    """
    green = np.ascontiguousarray(image[::STEP_PX, ::STEP_PX, 1])
    high, wide = (math.ceil(side / BLOCK_PX) for side in image.shape[:2])
    means = cv2.resize(green.astype(np.float32), (wide, high), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)
