"""Tiles: the parts of a picture in which new faces are looked for."""

from __future__ import annotations

import math

from stream.image.detection import Region

MOST = 7
"""Rows and columns of any grid."""


def tiles(width: int, height: int, *, finer: int = 0) -> list[Region]:
    """The parts of a picture in which new faces are looked for, in turn.

    The whole picture, 2x2, and a finer grid where the picture is wide enough to need one for faces
    of 20 px (3x3 at 1280x720). Neighbours overlap by a quarter, so that a face on a border is
    whole in one of them.

    Args: finer: one more grid, with so many more rows and columns than the finest. Small, dark
          faces beside a shared screen (40 px of 1280) are found in a part of 320 px, not of 512.
    """
    finest = min(5, max(2, math.ceil(max(width, height) / 480)))
    regions: list[Region] = []
    for grid in sorted({1, 2, finest, min(MOST, finest + finer)}):
        wide, high = _tile_side(width, grid), _tile_side(height, grid)
        for row in range(grid):
            for column in range(grid):
                left = round(column * (width - wide) / max(grid - 1, 1))
                top = round(row * (height - high) / max(grid - 1, 1))
                regions.append((left, top, left + wide, top + high))
    return regions


def _tile_side(side: int, grid: int) -> int:
    return math.ceil(side / (grid - 0.25 * (grid - 1)))
