"""calibration.camera.noise_gain: known noise is measured, and kept out of a picture with known
truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.camera import noise_gain
from calibration.thresholds import gains
from engines.contract import check_exemplars
from engines.hime.people import Person
from stream.frame import Image
from tests.pictures import hopper


class Knowing:
    """A network that knows the truth."""

    name, scale = "knowing", 4

    def __init__(self, truth: Image) -> None:
        self._truth = truth

    def encode(self, exemplars: list[Image]) -> Any:
        check_exemplars(exemplars, self.scale)
        return self._truth

    def enhance(self, crop: Image, features: Any) -> Image:
        return np.asarray(features, np.uint8)


def test_measured_noise_lets_in_no_more_than_a_guess() -> None:
    head = gains.resized(np.ascontiguousarray(hopper()[40:440, 60:460]), 256)
    side = 4 * noise_gain.SIDE_PX
    network: Any = Knowing(gains.resized(head, side))
    people = [Person("one", (head,) * 4)]
    row = noise_gain.measure(network, people, (4.0, 4.0), True, None)
    assert row.measured is not None
    assert (row.measured.dark, row.measured.bright) == pytest.approx((4.0, 4.0), rel=0.15)
    # The patch is the truth: all that back-projection can do is to let noise in.
    assert row.network_db == 100.0
    assert row.measured_db >= row.guessed_db
    (line,) = noise_gain.table([row]).splitlines()[2:]
    assert line.startswith("| 4, 4, smeared | lossless | ")
    assert f"{row.measured_db - row.guessed_db:+.2f}" in line


def test_what_cannot_be_measured_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert noise_gain.main(["--data", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "no person/photo.jpg" in line
