"""Self-measurement: when it is needed, what it chooses, and that it leaves a call alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from engines import machine, runtime_candidates, self_measurement, speed_profile
from engines.contract import Features, Image
from engines.errors import EngineError
from engines.runtime_candidates import Candidate
from engines.self_measurement import (
    STARTS,
    Way,
    fastest,
    main,
    measure,
    measure_first,
    measuring_beside,
    needed,
)
from engines.speed_profile import Choice, Profile, load, store
from tests.fakes import BicubicRuntime

PATIENCE_S = 120.0
SPEEDS = {
    ("openvino-cpu", "bf16", 2): (9.0,),
    ("openvino-cpu", "fp32", 2): (20.0,),
    ("openvino-cpu", "int8", 2): (8.0,),
    ("onnxruntime-cpu", "fp32", 2): (30.0,),
    ("onnxruntime-cpu", "int8", 2): (19.0,),
    ("openvino-cpu", "int8", 1): (12.0,),
    ("openvino-cpu", "bf16", 1): (15.0,),
}


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str, int], tuple[float, ...]]:
    """Runtimes of two cores that take what the table says, ms, turn by turn over and over."""
    table: dict[tuple[str, str, int], tuple[float, ...]] = dict(SPEEDS)

    class Fake(BicubicRuntime):
        precisions: tuple[str, ...] = ("bf16", "fp32", "int8")

        def __init__(self, scale: int, precision: str, threads: int = 2) -> None:
            super().__init__(scale)

    class FewFake(Fake):
        precisions = ("fp32", "int8")

    def kind(name: str) -> Any:
        return FewFake if name == "onnxruntime-cpu" else Fake

    def taken(one: Candidate, crop: Image, exemplars: list[Image]) -> float:
        assert one.threads is not None
        given = table[one.name, one.precision, one.threads]
        return given[len(one.turns_ms) % len(given)]

    for module in (runtime_candidates, self_measurement):
        monkeypatch.setattr(module, "runtime_class", kind)
        monkeypatch.setattr(module, "cores", lambda: 2)
    monkeypatch.setattr(self_measurement, "turn_ms", taken)
    monkeypatch.setattr(self_measurement, "SIDE_PX", 16)
    monkeypatch.delenv(self_measurement.SWITCH)
    monkeypatch.setattr(self_measurement, "cards", lambda: "none")
    return table


def test_the_fastest_runtime_then_its_threads(
    speeds: dict[tuple[str, str, int], tuple[float, ...]],
) -> None:
    assert fastest(measure({})) == ("openvino-cpu", "int8", 2)
    speeds["openvino-cpu", "int8", 1] = (8.2,)
    assert fastest(measure({})) == ("openvino-cpu", "int8", 1), "as fast with one thread less"


def test_the_shortest_turns_count(speeds: dict[tuple[str, str, int], tuple[float, ...]]) -> None:
    speeds["openvino-cpu", "int8", 2] = (80.0, 9.0, 70.0, 8.0)
    assert fastest(measure({})) == ("openvino-cpu", "int8", 2)


def test_what_does_not_repeat_is_no_measurement(
    speeds: dict[tuple[str, str, int], tuple[float, ...]],
) -> None:
    once = (8.0, *(50.0 + 7.0 * n for n in range(60)))
    speeds["openvino-cpu", "int8", 2] = once
    assert fastest(measure({})) == ("openvino-cpu", "bf16", 2)
    speeds.update(dict.fromkeys(speeds, once))
    assert measure({}) == {}
    assert measure({("openvino-cpu", "bf16", 2): 9.0}) == {}, "nothing of this start"


def test_it_gives_up_in_time(speeds: dict[tuple[str, str, int], tuple[float, ...]]) -> None:
    clock = iter(np.arange(0.0, 1e6, self_measurement.LONGEST_S / 2))
    assert measure({}, lambda: float(next(clock))) == {}


def test_wrong_pictures_are_not_fast(
    speeds: dict[tuple[str, str, int], tuple[float, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = BicubicRuntime.enhance
    opened = runtime_candidates.open_candidates
    wrong: list[object] = []

    def enhance(self: BicubicRuntime, crop: Image, features: Features | None) -> Image:
        made = real(self, crop, features)
        return np.zeros_like(made) if self in wrong else made

    def noted(*given: Any) -> list[Candidate]:
        found = opened(*given)
        wrong.extend(one.runtime for one in found if one.precision == "int8")
        return found

    monkeypatch.setattr(BicubicRuntime, "enhance", enhance)
    monkeypatch.setattr(self_measurement, "open_candidates", noted)
    assert fastest(measure({})) == ("openvino-cpu", "bf16", 2)


def test_it_is_kept_for_both_scales_and_measured_at_the_first_starts(
    speeds: dict[tuple[str, str, int], tuple[float, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert needed()
    for start in range(STARTS):
        assert needed(again=True)
        assert main([]) == 0
        assert load().choices == dict.fromkeys((4, 8), Choice("openvino-cpu", "int8", 2, None))
        assert "int8, 2 threads, measured at a start" in str(load().choices[4])
        assert not needed(), "an interrupted recording goes on with the runtime that it had"
        assert load().starts == start + 1
    assert not needed(again=True)
    assert main([]) == 1
    now = machine.describe() | {"openvino": "1.0"}
    monkeypatch.setattr(speed_profile, "describe", lambda: now)
    assert needed(), "another version"
    assert main([]) == 0
    assert load().starts == 1
    assert not needed()


def test_a_machine_that_was_busy_at_the_first_start_is_known_better_at_the_second(
    speeds: dict[tuple[str, str, int], tuple[float, ...]],
) -> None:
    quiet = dict(speeds)
    busy = {"openvino-cpu": 3.0, "onnxruntime-cpu": 1.1}
    speeds.update({way: (busy[way[0]] * ms[0],) for way, ms in quiet.items()})
    speeds["onnxruntime-cpu", "int8", 1] = (33.0,)
    assert main([]) == 0
    assert load().choices[4] == Choice("onnxruntime-cpu", "int8", 2)
    speeds.update(quiet)
    assert main([]) == 0
    assert load().choices[4] == Choice("openvino-cpu", "int8", 2)
    assert load().shortest_ms["openvino-cpu int8 2"] == 8.0
    speeds.update({way: (busy[way[0]] * ms[0],) for way, ms in quiet.items()})
    assert main([]) == 0
    assert load().choices[4] == Choice("openvino-cpu", "int8", 2), "the shortest turns of all count"


def test_when_it_is_not_needed(
    speeds: dict[tuple[str, str, int], tuple[float, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(self_measurement.SWITCH, "1")
    assert not needed()
    monkeypatch.setenv(self_measurement.SWITCH, "")
    assert needed()
    monkeypatch.setattr(self_measurement, "cards", lambda: "a card")
    assert not needed()
    monkeypatch.setattr(self_measurement, "cards", lambda: "none")
    store(Profile("2026-01-01", 30.0, {4: Choice("onnxruntime-cpu", "fp32", 1, 48)}))
    assert not needed(), "calibration.speed has measured more"
    assert not needed(again=True)


def test_nothing_is_kept_beside_another_or_without_a_result(
    speeds: dict[tuple[str, str, int], tuple[float, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = speed_profile.folder()
    folder.mkdir(parents=True)
    with filelock.FileLock(folder / "measuring.lock"):
        assert main([]) == 1

    def fails(known_ms: dict[Way, float]) -> dict[Way, float]:
        raise EngineError("nothing runs")

    monkeypatch.setattr(self_measurement, "measure", fails)
    assert main([]) == 1
    assert needed()


def sleeper(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """In place of the measuring process one that sleeps. Returns: those that were started."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(command: list[str], **how: Any) -> subprocess.Popen[bytes]:
        assert command[1:3] == ["-m", "engines.self_measurement"]
        started.append(real([sys.executable, "-c", "import time; time.sleep(600)"], **how))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    return started


