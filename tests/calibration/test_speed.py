"""Speed: what is measured, what is chosen, and that "auto" follows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from calibration import frame_cost, speed
from calibration.speed import Size, largest, main
from engines import runtime_candidates, speed_profile
from engines.runtime import Features, Image, ProfileState, UnavailableError, open_runtime
from engines.runtime_candidates import Candidate, choose, drop_wrong, thread_counts
from stream.stages.tracking import detector_weights
from tests.fakes import BicubicRuntime


def candidate(threads: int, *turns_ms: float) -> Candidate:
    return Candidate("any", "fp32", threads, BicubicRuntime(4), list(turns_ms))


def test_the_fastest_is_taken_and_of_equals_the_one_with_fewer_threads() -> None:
    one, two, four = (candidate(1, 9, 50, 9), candidate(2, 5.1, 5.1, 5.1), candidate(4, 5, 5, 90))
    assert choose([one, two, four]) is two
    assert choose([one, candidate(2, 6, 6, 6), four]) is four


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (64, [1, 2, 4, 8])]
)
def test_numbers_of_threads(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts


def test_the_largest_crop_is_that_which_leaves_time_for_the_rest() -> None:
    sizes = [Size(32, 1.0, 1.0, 2.0), Size(48, 2.0, 2.0, 5.0), Size(64, 3.0, 4.0, 10.0)]
    assert [largest(sizes, room) for room in (3.9, 4.0, 10.0, 99.0)] == [0, 32, 48, 64]


class Missing:
    """A runtime whose package is not installed."""

    precisions = ("fp32",)

    def __init__(self, scale: int, precision: str | None = None) -> None:
        raise UnavailableError("no beads; install them")


def test_who_gives_another_picture_is_left_out() -> None:
    class Dark(BicubicRuntime):
        def enhance(self, crop: Image, features: Features | None) -> Image:
            return super().enhance(crop, features) // 2

    crop = np.full((16, 16, 3), 200, np.uint8)
    exemplar = np.zeros((64, 64, 4), np.uint8)
    notes: list[str] = []
    ways = [("fp32", BicubicRuntime(4)), ("int8", Dark(4)), ("bf16", BicubicRuntime(4))]
    candidates = [Candidate("any", kind, 1, runtime.__enter__()) for kind, runtime in ways]
    kept = drop_wrong(candidates, crop, [exemplar], notes.append)
    assert [one.precision for one in kept] == ["fp32", "bf16"]
    assert notes == ["any int8: its pictures are wrong on this processor"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The real thing on small crops, on a machine that has nothing else to do."""
    monkeypatch.setattr(speed, "BUCKETS", {4: (8, 16)})
    monkeypatch.setattr(speed, "TYPICAL", {4: 16})
    monkeypatch.setattr(speed, "TURN_S", 0.0)
    monkeypatch.setattr(speed, "rest_ms", lambda: 1.0)
    monkeypatch.setattr(speed, "busy", lambda: None)
    return monkeypatch


RUN = ["--scales", "4", "--runtimes", "tensorrt-rtx", "onnxruntime-cpu", "--turns", "1"]


def test_auto_follows_what_was_measured(
    small: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.json"
    assert main([*RUN, "--rate", "1", "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert "| **onnxruntime-cpu** | " in said
    assert "| crop x4 | align ms | encode ms | enhance ms | frames a second | holds 1 |" in said
    assert "| 16 px |" in said
    assert "profile.json written" in said
    written = json.loads(file.read_text())
    measured = {c["runtime"] for c in written["x4"]["candidates"]}
    assert "onnxruntime-cpu" in measured
    assert written["x4"]["largest_px"] == 16
    parts = ("align_ms", "encode_ms", "enhance_ms")
    assert all(size[part] > 0 for size in written["x4"]["sizes"] for part in parts)
    choice = speed_profile.load().choices[4]
    opened = open_runtime("auto")
    with opened.runtime:
        assert opened.name == choice.runtime
    assert opened.profile == ProfileState(choice)


def test_nothing_is_kept_of_a_busy_machine_or_a_trial(
    small: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, "--dry-run"]) == 0
    small.setattr(speed, "busy", lambda: "other programs keep this machine busy (load 9)")
    assert main(RUN) == 0
    assert "no profile was kept: other programs" in capsys.readouterr().out
    assert not speed_profile.folder().exists()
    assert main([*RUN, "--busy"]) == 0
    assert speed_profile.load().rate == 30.0


def test_busy_is_what_others_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cores", lambda: 4)
    for load, is_busy in ((1.9, False), (2.1, True)):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load, 0.0, 0.0), raising=False)
        assert (speed.busy() is not None) == is_busy


def test_where_nothing_runs_it_says_why(
    small: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small.setattr(runtime_candidates, "runtime_class", lambda name: Missing)
    assert main(["--scales", "4", "--runtimes", "tensorrt"]) == 2
    error = capsys.readouterr().err
    assert error == "error: no runtime can run here; tensorrt fp32: no beads; install them\n"
    assert len(error.splitlines()) == 1
    assert not speed_profile.folder().exists()


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (["--rate", "0"], "--rate must lie between 1 and 1000"),
        (["--turns", "0"], "--turns must be at least 1"),
        (["--json", "nowhere/x.json"], "--json: there is no folder nowhere"),
    ],
)
def test_wrong_options_are_one_line(
    option: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(option)
    assert line in capsys.readouterr().err


def test_the_rest_of_a_frame_costs_something(monkeypatch: pytest.MonkeyPatch) -> None:
    if not detector_weights.cached():
        pytest.skip("the face detection models are not in the cache")
    monkeypatch.setattr(frame_cost, "WARM_UP", 2)
    monkeypatch.setattr(frame_cost, "FRAMES_TIMED", 5)
    assert 0.5 < frame_cost.rest_ms() < 5000
