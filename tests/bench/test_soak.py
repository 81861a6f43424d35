"""Soak: the made-up camera in real time, the log's arithmetic, and a short run of the whole."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bench import soak
from bench.soak_log import Log
from bench.synthetic_camera import SyntheticCamera
from stream.frame import Face, Frame, Patch
from stream.live_learning import GAIN, LEARNING, LiveLearning
from stream.quality_controller import DOWN
from stream.quality_ladder import LADDER
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.metrics import DROPPED, FAILED_OPEN, Metrics
from tests.pictures import need_models
from tests.wiring import record

SIZE = (160, 120)
BLANK = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture(scope="module")
def camera() -> SyntheticCamera:
    return SyntheticCamera(SIZE, Fraction(10), people=2, far_s=20.0)


def test_the_camera_sends_pictures_at_their_times(camera: SyntheticCamera) -> None:
    assert camera.live
    started_s = time.monotonic()
    frames = list(itertools.islice(camera, 8))
    assert time.monotonic() - started_s >= 0.65
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    for frame in frames:
        assert frame.image.shape == (120, 160, 3)
        assert frame.image.std() > 10.0
        assert frame.time_s == pytest.approx(frame.index / 10)
        assert frame.captured_ns / 1e9 - started_s >= frame.time_s
    assert not np.array_equal(frames[0].image, frames[-1].image)


def test_a_reader_that_is_late_misses_pictures(camera: SyntheticCamera) -> None:
    frames = iter(camera)
    next(frames)
    time.sleep(0.55)
    assert next(frames).index >= 4


def test_the_scene_moves_without_a_jump_and_is_far_most_of_the_time(
    camera: SyntheticCamera,
) -> None:
    places = list(itertools.islice(camera.places(), 2000))
    steps = np.abs(np.diff(places))
    assert steps.max() == 1
    assert np.mean(np.array(places) >= 60) > 0.6, "6 s of 10 are the way there"
    assert set(places) == set(range(100))


def test_the_camera_stops_and_ends() -> None:
    # Few pictures: all of them are drawn before the first one comes.
    made = SyntheticCamera(SIZE, Fraction(5), duration_s=0.6)
    assert [frame.index for frame in made] == [0, 1, 2]
    made = SyntheticCamera(SIZE, Fraction(1))
    threading.Timer(0.2, made.stop).start()
    started_s = time.monotonic()
    assert len(list(made)) == 1
    assert time.monotonic() - started_s < 10.0
    with pytest.raises(ValueError, match="1 to 3"):
        SyntheticCamera(SIZE, Fraction(10), people=4)


def frame_at(index: int, captured_s: float) -> Frame:
    return Frame(BLANK, index, index, Fraction(1, 30), round(captured_s * 1e9))


def filled(growth_ms_per_min: float = 0.0, disturbed: tuple[int, ...] = ()) -> Log:
    """Ten minutes at 10 a second; a disturbed frame is 250 ms old, the next 120, the others 40."""
    log = Log(6000, 10)
    began_s = log._started_s
    rng = np.random.default_rng(1)
    for index in range(6000):
        captured_s = began_s + index / 10
        age_ms = 40.0 + rng.uniform(-2.0, 2.0) + growth_ms_per_min * index / 600
        if index in disturbed:
            log.disturbed(frame_at(index, captured_s))
            age_ms = 250.0
        elif index - 1 in disturbed:
            age_ms = 120.0
        log.taken(frame_at(index, captured_s), round((captured_s + age_ms / 1e3) * 1e9))
        log.worked(0 if index < 4500 else 8)
    return log


def test_ages_rate_and_slope() -> None:
    metrics = Metrics()
    metrics.count(DROPPED, 7)
    metrics.count(DOWN, 2)
    result = filled(growth_ms_per_min=3.0).result(metrics, 60.0, "none")
    assert result["fps"] == pytest.approx(10.0, rel=0.01)
    assert result["frames"] == pytest.approx(5400, abs=1)
    assert result["age_slope_ms_per_min"] == pytest.approx(3.0, rel=0.02)
    assert result["age_ms"]["p50"] == pytest.approx(40 + 3.0 * 5.5, rel=0.02)
    assert result["age_ms"]["max"] < 75.0
    assert (result["frames_dropped"], result["quality_steps_down"]) == (7, 2)
    assert result["levels"] == {"0 (full quality)": 0.75, f"8 ({LADDER[8].name})": 0.25}
    assert result["frames_until_normal"] == {}
    steady = filled().result(Metrics(), 60.0, "none")
    assert abs(steady["age_slope_ms_per_min"]) < 0.1


def test_frames_until_the_age_is_normal() -> None:
    result = filled(disturbed=(100, 1000, 2000, 5999)).result(Metrics(), 60.0, "none")
    assert result["disturbances"] == 3, "that of the warm-up does not count"
    assert result["frames_until_normal"]["max"] == 1.0
    assert result["age_ms"]["max"] == pytest.approx(250.0)


def test_disturbances_count_where_none_of_the_frames_between_them_is_normal() -> None:
    every_second = tuple(range(0, 6000, 10))
    result = filled(disturbed=every_second).result(Metrics(), 60.0, "none")
    assert result["disturbances"] == 540
    assert result["frames_until_normal"] == {}


def test_the_first_frame_and_the_first_enhanced_one() -> None:
    log, metrics = Log(100, 10), Metrics()
    box, keypoints = np.zeros(4, np.float32), np.zeros((6, 2), np.float32)
    for index in range(50):
        weight = 0.0 if index < 20 else 0.5
        one = Face(1, box, keypoints, 1.0, patch=Patch(BLANK, (0, 0, 1, 1), 4, weight))
        time_s = log._started_s + 0.3 + index / 4
        log.taken(replace(frame_at(index, time_s), faces=(one,)), round(time_s * 1e9))
    metrics.count(DROPPED, 3)
    metrics.count(FAILED_OPEN, 2)
    log.count(metrics)
    metrics.count(DROPPED, 4)
    result = log.result(metrics, 0.0, "none")
    assert (result["first_frame_s"], result["first_enhanced_s"]) == (0.3, 5.3)
    assert result["first_10_s"] == {"frames": 39, "dropped": 3, "failed_open": 2}
    assert result["frames_dropped"] == 7
    assert result["models_ready_s"] is None
    empty = Log(100, 10).result(Metrics(), 0.0, "none")
    assert (empty["first_frame_s"], empty["first_enhanced_s"]) == (None, None)


def test_memory_that_grows_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled()
    clock = itertools.count(log._started_s, 60.0)
    monkeypatch.setattr("bench.soak_log.time.monotonic", lambda: next(clock))
    sizes = itertools.count(500e6, 2.5e6)
    monkeypatch.setattr("bench.soak_log.resident_bytes", lambda: next(sizes))
    for _ in range(10):
        log.sample_memory()
    result = log.result(Metrics(), 60.0, "none")
    assert result["memory_slope_mb_per_min"] == pytest.approx(2.5)
    assert result["memory_mb"] == pytest.approx(522.5)


def test_a_short_soak_of_the_real_stages(capsys: pytest.CaptureFixture[str]) -> None:
    need_models()
    size = ["--size", "320x240", "--rate", "10", "--minutes", "0.25", "--warm-up", "3"]
    assert soak.main([*size, "--disturb", "2", "--json", "--runtime", "onnxruntime-cpu"]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result["frames"] > 5
    assert result["faces_seen"] > 0
    assert 0.0 < result["first_frame_s"] < 15.0
    assert 0.0 < result["models_ready_s"] < 15.0
    assert 5 < result["first_10_s"]["frames"] <= 101, "the warm-up is in it"
    assert set(result["first_10_s"]) == {"frames", "dropped", "failed_open"}
    assert result["disturbances"] >= 1
    assert result["age_ms"]["max"] >= 200.0
    assert sum(result["levels"].values()) == pytest.approx(1.0, abs=0.01)
    assert "all" in said.err


def test_a_soak_of_which_nothing_counts_has_no_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At one picture a second, or stopped before; its rate and slopes would be 0."""
    need_models()
    words = ["--minutes", "0.1", "--size", "160x120", "--rate", "1", "--warm-up", "5", "--quiet"]
    assert soak.main(words) == 2
    told = capsys.readouterr()
    assert not told.out
    assert "came after the first 5 s, which do not count (--warm-up)" in told.err


