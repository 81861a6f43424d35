"""Tiles: the parts of a picture in which new faces are looked for."""

from __future__ import annotations

import math

from stream.image.detection import Region


def tiles(width: int, height: int) -> list[Region]:
    """The parts of a picture in which new faces are looked for, in turn.

    The whole picture, 2x2, and a finer grid where the picture is wide enough to need one for faces
    of 20 px (3x3 at 1280x720). Neighbours overlap by a quarter, so that a face on a border is
    whole in one of them.
    """
    finest = min(5, max(2, math.ceil(max(width, height) / 480)))
    regions: list[Region] = []
    for grid in sorted({1, 2, finest}):
        wide, high = _tile_side(width, grid), _tile_side(height, grid)
        for row in range(grid):
            for column in range(grid):
                left = round(column * (width - wide) / max(grid - 1, 1))
                top = round(row * (height - high) / max(grid - 1, 1))
                regions.append((left, top, left + wide, top + high))
    return regions


def _tile_side(side: int, grid: int) -> int:
    return math.ceil(side / (grid - 0.25 * (grid - 1)))
