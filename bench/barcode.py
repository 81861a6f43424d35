"""Bar code: a number drawn into a picture, to find the same picture again behind codecs.

16 bars at the top left, 16 px wide and high each, black 0 and white 1, the highest bit first; a
17th and an 18th, white and black, tell a code from a picture without one.
"""

from __future__ import annotations

import numpy as np

from stream.frame import Image

BITS = 16
BAR_PX = 16
GUARD = (1, 0)
WIDTH_PX = BAR_PX * (BITS + len(GUARD))


def draw(image: Image, number: int) -> None:
    """Write a number (its lowest 16 bits) into a picture, in place; RGB uint8, from 288 px wide."""
    bits = [number >> (BITS - 1 - place) & 1 for place in range(BITS)]
    for place, bit in enumerate((*bits, *GUARD)):
        image[:BAR_PX, place * BAR_PX : (place + 1) * BAR_PX] = 255 * bit


def read(image: Image) -> int | None:
    """The number in a picture, RGB uint8 or its luma plane; None where there is none."""
    if image.shape[0] < BAR_PX or image.shape[1] < WIDTH_PX:
        return None
    inner = image[4 : BAR_PX - 4, :WIDTH_PX].reshape(BAR_PX - 8, BITS + len(GUARD), BAR_PX, -1)
    levels = inner[:, :, 4:-4].astype(np.float32).mean(axis=(0, 2, 3))
    if np.any(np.abs(levels - 128.0) < 40.0) or tuple(levels[BITS:] > 128.0) != GUARD:
        return None
    return int(sum(int(level > 128.0) << (BITS - 1 - n) for n, level in enumerate(levels[:BITS])))
