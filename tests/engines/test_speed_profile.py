"""The speed profile: kept, found again, void when something has changed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction

import pytest

import engines.runtime
from engines import machine, speed_profile
from engines.contract import RESEARCH, WEIGHTS
from engines.runtime import (
    OpenedRuntime,
    ProfileState,
    measured_largest,
    open_runtime,
    scales_in_int8,
)
from engines.speed_profile import Choice, Profile, ProfileError, load, store
from engines.weights.manifest import network_name, read_manifest, weights_used
from stream.cli import doctor
from stream.graph import Opener, Stages
from stream.quality_ladder import LADDER
from stream.shared_runtime import SharedRuntime
from stream.stages.tracking.tracker import Tracker
from stream.telemetry.report import passed_over_lines, profile_line
from tests.fakes import OneFace

ONE_THREAD = Choice("onnxruntime-cpu", "fp32", 1, 48)
MEASURED = Profile("2026-11-21", 30.0, {4: ONE_THREAD})


def auto(scale: int = 4) -> OpenedRuntime:
    opened = open_runtime("auto", scale)
    opened.runtime.__exit__(None, None, None)
    return opened


def test_what_was_measured_comes_first() -> None:
    store(MEASURED)
    assert load() == MEASURED
    opened = auto()
    assert opened.name == opened.runtime.name == "onnxruntime-cpu"
    assert opened.profile == ProfileState(ONE_THREAD)
    assert not opened.passed_over
    assert profile_line(opened.profile) == (
        "speed profile: onnxruntime-cpu fp32, 1 thread, crops up to 48 px"
    )


def test_threads_and_precision_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str | None, int | None]] = []
    real = engines.runtime.runtime_class("onnxruntime-cpu")

    def spy(
        scale: int, precision: str | None = None, *, threads: int | None = None
    ) -> engines.runtime.Runtime:
        given.append((precision, threads))
        return real(scale, precision, threads=threads)

    monkeypatch.setattr(engines.runtime, "runtime_class", lambda name: spy)
    store(MEASURED)
    auto()
    assert given == [("fp32", 1)]
    # somebody who asks for a precision gets it, whatever is faster
    opened = open_runtime("auto", 4, "fp32")
    with opened.runtime:
        assert opened.profile is None
    given.clear()
    for name in ("auto", "onnxruntime-cpu"):
        with open_runtime(name, 4, threads=2).runtime:
            pass
    assert given == [("fp32", 2), (None, 2)], "nor is a number of threads that is asked for"


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("onnxruntime", r"of 2026-11-21, .*: onnxruntime was .* and is 0\.9; .*calibration\.speed"),
        ("cores", r"cores was \d+ and is 0\.9"),
        ("processor", r"processor was .* and is 0\.9"),
        ("card", r"card was .* and is 0\.9"),
        ("openvino", r"openvino was .* and is 0\.9"),
    ],
)
def test_another_machine_or_version_makes_it_void(
    part: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(MEASURED)
    now = machine.describe()
    monkeypatch.setattr(speed_profile, "describe", lambda: now | {part: "0.9"})
    with pytest.raises(ProfileError, match=line):
        load()
    opened = auto()
    assert opened.name == "openvino-cpu" or opened.passed_over
    assert opened.profile is not None
    assert opened.profile.choice is None
    assert opened.profile.reason.startswith("of 2026-11-21, not for this machine")


def test_doctor_and_runs_say_which_profile_is_in_use_or_why_none_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "RUNTIMES", ())
    (finding,) = (one for one in doctor._runtimes() if one.what == "speed profile")
    assert (finding.ok, finding.text[:4]) == (False, "none")
    store(MEASURED)
    in_use = "onnxruntime-cpu fp32, 1 thread, crops up to 48 px"
    (finding,) = (one for one in doctor._runtimes() if one.what == "speed profile")
    assert (finding.ok, finding.text) == (True, in_use)
    opener = Opener("auto")
    with opener(4).runtime:
        assert opener.opened is not None
        assert profile_line(opener.opened.profile) == f"speed profile: {in_use}"
    with SharedRuntime() as shared_runtime:
        lent = shared_runtime.lend()
        with lent(4).runtime:
            assert lent.opened is not None
            assert lent.opened.profile == opener.opened.profile
    now = machine.describe()
    monkeypatch.setattr(speed_profile, "describe", lambda: now | {"card": "another"})
    (finding,) = (one for one in doctor._runtimes() if one.what == "speed profile")
    assert not finding.ok
    assert finding.text.startswith("of 2026-11-21, not for this machine as it is now: card was ")
    opened = opener(4)
    with opened.runtime:
        line = profile_line(opened.profile)
        assert line.startswith("speed profile passed over: of 2026-11-21, not for")
        assert line in passed_over_lines(opened)
    opened = Opener("onnxruntime-cpu")(4)
    with opened.runtime:
        assert profile_line(opened.profile) == ""


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["networks", "quantised"])
def test_new_weights_make_it_void(monkeypatch: pytest.MonkeyPatch, weights: str, kind: str) -> None:
    """Of either set, in float32 and in INT8, and also where there were none."""
    store(MEASURED)
    manifest, network = read_manifest(), network_name(8, weights=weights)
    file = f"{network}.enhance.onnx" if kind == "networks" else f"{network}.int8.enhance.onnx"
    manifest[kind].setdefault(network, {"files": {}})["files"][file] = "00"
    monkeypatch.setattr(speed_profile, "read_manifest", lambda: manifest)
    with pytest.raises(ProfileError, match=rf"{re.escape(file)} was \w+ and is 00[; ]"):
        load()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "key": 3}', '{"schema": 0}'])
def test_a_damaged_profile_is_one_line(text: str) -> None:
    path = store(MEASURED)
    path.write_text(text)
    with pytest.raises(ProfileError, match=r"calibration\.speed more thoroughly$"):
        load()
    profile = auto().profile
    assert profile is not None
    assert profile.choice is None
    assert profile.reason


def test_a_choice_that_is_malformed_is_one_line() -> None:
    path = store(MEASURED)
    card = json.loads(path.read_text())
    card["choices"]["4"] = {"runtime": "onnxruntime-cpu"}
    path.write_text(json.dumps(card))
    with pytest.raises(ProfileError, match="is damaged"):
        load()


def test_a_runtime_that_is_gone_is_passed_over() -> None:
    store(Profile("2026-11-21", 30.0, {4: Choice("abacus", "fp32", 1, 0)}))
    opened = auto()
    assert profile_line(opened.profile) == "speed profile: abacus fp32, 1 thread, no crop"
    assert opened.passed_over[0].name == "abacus"
    assert opened.passed_over[0].reason.startswith('no runtime is named "abacus"')
    assert opened.name in ("openvino-cpu", "onnxruntime-cpu")


def test_a_scale_that_was_not_measured_goes_the_usual_way() -> None:
    store(MEASURED)
    assert auto(8).profile is None


def test_an_output_can_name_the_weights_that_really_run() -> None:
    assert scales_in_int8("auto") == ()
    store(Profile("2026-11-21", 30.0, {4: Choice("onnxruntime-cpu", "int8", 1, 48), 8: ONE_THREAD}))
    assert scales_in_int8("onnxruntime-cpu") == ()
    assert scales_in_int8("auto") == (4,)
    assert set(weights_used(scales_in_int8("auto"), weights=RESEARCH)) == {
        "hime_x4.int8.encode.onnx",
        "hime_x4.int8.enhance.onnx",
        "hime_x8.encode.onnx",
        "hime_x8.enhance.onnx",
    }


def test_how_large_crops_may_be_is_known_of_what_was_measured_alone() -> None:
    assert measured_largest("onnxruntime-cpu") is None
    store(MEASURED)
    assert measured_largest("onnxruntime-cpu") == 48
    assert measured_largest("openvino-cpu") is None
    assert measured_largest("onnxruntime-cpu", 8) is None


def test_a_call_begins_with_the_crops_that_hold_its_rate() -> None:
    def begins_with(runtime: str) -> int:
        stages = Stages.build(
            (64, 48), Fraction(30), runtime=runtime, framing="auto", eager=True,
            tracker=Tracker(OneFace()),
        )  # fmt: skip
        try:
            return LADDER[stages.first_quality()[0]].largest_px
        finally:
            stages.close()

    assert begins_with("onnxruntime-cpu") == 48, "nobody measured"
    store(replace(MEASURED, choices={4: replace(MEASURED.choices[4], largest_px=64)}))
    assert begins_with("onnxruntime-cpu") == 64
    store(Profile("2026-11-21", 30.0, {4: Choice("abacus", "fp32", 1, 160)}))
    assert begins_with("onnxruntime-cpu") == 48, "another runtime was measured"
