"""The benchmark of recordings: a recording as long as asked for, in every configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import throughput
from bench.throughput import main, make_recording, slope_a_minute
from stream.frame import Face, Frame, Patch, View
from stream.graph import Opener, Stages
from stream.media.sources.file_source import FileSource
from stream.protocols import Stage
from stream.stages.compositing.compositor import Compositor
from stream.stages.exemplars.bank import Bank

SIZE = (160, 96)


class Patching(Stage):
    """In place of the enhancer: a face in every frame."""

    name = "enhancer"

    def __call__(self, frame: Frame) -> Frame:
        patch = Patch(np.zeros((64, 64, 3), np.uint8), (20, 20, 36, 36), 4)
        box = np.array([24, 24, 32, 32], np.float32)
        face = Face(1, box, np.zeros((6, 2), np.float32), 1.0, patch=patch)
        height, width = frame.image.shape[:2]
        view = View((0.0, 0.0, float(width), float(height)), (2 * width, 2 * height))
        return replace(frame, faces=(face,), view=view)


class Viewing(Patching):
    """In place of framing."""

    name = "framing"

    def __call__(self, frame: Frame) -> Frame:
        return replace(super().__call__(frame), faces=())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene of a third of a second, and stages that need no models."""

    def build(source: tuple[int, int], *_: object, **__: object) -> Stages:
        compositor = Compositor()
        whole = View((0.0, 0.0, float(source[0]), float(source[1])), (320, 192))
        return Stages(
            [Viewing(), Patching(), compositor], Bank(), compositor, Opener("auto"), whole
        )

    monkeypatch.setattr(Stages, "build", build)
    monkeypatch.setattr(throughput, "DURATION_S", 0.32)


def test_the_scene_is_repeated(short: None, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the demo's portrait comes with matplotlib")
    path = tmp_path / "call.mkv"
    make_recording(path, SIZE, 0.02)
    with FileSource(path) as source:
        frames = list(source)
    assert len(frames) == 30
    assert [frame.time_s for frame in frames] == pytest.approx([n / 25 for n in range(30)])
    for index in range(8, 30):
        assert np.array_equal(frames[index].image, frames[index - 8].image)
    assert not np.array_equal(frames[0].image, frames[7].image)


def test_every_configuration_is_measured(short: None, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the demo's portrait comes with matplotlib")
    every = ",".join(throughput.CONFIGURATIONS)
    words = ["--minutes", "0.02", "--size", "160x96", "--scale", "2", "--configurations", every]
    assert main(words) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = {words[0]: words[1:] for words in lines if words[0] in throughput.CONFIGURATIONS}
    assert [row[0] for row in rows.values()] == ["30"] * 6
    assert [row[2] for row in rows.values()] == ["0", "0", *["30"] * 4]
    assert all(float(row[1]) > 0 for row in rows.values())


def test_the_slope_of_memory() -> None:
    assert slope_a_minute([(second, 7_000_000) for second in range(20)]) == 0.0
    growing = [(float(second), 1_000_000 * second) for second in range(20)]
    assert slope_a_minute(growing) == pytest.approx(60.0)
    assert slope_a_minute(growing[:5]) is None
    swings = [(0.5 * n, (700 - 5 * (n % 7)) * 1_000_000) for n in range(20)]
    assert slope_a_minute(swings) is None
    assert slope_a_minute([]) is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--size", "big"], "like 1280x720"),
        (["--size", "161x96"], "even sides"),
        (["--scale", "9"], "1 to 4"),
        (["--minutes", "0"], "0.01 to 1000"),
        (["--configurations", "codec,high"], "--configurations: there is no high"),
        (["--roads", "codec,high"], "there is no high"),
    ],
)
def test_what_cannot_be_measured(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(more) == 2
    assert message in capsys.readouterr().err