def test_a_soak_that_learns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need_models()
    learning = record(monkeypatch, LiveLearning)
    size = ["--size", "320x240", "--rate", "5", "--minutes", "0.1", "--warm-up", "1", "--quiet"]
    learns = ["--learn-live", "--learn-threads", "3", "--json", "--runtime", "onnxruntime-cpu"]
    assert soak.main([*size, *learns]) == 0
    assert json.loads(capsys.readouterr().out)["learning_share"] is not None
    assert learning[0]["threads"] == 3
    assert isinstance(learning[0]["personal"], PersonalRuntimes)


def test_for_how_long_somebody_was_learnt() -> None:
    log, metrics = Log(1, 1), Metrics()
    assert log.result(metrics, 0.0, "none")["learning_share"] is None
    log.learning(metrics.gauges)
    for going in (1, 1, 0):
        metrics.set(LEARNING, going)
        log.learning(metrics.gauges)
    metrics.set(GAIN, 0.4)
    result = log.result(metrics, 0.0, "none")
    assert (result["learning_share"], result["learnt_gain_db"]) == (0.5, 0.4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learn-threads", "2"], "--learn-threads needs --learn-live"),
        (["--learn-live", "--learn-threads", "0"], "--learn-threads 0 is out of range"),
        (["--size", "big"], "--size big is no size"),
        (["--size", "10x10"], "out of range"),
        (["--minutes", "0"], "--minutes 0 is out of range"),
        (["--rate", "500"], "--rate 500 is out of range"),
        (["--minutes", "1", "--warm-up", "60"], "--warm-up 60 is out of range"),
    ],
)
def test_numbers_that_cannot_be(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert soak.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
