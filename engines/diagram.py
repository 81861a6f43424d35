"""Diagrams as pictures, drawn with Matplotlib, which is imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.files import write_whole

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 900, 320
DPI = 100


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
    # Not pyplot, which chooses a window system and keeps every figure until it is closed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((WIDTH / DPI, HEIGHT / DPI), DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel=across)
    axes.grid(alpha=0.3)
    for name, points in series.items():
        x, y = [point[0] for point in points], [point[1] for point in points]
        if name in dots:
            axes.plot(x, y, ".", label=name)
        else:
            # The last value is the one that counts.
            axes.plot(x, y, "-o", label=name, markevery=[-1] if points else None, markersize=4)
    if series:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(drawn[:, :, :3])


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
    write_whole(path, data.tobytes())
