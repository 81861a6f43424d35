"""The log of a training run, and its curves as a picture; drawn with OpenCV alone."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.hime.tables import save

Image = NDArray[np.uint8]
LOSSES = ("loss", "charbonnier", "correlation", "adversarial", "perceptual", "discriminator")
GAINS = ("clean", "clean_3_over_0", "call", "call_3_over_0")
COLUMNS = ("step", "samples", "samples_per_s", *LOSSES, *GAINS)
"""Losses are averages since the line before; gains are dB on held-out people: three close-ups over
bicubic, and over no close-ups. A loss that is off has an empty cell."""
COLOURS = (
    (31, 119, 180),
    (214, 39, 40),
    (44, 160, 44),
    (148, 103, 189),
    (255, 127, 14),
    (90, 90, 90),
)
WIDTH, HEIGHT, EDGE = 900, 320, 56


def append(path: Path, values: dict[str, float]) -> None:
    """Add a line to the log; a log with other columns is put aside as `*.old.csv`."""
    head = ",".join(COLUMNS)
    if path.exists():
        with path.open() as log:
            same = log.readline().rstrip("\n") == head
        if not same:
            path.replace(path.with_suffix(".old.csv"))
    if not path.exists():
        path.write_text(head + "\n")
    with path.open("a") as log:
        log.write(",".join(_cell(values.get(c)) for c in COLUMNS) + "\n")


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def read(path: Path) -> dict[str, list[tuple[float, float]]]:
    """(samples, value) of every loss and gain that the log has values of."""
    series: dict[str, list[tuple[float, float]]] = {}
    with path.open() as log:
        for line in csv.DictReader(log):
            for name in (*LOSSES, *GAINS):
                if line[name] and np.isfinite(float(line[name])):
                    point = (float(line["samples"]), float(line[name]))
                    series.setdefault(name, []).append(point)
    return series


def draw(log: Path, picture: Path) -> None:
    """Draw losses (each as a share of its first value) and gains (dB) over the samples seen."""
    series = read(log)
    losses = {
        f"{name} {points[-1][1]:.4g}": [(x, y / (points[0][1] or 1)) for x, y in points]
        for name, points in series.items()
        if name in LOSSES
    }
    gains = {f"{n} {points[-1][1]:+.2f}": points for n, points in series.items() if n in GAINS}
    panels = [
        panel("losses, first = 1", losses),
        panel("gain over bicubic, and of 3 close-ups over none, dB", gains),
    ]
    save(picture, np.concatenate(panels))


def panel(title: str, series: dict[str, list[tuple[float, float]]]) -> Image:
    """One diagram with a line for each named series of (x, y): RGB uint8 (HEIGHT, WIDTH, 3)."""
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
        _write(image, f"{value[0]:.0f}", (int(below[0]) - 16, HEIGHT - 34), (90, 90, 90))
    _write(image, "samples", (WIDTH // 2 - 2 * EDGE, HEIGHT - 12), (90, 90, 90))
    for k, (name, line) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        path = np.array([place(p) for p in line], np.int32)
        cv2.polylines(image, [path], False, colour, 2, cv2.LINE_AA)
        cv2.circle(image, (int(path[-1][0]), int(path[-1][1])), 3, colour, -1, cv2.LINE_AA)
        _write(image, name, (WIDTH - 4 * EDGE + 12, EDGE + 8 + 20 * k), colour)
    return image


def _write(image: Image, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
