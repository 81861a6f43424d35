"""Curves of all networks' trainings in one picture: validation over the samples seen.

    python -m engines.papers.learning_curves --runs runs --out curves.png

Reads the log.csv that `engines.papers.train_network` writes into each network's folder. Above: dB
over bicubic enlargement on held-out headshots with exemplars; below: what the exemplars add.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from engines.diagram import panel, save
from engines.errors import reported, run_program
from engines.hime import curves
from engines.option_types import named_path
from engines.output_file import output_file
from engines.papers.compare import RUNS

Curve = list[tuple[float, float]]
MEASURES = {
    "clean": "dB over bicubic enlargement",
    "clean_3_over_0": "dB that the exemplars add",
}


def read(path: Path) -> dict[str, Curve]:
    """(samples, value) of every measure in a log, of HIME's training or of the others'.

    Raises: ValueError: it is no such log. OSError.
    """
    text = path.read_text()
    try:
        if text.startswith("step,"):
            return curves.read(path)
        found: dict[str, Curve] = {}
        for _, samples, name, value in csv.reader(text.splitlines()):
            found.setdefault(name, []).append((float(samples), float(value)))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: no log of a training") from error
    return found


def draw(logs: dict[str, dict[str, Curve]], picture: Path) -> None:
    """A panel for each measure, a line for each network.

    Args:   logs: of `read`, by network. picture: .png or .jpg.
    Raises: ValueError: such a picture cannot be written. OSError.
    """
    panels = []
    for measure, title in MEASURES.items():
        lines = {
            f"{name} {log[measure][-1][1]:+.2f}": log[measure]
            for name, log in logs.items()
            if log.get(measure)
        }
        panels.append(panel(title, lines, "samples"))
    save(picture, np.concatenate(panels))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(
        prog="python -m engines.papers.learning_curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--runs", type=named_path, required=True, help="a folder with a run for each network"
    )
    p.add_argument("--out", type=output_file, required=True, help="the picture")
    args = p.parse_args(argv)
    try:
        paths = {name: args.runs / name / "log.csv" for name in RUNS}
        logs = {name: read(path) for name, path in paths.items() if path.exists()}
        if not logs:
            raise ValueError(f"{args.runs}: no log.csv in a folder of {', '.join(RUNS)}")
        draw(logs, args.out)
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
