"""Diagrams as pictures, drawn with OpenCV alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
COLOURS = (
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (90, 90, 90),
)
WIDTH, HEIGHT, EDGE = 900, 320, 56


def panel(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    across: str,
    dots: Collection[str] = (),
) -> Image:
    """One diagram with a line for each named series of (x, y).

    Args:    across: what x is. dots: these series are drawn as points, not as lines.
    Returns: RGB uint8 (HEIGHT, WIDTH, 3).
    """
    image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    _write(image, title, (EDGE, 20), (0, 0, 0))
    points = np.array([p for line in series.values() for p in line] or [(0.0, 0.0)])
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.where(high > low, high - low, 1.0)
    corner, size = np.array((EDGE, HEIGHT - EDGE)), np.array((WIDTH - 5 * EDGE, 2 * EDGE - HEIGHT))

    def place(point: tuple[float, float]) -> NDArray[np.int32]:
        return np.asarray(corner + (np.array(point) - low) / room * size + 0.5, np.int32)

    for share in np.linspace(0, 1, 5):
        value = low + share * room
        left, below = place((low[0], value[1])), place((value[0], low[1]))
        far = (int(left[0] + size[0]), int(left[1]))
        cv2.line(image, (int(left[0]), int(left[1])), far, (225, 225, 225), 1)
        _write(image, f"{value[1]:.3g}", (4, int(left[1]) + 4), (90, 90, 90))
        written = f"{value[0]:.0f}" if room[0] > 10 else f"{value[0]:.2g}"
        _write(image, written, (int(below[0]) - 16, HEIGHT - 34), (90, 90, 90))
    _write(image, across, (WIDTH // 2 - 2 * EDGE, HEIGHT - 12), (90, 90, 90))
    for k, (name, line) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        path = np.array([place(p) for p in line], np.int32).reshape(-1, 2)
        if name in dots:
            for x, y in path:
                cv2.circle(image, (int(x), int(y)), 2, colour, -1, cv2.LINE_AA)
        elif len(path):
            cv2.polylines(image, [path], False, colour, 2, cv2.LINE_AA)
            cv2.circle(image, (int(path[-1][0]), int(path[-1][1])), 3, colour, -1, cv2.LINE_AA)
        _write(image, name, (WIDTH - 4 * EDGE + 12, EDGE + 8 + 20 * k), colour)
    return image


def save(path: Path, picture: Image) -> None:
    """Write RGB uint8 (H, W, 3).

    Raises: ValueError: OpenCV cannot write a file with such a name. OSError.
    """
    try:
        done, data = cv2.imencode(path.suffix, np.ascontiguousarray(picture[:, :, ::-1]))
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f"{path}: pictures are written as .png or .jpg")
    path.write_bytes(data.tobytes())


def _write(image: Image, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
