"""What the bench says of a pan is what the pan was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.judder import filmed, main, measure, panned, scene
from stream.frame import Frame


def in_whole_pixels(frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        assert frame.view is not None
        yield replace(frame, view=replace(frame.view, moving=False))


def test_a_slow_pan_glides_and_one_in_whole_pixels_judders() -> None:
    image = scene()
    even = measure("even", panned(image, (0.2, 0.1), 1.2))
    steps = measure("steps", in_whole_pixels(panned(image, (0.2, 0.1), 1.2)))
    assert even.frames == steps.frames == 28
    assert even.meant == pytest.approx(0.0, abs=1e-6)
    assert even.judder < 0.15 < 0.4 < steps.judder
    assert even.off < 0.2 < steps.off


def test_a_view_at_rest_is_not_judged() -> None:
    row = measure("close", filmed(scene(), "two", 0.4))
    assert row.frames == 0


def test_mistakes_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nothing"]) == 2
    assert "slow walk" in capsys.readouterr().err
