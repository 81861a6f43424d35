"""People made of noise, for training and measuring."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def make_people(folder: Path, side: int = 128) -> Path:
    """Three people of four photos each: the same shapes in another light."""
    for person in range(3):
        rng = np.random.default_rng(person)
        coarse = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        base = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(float)
        (folder / f"person_{person}").mkdir()
        for photo in range(4):
            image = np.roll(base * (0.8 + 0.05 * photo), photo, axis=1)
            picture = np.clip(image, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"person_{person}" / f"day_{photo}.png"), picture)
    return folder
