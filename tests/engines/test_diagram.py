from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.diagram import COLOURS, EDGE, WIDTH, panel, save


def test_a_diagram_goes_up_where_the_values_do() -> None:
    image = panel("gain", {"clean": [(0, 0.0), (100, 1.0), (200, 2.0)]}, "samples").astype(int)
    plot = image[:, EDGE : WIDTH - 4 * EDGE]
    rows, columns = ((plot - COLOURS[0]) == 0).all(axis=2).nonzero()
    left, right = rows[columns < 100].mean(), rows[columns > 500].mean()
    assert right < left - 100


def test_points_are_not_joined() -> None:
    line = [(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)]
    joined, apart = (panel("", {"one": line}, "x", dots) for dots in ((), ("one",)))
    assert (apart != 255).sum() < (joined != 255).sum()


def test_a_picture_is_written_in_its_colours(tmp_path: Path) -> None:
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    save(tmp_path / "red.png", red)
    read = cv2.imread(str(tmp_path / "red.png"))
    assert read is not None
    assert read[0, 0].tolist() == [0, 0, 255]
    with pytest.raises(ValueError, match=r"written as .png or .jpg"):
        save(tmp_path / "red.xyz", red)
