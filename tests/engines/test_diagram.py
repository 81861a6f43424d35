"""Diagrams: what is drawn goes where the values go, and nothing else loads what draws them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.diagram import HEIGHT, WIDTH, Image, panel, save
from tests.places import ROOT


def drawn(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the first colour of Matplotlib's cycle, #1f77b4, left of the names."""
    plot = image[:, : WIDTH * 3 // 4].astype(int)
    near = np.abs(plot - (31, 119, 180)).sum(axis=2) < 20
    rows, columns = near.nonzero()
    return rows, columns


def test_a_diagram_goes_up_where_the_values_do() -> None:
    image = panel("gain", {"clean": [(0, 0.0), (100, 1.0), (200, 2.0)]}, "samples")
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    rows, columns = drawn(image)
    left, right = rows[columns < 150].mean(), rows[columns > 500].mean()
    assert right < left - 100


def test_points_are_not_joined() -> None:
    line = [(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)]
    joined, apart = (panel("", {"one": line}, "x", dots) for dots in ((), ("one",)))
    assert len(drawn(apart)[0]) < len(drawn(joined)[0]) / 4


@pytest.mark.parametrize("series", [{}, {"nothing yet": []}])
def test_nothing_to_draw_is_an_empty_diagram(
    series: dict[str, list[tuple[float, float]]],
) -> None:
    assert panel("gain", series, "samples").shape == (HEIGHT, WIDTH, 3)


def test_only_drawing_loads_matplotlib() -> None:
    code = "import sys, engines.hime.curves, calibration.camera.__main__, run_pipeline; "
    code += "print([name for name in sys.modules if name.startswith('matplotlib')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


def test_a_picture_is_written_in_its_colours(tmp_path: Path) -> None:
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    save(tmp_path / "red.png", red)
    read = cv2.imread(str(tmp_path / "red.png"))
    assert read is not None
    assert read[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(ValueError, match=r"written as .png or .jpg"):
        save(tmp_path / "red.xyz", red)
