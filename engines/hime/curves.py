"""The log of a training run, and its curves as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from engines.diagram import panel, save
from engines.hime.losses import LOSSES

GAINS = ("clean", "clean_3_over_0", "call", "call_3_over_0")
COLUMNS = ("step", "samples", "samples_per_s", *LOSSES, *GAINS)
"""Losses are averages since the line before; gains are dB on held-out people: three close-ups over
bicubic, and over no close-ups. A loss that is off has an empty cell."""


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
        panel("losses, first = 1", losses, "samples"),
        panel("gain over bicubic, and of 3 close-ups over none, dB", gains, "samples"),
    ]
    save(picture, np.concatenate(panels))