def test_a_call_that_ends_takes_the_measuring_with_it(
    speeds: dict[tuple[str, str, int], tuple[float, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = sleeper(monkeypatch)
    with measuring_beside(settle_s=600.0):
        pass
    assert not started, "a short call is left alone"
    end = time.monotonic() + PATIENCE_S
    with measuring_beside(settle_s=0.0):
        while not started and time.monotonic() < end:
            time.sleep(0.01)
        assert started[0].poll() is None
    assert started[0].returncode is not None
    monkeypatch.setenv(self_measurement.SWITCH, "1")
    with measuring_beside(settle_s=0.0):
        time.sleep(0.1)
    assert len(started) == 1


@pytest.mark.skipif(os.name == "nt", reason="the child is ended in another way there")
def test_the_measuring_ends_with_who_started_it() -> None:
    program = (
        "import threading, time; from engines import self_measurement as s\n"
        "threading.Thread(target=s._end_with_parent, daemon=True).start(); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(PATIENCE_S) == 1


def test_a_real_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the process that a recording waits for."""
    pytest.importorskip("openvino")
    monkeypatch.setenv("CLOSEUP_CACHE", str(tmp_path))
    monkeypatch.delenv(self_measurement.SWITCH)
    monkeypatch.setattr(self_measurement, "cards", lambda: "none")
    said: list[str] = []
    measure_first(said.append)
    assert said == ["finding out what runs the network fastest on this machine (once)"]
    kept = tmp_path / "engines" / "speed"
    if not (kept / "profile.json").exists():
        pytest.skip("other programs kept the times from repeating")
    monkeypatch.setattr(speed_profile, "folder", lambda: kept)
    choice = load().choices[4]
    assert choice.runtime in ("openvino-cpu", "onnxruntime-cpu")
    assert choice.largest_px is None
    measure_first(said.append)
    assert len(said) == 1
