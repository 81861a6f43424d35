"""Profile: parts are timed and put back as they were, new pictures are counted."""

from __future__ import annotations

import json
import sys
import threading
import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench import profile
from bench.part_timer import PartTimer
from bench.profile import main, table
from engines.runtime import EngineError
from stream.media.planar_image import TILE_PX
from tests.pictures import need_models

PICTURE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with functions to time."""
    made: Any = ModuleType("timed_parts")
    made.copy = lambda picture: picture.copy()
    made.view = lambda picture: picture[1:]
    made.small = lambda picture: picture[:2, :2].copy()
    made.wait = lambda: time.sleep(0.02)

    class Worker:
        def work(self) -> int:
            return sum(range(200_000))

    made.Worker = Worker
    monkeypatch.setitem(sys.modules, "timed_parts", made)
    return made


def test_parts_are_timed_and_put_back(module: Any) -> None:
    names = ("copy", "view", "small", "wait", "Worker.work")
    before = dict(vars(module)), module.Worker.work
    with PartTimer({name: f"timed_parts:{name}" for name in names}, PICTURE.nbytes) as timer:
        for call in (module.copy, module.view, module.small):
            call(PICTURE)
        thread = threading.Thread(target=module.Worker().work, name="the worker")
        thread.start()
        module.wait()
        thread.join()
        timer.stop()
        module.wait()
    assert (dict(vars(module)), module.Worker.work) == before
    parts = timer.parts
    assert [len(parts[name].wall_ms) for name in names] == [1, 1, 1, 2, 1]
    counted = {name: (part.pictures, part.picture_bytes) for name, part in parts.items()}
    assert counted.pop("copy") == (1, PICTURE.nbytes)
    assert set(counted.values()) == {(0, 0)}, "views and small pieces are no new pictures"
    assert parts["wait"].cpu_ms < 0.5 * sum(parts["wait"].wall_ms)
    assert parts["Worker.work"].cpu_ms > 0.0
    assert timer.seconds > 0.0
    assert timer.gil_ms


def test_what_a_part_raises_comes_through(module: Any) -> None:
    def fails() -> None:
        raise EngineError("broken")

    module.copy = fails
    with PartTimer({"copy": "timed_parts:copy"}, 1) as timer, pytest.raises(EngineError):
        module.copy()
    assert module.copy is fails
    assert len(timer.parts["copy"].wall_ms) == 1


def test_a_recording_without_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    need_models()
    assert main(["plain", "--size", "640x480", "--seconds", "0.5", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["frames"] == 12
    assert found["faces_enhanced"] == 0
    assert {"source", "tracker", "compositor", "write"} <= set(found["stages"])
    assert "enhancer" not in found["stages"]
    assert found["parts"]["write: native picture"]["calls_a_frame"] == 1.0
    to_rgb = found["parts"]["to RGB"]
    assert to_rgb["pictures_a_frame"] == 0.0, "whole pictures are never converted"
    assert 0.0 < to_rgb["calls_a_frame"] * TILE_PX**2 < 0.25 * 640 * 480
    assert found["parts"]["tracker: detector"]["cpu_ms_a_frame"] > 0.0
    assert found["parts"]["waits: get from a link"]["calls_a_frame"] >= 2.0
    if sys.platform == "linux":
        assert found["cpu_ms_a_frame"] > found["threads_ms_a_frame"]["closeup work"] > 0.0
    said = table(found)
    assert "| tracker: detector |" in said
    assert said.count("\n|") > 10


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["lunch"], "there is no case lunch; there are call, recording, plain"),
        (["--seconds", "0"], "--seconds 0 is out of range"),
        (["--scale", "9"], "--scale 9 is out of range"),
        (["--size", "big"], "--size big is no size"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    said = capsys.readouterr().err
    assert line in said
    assert len(said.splitlines()) == 1


def test_every_part_is_still_where_it_is_timed() -> None:
    with PartTimer(profile.PARTS, 1) as timer:
        timer.stop()
    assert set(timer.parts) == set(profile.PARTS)
