"""FallbackRuntime: who answers before, while and after engines are built, and after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from engines.runtime import EngineError, Features, Image
from engines.runtimes.fallback_runtime import FallbackRuntime
from tests.fakes import BicubicRuntime

CROP = np.full((16, 16, 3), 90, np.uint8)
EXEMPLARS = [np.full((64, 64, 3), 120, np.uint8)]


class Slow(BicubicRuntime):
    """Becomes ready when the test says so; answers in its own colour."""

    def __init__(self) -> None:
        super().__init__(4)
        self.name = "card"
        self.go = threading.Event()
        self.begun = threading.Event()
        self.buckets: list[int] = []
        self.broken: Exception | None = None

    def ready(self, bucket: int) -> bool:
        return bucket in self.buckets

    def prepare(
        self, buckets: Iterable[int], progress: Callable[[float], bool] | None = None
    ) -> None:
        assert progress is not None
        for bucket in buckets:
            going = progress(0.0) and progress(0.5)
            self.begun.set()
            while going and not self.go.wait(0.005):
                going = progress(0.5)
            if not going:
                raise EngineError("it was stopped")
            if self.broken:
                raise self.broken
            self.buckets.append(bucket)

    def enhance(self, crop: Image, features: Features | None) -> Image:
        if self.broken:
            raise self.broken
        return 255 - super().enhance(crop, features)


class Setup:
    def __init__(self) -> None:
        self.first, self.better = BicubicRuntime(4), Slow()
        self.lines: list[str] = []
        self.runtime = FallbackRuntime(
            self.first.__enter__(), self.better.__enter__(), self.lines.append
        )


def test_changes_over_when_the_engines_are_there() -> None:
    setup = Setup()
    first, better = setup.first, setup.better
    with setup.runtime as runtime:
        features = runtime.encode(EXEMPLARS)
        assert runtime.enhance(CROP, features).max() == 90
        assert better.begun.wait(5)
        assert runtime.name == "bicubic, card when ready"
        better.go.set()
        assert runtime.wait(16, 5)
        assert runtime.name == "card"
        # features of the first are made again for the other, once
        assert runtime.enhance(CROP, features).min() == 165
        assert runtime.enhance(CROP, features).min() == 165
        assert runtime.enhance(CROP, None).min() == 165
        assert (len(first.encoded), len(better.encoded)) == (1, 1)
        new = runtime.encode(EXEMPLARS)
        assert runtime.enhance(CROP, new).min() == 165
        assert (len(first.encoded), len(better.encoded)) == (1, 2)
    assert not first.is_open
    assert not better.is_open
    assert setup.lines == [
        "card: building the engines for crops of 16 px; bicubic answers meanwhile",
        "card: ready for crops of 16 px",
    ]


def test_each_bucket_changes_by_itself() -> None:
    setup = Setup()
    setup.better.go.set()
    with setup.runtime as runtime:
        assert runtime.wait(16, 5)
        setup.better.go.clear()
        setup.better.begun.clear()
        assert runtime.enhance(np.full((24, 24, 3), 90, np.uint8), None).max() == 90
        assert setup.better.begun.wait(5)
        assert not runtime.wait(24, 0.05)
        assert runtime.enhance(CROP, None).min() == 165


def test_nobody_waits_for_the_first_where_the_other_is_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = Setup()
    asked: list[tuple[int, bool]] = []

    def compiling(bucket: int, *, soon: bool = False) -> bool:
        asked.append((bucket, soon))
        return False

    monkeypatch.setattr(setup.first, "at_once", compiling)
    setup.better.go.set()
    with setup.runtime as runtime:
        assert not runtime.at_once(16, soon=True)
        assert asked == [(16, True)]
        assert runtime.wait(16, 5)
        assert runtime.at_once(16)
        assert not runtime.at_once(24)


@pytest.mark.parametrize("error", [EngineError("no room"), RuntimeError("a surprise")])
def test_a_failed_build_is_one_line_and_the_first_goes_on(error: Exception) -> None:
    setup = Setup()
    setup.better.broken = error
    setup.better.go.set()
    with setup.runtime as runtime:
        assert not runtime.wait(16, 5)
        for _ in range(3):
            assert runtime.enhance(CROP, runtime.encode(EXEMPLARS)).max() == 90
        assert runtime.name == "bicubic"
    assert setup.lines[1:] == [f"card: {error}; bicubic goes on"]


def test_a_card_that_fails_later_is_given_up() -> None:
    setup = Setup()
    setup.better.go.set()
    with setup.runtime as runtime:
        assert runtime.wait(16, 5)
        features = runtime.encode(EXEMPLARS)
        assert runtime.enhance(CROP, features).min() == 165
        setup.better.broken = EngineError("the card is gone")
        # features of the failed one are made again
        assert runtime.enhance(CROP, features).max() == 90
        assert runtime.enhance(CROP, features).max() == 90
        assert len(setup.first.encoded) == 1
    assert setup.lines[-1] == "card: the card is gone; bicubic goes on"


def test_wrong_pictures_are_the_callers_error_and_nobody_is_given_up() -> None:
    setup = Setup()
    setup.better.go.set()
    with setup.runtime as runtime:
        assert runtime.wait(16, 5)
        with pytest.raises(ValueError, match="a crop must be RGB"):
            runtime.enhance(CROP[:4], None)
        with pytest.raises(ValueError, match="made by another runtime"):
            runtime.enhance(CROP, (np.array([16], np.float32),))
        assert runtime.name == "card"


def test_closing_stops_a_build() -> None:
    setup = Setup()
    with setup.runtime as runtime:
        runtime.enhance(CROP, None)
        assert setup.better.begun.wait(5)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert not any(t.name == "engine builder" for t in threading.enumerate())
    assert len(setup.lines) == 1, "a build that was stopped on purpose is no failure"
