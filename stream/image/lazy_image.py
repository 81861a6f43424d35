"""LazyImage: a picture that is read like an array, and made in RGB only where somebody reads it.

Of most pictures of a recording little is looked at in RGB: the surroundings of a face. The rest
goes from the decoder to the encoder as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.frame import Image
from stream.image.detection import Region


class LazyImage(ABC):
    """Stands for RGB uint8 (H, W, 3). `image[rows, columns]` and `image[rows, columns, channel]`
    are arrays, never to be written to; `numpy.asarray` makes all of it."""

    shape: tuple[int, int, int]
    dtype = np.dtype(np.uint8)

    @abstractmethod
    def __getitem__(self, key: tuple[Any, ...]) -> Image:
        """Args: key: two slices, perhaps a channel behind them. With steps it may be a level or two
        beside what it is without: colours of single pixels are not interpolated then."""

    @abstractmethod
    def sampled(self, region: Region, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image:
        """A part as `cv2.warpAffine` with INTER_LINEAR and WARP_INVERSE_MAP gives it, black beyond
        its edges, within a few levels.

        Args:    region: xyxy px, inside the picture. matrix: (2, 3), from px of the result to px of
                 the part; it moves and enlarges. size: (width, height) of the result.
        Returns: RGB uint8 (height, width, 3).
        """

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype)


class LazyPart:
    """A part of a `LazyImage` that is not made yet.

    Args: image: of which. region: xyxy px, inside it.
    """

    def __init__(self, image: LazyImage, region: Region) -> None:
        self._image, self._region = image, region
        self.shape = (region[3] - region[1], region[2] - region[0], 3)

    def sampled(self, matrix: NDArray[np.float64], size: tuple[int, int]) -> Image:
        """Args: as of `LazyImage.sampled`."""
        return self._image.sampled(self._region, matrix, size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        x0, y0, x1, y1 = self._region
        made = self._image[y0:y1, x0:x1]
        return made if dtype is None else made.astype(dtype)


def part_of(image: Image | LazyImage, region: Region) -> Image | LazyPart:
    """A part of a picture, a view of it or not made yet.

    Args: image: RGB uint8 (H, W, 3). region: xyxy px, inside it.
    """
    if isinstance(image, LazyImage):
        return LazyPart(image, region)
    x0, y0, x1, y1 = region
    return image[y0:y1, x0:x1]
