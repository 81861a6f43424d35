"""calibration.reidentification: who returns is more alike than strangers are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.scenes.somebody_else import somebody_else
from calibration.reidentification import likenesses, main, measure
from stream.errors import InputError
from stream.frame import Image
from stream.stages.exemplars.hog_descriptor import HogDescriptor
from tests.pictures import hopper, need_models


def views(head: Image, count: int) -> list[Image]:
    """Photos of one session: the head moves a little."""
    return [np.ascontiguousarray(np.roll(head, 2 * k, axis=1)) for k in range(count)]


def test_a_session_in_two_halves_and_two_people() -> None:
    need_models()
    head = np.ascontiguousarray(hopper()[40:440, 60:460])
    other = somebody_else(head, (200.0, 200.0), 200.0, 0)
    people = {("one", "a"): views(head, 4), ("other", "a"): views(other, 4)}
    found = likenesses(people, HogDescriptor(), 0)
    assert len(found.returns) == 2
    assert len(found.strangers) == 2, "each one's far half and the other's close one"
    assert len(found.trembles) == 2
    assert found.returns.min() > HogDescriptor.same > found.strangers.max()
    assert np.abs(found.trembles).max() < 0.1
    result = measure(people, HogDescriptor(), 0)
    assert (result["returns"], result["recognised"], result["merged"]) == (2, 2, 0)
    with pytest.raises(InputError, match="too few photos"):
        likenesses({("one", "a"): views(head, 4)}, HogDescriptor(), 0)


@pytest.mark.parametrize("kind", ["empty", "no picture", "damaged zip", "cut zip"])
def test_what_cannot_be_read_is_one_line(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people"
    (people / "ann").mkdir(parents=True)
    photo = people / "ann" / "a_1.jpg"
    photo.write_bytes(b"" if kind == "empty" else b"no picture" * 40)
    source = people
    if kind.endswith("zip"):
        source = tmp_path / "people.zip"
        method = zipfile.ZIP_DEFLATED if kind == "damaged zip" else zipfile.ZIP_STORED
        with zipfile.ZipFile(source, "w", method) as packed:
            packed.write(photo, "ann/a_1.jpg")
        data = bytearray(source.read_bytes())
        data[42:52] = bytes(10)
        source.write_bytes(data)
    assert main(["--people", str(source), "--call"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"error: {photo if source == people else source}")
