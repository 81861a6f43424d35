"""Badge: there while a face is enhanced, small, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from run_pipeline import main
from stream.frame import Face, Frame, Patch
from stream.media.sources.file_source import FileSource
from stream.stages.compositing.badge import Badge
from tests.fake_stages import use_fake_stages
from tests.pictures import frame_of
from tests.recording_files import write_recording


def marked(size: tuple[int, int], weight: float | None) -> tuple[Frame, Frame]:
    """A grey frame with a face whose patch has this weight, before and after."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    patch = None if weight is None else Patch(image[:64, :64], (0, 0, 16, 16), 4, weight)
    face = Face(1, np.zeros(4, np.float32), np.zeros((6, 2), np.float32), 1.0, patch=patch)
    frame = replace(frame_of(image, 0, faces=(face,)), output=image)
    return frame, Badge()(frame)


def test_nothing_is_drawn_without_an_enhanced_face() -> None:
    for weight in (None, 0.0):
        before, after = marked((640, 360), weight)
        assert after is before


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (361, 641), (64, 48)])
def test_it_is_small_in_the_corner_and_said_where(size: tuple[int, int]) -> None:
    before, after = marked(size, 1.0)
    assert before.output is not None
    assert after.output is not None
    changed = (after.output != before.output).any(axis=2)
    ((x0, y0, x1, y1),) = after.marks
    assert all(edge % 2 == 0 for edge in (x0, y0, x1, y1))
    assert changed[y0:y1, x0:x1].mean() > 0.5
    changed[y0:y1, x0:x1] = False
    assert not changed.any()
    assert x1 - x0 <= max(14, min(size) / 20)
    assert x0 > size[0] / 2
    assert y0 > size[1] / 2


def test_it_fades_with_the_face() -> None:
    strengths = []
    for weight in (0.1, 0.5, 1.0):
        before, after = marked((640, 360), weight)
        assert before.output is not None
        assert after.output is not None
        strengths.append(np.abs(after.output.astype(int) - before.output).sum())
    assert strengths == sorted(strengths)
    assert strengths[0] < strengths[2] / 5


@pytest.mark.parametrize("scale", ["1", "2"])
def test_it_reaches_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    use_fake_stages(monkeypatch)
    call = tmp_path / "call.mp4"
    write_recording(call, size=(320, 180), sounds=0)
    pictures = []
    for badge in ("--badge", "--no-badge"):
        output = tmp_path / f"better{badge}.mp4"
        arguments = ["--input", str(call), "--output", str(output), badge, "--scale", scale]
        assert main(arguments) == 0
        with FileSource(output) as source:
            pictures.append(next(iter(source)).image.astype(int))
    # Of the 14 px of the mark most are dark on light.
    assert (np.abs(pictures[0] - pictures[1]).max(axis=2) > 40).sum() > 60
