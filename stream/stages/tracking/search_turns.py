"""SearchTurns: which parts of the picture are searched for new faces next."""

from __future__ import annotations

from collections.abc import Iterator

from stream.frame import Floats, Image
from stream.image.detection import Region
from stream.quality_ladder import QualityLevel
from stream.stages.tracking.pace import Pace
from stream.stages.tracking.still_tiles import StillTiles, block_means
from stream.stages.tracking.tiles import tiles

SEARCHES_HZ = 60.0
"""Tiles a second that are searched at high frame rates: one a frame of up to so many."""
SLOW_SEARCHES_HZ = 25.0
"""Where pictures are far apart, as many tiles in each as others would have been searched for."""


class SearchTurns:
    """The tiles of one source's pictures, which take turns.

    Args: still: which of them rest.
    """

    def __init__(self, still: StillTiles) -> None:
        self._still = still
        self._tiles: list[Region] = []
        self._turn = 0
        self._searches_due = 0.0

    def lay(self, width: int, height: int, finer: int) -> None:
        """Pictures of another size come.

        Args: width, height: of them, px. finer: see `tiles`.
        """
        self._tiles = tiles(width, height, finer=finer)
        self._turn = 0

    def everywhere(self, image: Image) -> list[Region]:
        """All tiles, now."""
        blocks = block_means(image)
        for tile in self._tiles:
            self._still.is_due(tile, blocks)
        return self._tiles

    def next(self, image: Image, pace: Pace, quality: QualityLevel, turns: int) -> Iterator[Region]:
        """The tiles to search in this picture: at ordinary rates one of those that do not rest.

        Args: image: RGB uint8 (H, W, 3). pace: of the pictures. quality: how many may be searched.
              turns: so many have their turn for each that is searched; of pictures that are far
              apart, every tile that has its turn is searched.
        """
        count = self._count(pace, quality)
        blocks: Floats | None = None
        left = count
        for _ in range(count * turns):
            tile = self._tiles[self._turn % len(self._tiles)]
            self._turn += 1
            if blocks is None:
                blocks = block_means(image)
            if self._still.is_due(tile, blocks) or pace.slow:
                yield tile
                left -= 1
                if left == 0:
                    return

    def _count(self, pace: Pace, quality: QualityLevel) -> int:
        if pace.slow:
            searches = pace.step_s * SLOW_SEARCHES_HZ * quality.search_tiles
            return min(len(self._tiles), round(searches))
        # The time of a call may stand still; a frame is a frame.
        self._searches_due = min(1.0, self._searches_due + (pace.step_s * SEARCHES_HZ or 1.0))
        due = int(self._searches_due > 0.99)
        self._searches_due -= due
        return min(len(self._tiles), due * quality.search_tiles)
