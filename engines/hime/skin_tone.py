"""Skin tone of a headshot, by the individual typology angle (ITA).

    ITA = arctan((L* - 50) / b*) 180 / pi      degrees, of CIELAB under D65; the larger, the lighter

Source: Chardon, Cretois, Hourseau, "Skin colour typology and suntanning pathways", 1991, whose
limits are used, with the lighter two of six groups put together, and the darker three. A picture is
no measurement of skin. Exposure is taken out as far as something white is in the picture; what is
left of it, the colour of the light and make-up move the angle by tens of degrees, so that it sorts
people roughly.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

GROUPS = ("light", "intermediate", "tan to dark")
LIGHT_FROM, INTERMEDIATE_FROM = 41.0, 28.0
"""Degrees."""
CHEEKS = ((0.40, 0.56), (0.60, 0.56))
"""Their middles in a headshot, which is twice as wide as the face: columns and rows, shares."""
SIDE = 0.08
"""Of the square on each cheek, a share of the headshot's."""
WHITE = 98.0
"""Percentile of a picture that is taken for white."""
BLACKEST = 0.02
"""Linear; a picture whose white is darker is made lighter no further."""
GREY = 5.0
"""Cheeks of less chroma than this are those of a picture without colours."""


def typology_angle(photo: Image) -> float | None:
    """ITA of the cheeks of one headshot, degrees, -90..90; None: it has no colours.

    Args: photo: RGB uint8 (n, n, 3), a frontal face in the middle.
    """
    n = photo.shape[0]
    unit = photo.astype(np.float64) / 255.0
    linear = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    white = max(float(np.percentile(linear, WHITE, axis=(0, 1)).max()), BLACKEST)
    reach = max(1, round(SIDE * n / 2))
    found = []
    for column, row in CHEEKS:
        x, y = round(column * n), round(row * n)
        found.append(linear[y - reach : y + reach, x - reach : x + reach].reshape(-1, 3))
    cheeks = np.clip(np.concatenate(found) / white, 0.0, 1.0)
    # white to white, so that the matrix of OpenCV's own conversion from linear RGB can be used
    colours = cv2.cvtColor(cheeks.astype(np.float32)[None], cv2.COLOR_LRGB2LAB)[0]
    # the brighter half: one cheek often lies in the shade
    bright = colours[colours[:, 0] >= np.median(colours[:, 0])]
    lightness, a, b = (float(value) for value in np.median(bright, axis=0))
    if np.hypot(a, b) < GREY:
        return None
    return float(np.degrees(np.arctan2(lightness - 50.0, max(b, 1e-6))))


def skin_tone(photos: Sequence[Image]) -> str | None:
    """One of `GROUPS`, by the median over a person's headshots; None: none has colours."""
    angles = [one for one in map(typology_angle, photos) if one is not None]
    if not angles:
        return None
    middle = float(np.median(angles))
    if middle > LIGHT_FROM:
        return GROUPS[0]
    return GROUPS[1] if middle > INTERMEDIATE_FROM else GROUPS[2]
