"""The speed profile: kept, found again, void when something has changed."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest

import engines.runtime
from engines import machine, speed_profile
from engines.runtime import measured_largest, open_runtime, scales_in_int8
from engines.speed_profile import Choice, Profile, ProfileError, load, store
from engines.weights.manifest import read_manifest, weights_used
from stream.cli import doctor
from stream.graph import Opener, Stages
from stream.quality_ladder import LADDER
from stream.shared_runtime import SharedRuntime
from stream.stages.tracking.tracker import Tracker
from tests.fakes import OneFace

ONE_THREAD = Choice("onnxruntime-cpu", "fp32", 1, 48)
MEASURED = Profile("2026-11-21", 30.0, {4: ONE_THREAD})


def auto(scale: int = 4) -> tuple[str, list[str]]:
    lines: list[str] = []
    with open_runtime("auto", scale, report=lines.append) as runtime:
        return runtime.name, lines


def test_what_was_measured_comes_first() -> None:
    store(MEASURED)
    assert load() == MEASURED
    name, lines = auto()
    assert name == "onnxruntime-cpu"
    assert lines == [
        "speed profile: onnxruntime-cpu fp32, 1 thread, crops up to 48 px",
        "onnxruntime-cpu runs x4",
    ]


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
    lines: list[str] = []
    with open_runtime("auto", 4, "fp32", report=lines.append):
        assert not any("profile" in line for line in lines)


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
    name, lines = auto()
    assert name == "openvino-cpu" or len(lines) > 2
    assert lines[0].startswith("speed profile passed over: of 2026-11-21, not for this machine")


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
    with opener(4):
        assert opener.profile == f"speed profile: {in_use}"
    with SharedRuntime() as shared_runtime:
        lent = shared_runtime.lend()
        with lent(4):
            assert lent.profile == opener.profile
    now = machine.describe()
    monkeypatch.setattr(speed_profile, "describe", lambda: now | {"card": "another"})
    (finding,) = (one for one in doctor._runtimes() if one.what == "speed profile")
    assert not finding.ok
    assert finding.text.startswith("of 2026-11-21, not for this machine as it is now: card was ")
    with opener(4):
        assert opener.profile.startswith("speed profile passed over: of 2026-11-21, not for")
        assert opener.profile in opener.passed_over
    named = Opener("onnxruntime-cpu")
    with named(4):
        assert named.profile == ""


def test_new_weights_make_it_void(monkeypatch: pytest.MonkeyPatch) -> None:
    store(MEASURED)
    manifest = read_manifest()
    manifest["networks"]["hime_x4"]["files"]["hime_x4.enhance.onnx"] = "00"
    monkeypatch.setattr(speed_profile, "read_manifest", lambda: manifest)
    with pytest.raises(ProfileError, match=r"hime_x4\.enhance\.onnx was \w{16} and is 00;"):
        load()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "key": 3}', '{"schema": 0}'])
def test_a_damaged_profile_is_one_line(text: str) -> None:
    path = store(MEASURED)
    path.write_text(text)
    with pytest.raises(ProfileError, match=r"calibration\.speed makes it again$"):
        load()
    assert auto()[1][-1].endswith("runs x4")


def test_a_choice_that_is_malformed_is_one_line() -> None:
    path = store(MEASURED)
    card = json.loads(path.read_text())
    card["choices"]["4"] = {"runtime": "onnxruntime-cpu"}
    path.write_text(json.dumps(card))
    with pytest.raises(ProfileError, match="is damaged"):
        load()


def test_a_runtime_that_is_gone_is_passed_over() -> None:
    store(Profile("2026-11-21", 30.0, {4: Choice("abacus", "fp32", 1, 0)}))
    name, lines = auto()
    assert lines[0] == "speed profile: abacus fp32, 1 thread, no crop"
    assert lines[1].startswith('abacus passed over: no runtime is named "abacus"')
    assert name in ("openvino-cpu", "onnxruntime-cpu")


def test_a_scale_that_was_not_measured_goes_the_usual_way() -> None:
    store(MEASURED)
    assert not any(line.startswith("speed profile") for line in auto(8)[1])


def test_an_output_can_name_the_weights_that_really_run() -> None:
    assert scales_in_int8("auto") == ()
    store(Profile("2026-11-21", 30.0, {4: Choice("onnxruntime-cpu", "int8", 1, 48), 8: ONE_THREAD}))
    assert scales_in_int8("onnxruntime-cpu") == ()
    assert scales_in_int8("auto") == (4,)
    assert set(weights_used(scales_in_int8("auto"))) == {
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
            return LADDER[stages.first_level].largest_px
        finally:
            stages.close()

    assert begins_with("onnxruntime-cpu") == 48, "nobody measured"
    store(replace(MEASURED, choices={4: replace(MEASURED.choices[4], largest_px=64)}))
    assert begins_with("onnxruntime-cpu") == 64
    store(Profile("2026-11-21", 30.0, {4: Choice("abacus", "fp32", 1, 160)}))
    assert begins_with("onnxruntime-cpu") == 48, "another runtime was measured"
