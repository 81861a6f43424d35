"""DetailCarrier: in the frames between two of the network, its detail moves with the face.

The flow is found between what the camera sees now and what the network made of an earlier crop,
below the camera's Nyquist frequency. Where the earlier patch, warped by it, is not what the camera
sees now (a mouth that has opened, closed eyes, a hand), the camera's picture is shown, enlarged.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.alignment import Floats, Guide, SearchPicture, agreement, warp
from stream.frame import Image

NONE, ALL = 0.1, 0.4
"""Agreement up to which nothing of the detail is shown, and from which on all of it: 19 and 12
levels of difference. A codec's damage alone is some levels: in proportion to the agreement, detail
came and went in every other frame (the bench's `walk`, a webcam: flicker 5.29, and 4.09 so)."""
SEARCH_PER_CELL = 1.0
"""See `engines.alignment.search_side`. From picture to picture of one face noise and a codec are
what misleads the flow, and coarser patches see less of them. The truth of six recordings, carried
over three frames by what noise and JPEG left of them: 80 px with 1.5, 1.25 and 1 33.74, 33.73 and
33.72 dB in 6.9, 6.3 and 5.1 ms of one busy core; 48 px with 1.5 31.90 dB in 2.9 ms, with less
31.95 dB in 2.6 ms."""
MOST_MOVE = 0.25
"""A crop that jumped by more than this part of its side shows too little of the same."""

Corner = tuple[int, int]


class DetailCarrier:
    """One patch of the network, for the frames after it.

    Args: image: RGB uint8 (s b, s b, 3). crop: RGB uint8 (b, b, 3), what the camera saw then.
          corner: its top left, px of the frame.
    """

    def __init__(self, image: Image, crop: Image, corner: Corner) -> None:
        self._image = image
        self._cells = crop.shape[0]
        self._corner = corner
        self._searched: SearchPicture | None = None
        self.carried = 0.0
        """How much of what was shown last is this patch's detail, 0..1, and not the camera's."""
        self._last: tuple[Floats, Floats] | None = None
        """By how much the crop had moved in the last frame, px of the frame, and its flow."""

    def __call__(self, crop: Image, corner: Corner) -> Image | None:
        """The patch as it would look now.

        Args:    crop: RGB uint8 (b, b, 3), what the camera sees now. corner: its top left.
        Returns: RGB uint8 (s b, s b, 3); None where the crop has another size or lies elsewhere.
        """
        cells, side = crop.shape[0], self._image.shape[0]
        moved = np.subtract(corner, self._corner).astype(np.float32)
        if cells != self._cells or np.abs(moved).max() > MOST_MOVE * cells:
            return None
        if self._searched is None:
            self._searched = SearchPicture(self._image, cells, per_cell=SEARCH_PER_CELL)
        guide = Guide(crop, per_cell=SEARCH_PER_CELL)
        # from the last frame's on: the error then changes less from frame to frame, by a twentieth
        start = np.zeros((guide.side, guide.side, 2), np.float32)
        before = np.zeros(2, np.float32)
        if self._last is not None:
            before, start = self._last
        flow = guide.flow(self._searched, start + (moved - before) * (guide.side / cells))
        self._last = moved, flow
        carried = warp(self._image, flow)
        sure = np.clip((agreement(carried, crop) - NONE) / (ALL - NONE), 0.0, 1.0)
        self.carried = float(sure.mean())
        sure = cv2.resize(sure, (side, side), interpolation=cv2.INTER_LINEAR)
        seen = np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        return np.asarray(cv2.blendLinear(carried, seen, sure, 1.0 - sure), np.uint8)
