"""Doctor: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import run_pipeline
from engines.install import install_command
from engines.runtime import (
    DEFAULT_WEIGHTS,
    RUNTIMES,
    NoRuntimeError,
    OpenedRuntime,
    PassedOver,
    ProfileState,
    UnavailableError,
    WeightsError,
)
from engines.speed_profile import Choice
from stream.cli import doctor
from stream.cli.doctor import Finding, examine, format_findings, healthy
from tests.fakes import BicubicRuntime


def opener(works: str, profile: ProfileState | None = None) -> Callable[[str, int], OpenedRuntime]:
    """A machine on which one runtime works, and none if it is ""."""

    def open_runtime(name: str, scale: int) -> OpenedRuntime:
        if name != "auto":
            raise UnavailableError(f"install {name} by name")
        known = [name for name, _ in RUNTIMES]
        tried = known[: known.index(works)] if works else known
        passed_over = tuple(PassedOver(one, f"install\n{one}") for one in tried)
        if not works:
            raise NoRuntimeError(passed_over, profile)
        return OpenedRuntime(works, BicubicRuntime(scale), passed_over, profile)

    return open_runtime


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A Linux machine with nothing but the CPU."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "open_runtime", opener("openvino-cpu"))
    monkeypatch.setattr(doctor, "cameras_found", list)
    monkeypatch.setattr(doctor, "display_missing", lambda: "DISPLAY is not set")
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(doctor, "SYS", tmp_path)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    return monkeypatch


def find(what: str) -> Finding:
    return next(one for one in examine() if one.what.strip() == what)


def test_a_plain_machine_is_healthy_and_hears_what_to_install(
    machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_pipeline.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert '"auto" takes openvino-cpu' in said
    assert "install tensorrt" in said
    assert "install onnxruntime-cpu by name" in said
    assert install_command("virtualcam") in said
    assert "DISPLAY is not set" in said
    assert len(said.splitlines()) == len(examine()), "a line each"


def test_without_a_runtime_nothing_works(
    machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.setattr(doctor, "open_runtime", opener(""))
    assert run_pipeline.main(["doctor"]) == 2
    said = capsys.readouterr().out
    assert "MISSING  no runtime can run here" in said
    assert "install tensorrt-rtx" in said, "each reason, in its own line"


def test_cameras(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not find("camera").ok
    camera = tmp_path / "video3"
    (camera).mkdir()
    (camera / "name").write_text("Good Webcam\n")
    machine.setattr(doctor, "cameras_found", lambda: [str(camera), "/dev/video97"])
    machine.setattr("os.access", lambda path, mode: path == str(camera))
    assert find("camera") == Finding("camera", True, f"{camera} (Good Webcam), /dev/video97")
    machine.setattr("os.access", lambda path, mode: False)
    assert "usermod -aG video" in find("camera").text
    assert not find("camera").ok
    machine.setattr(sys, "platform", "darwin")
    found = [SimpleNamespace(name="FaceTime")]
    machine.setattr("av.enumerate_input_devices", lambda kind: found)
    assert find("camera") == Finding("camera", True, "FaceTime")


def test_a_virtual_camera_and_a_card(machine: pytest.MonkeyPatch) -> None:
    machine.setitem(sys.modules, "pyvirtualcam", SimpleNamespace())
    if not Path("/sys/module/v4l2loopback").exists():
        assert "modprobe v4l2loopback" in find("virtual camera").text
    machine.setattr("shutil.which", lambda name: name)

    def smi(status: int, text: str) -> Callable[..., subprocess.CompletedProcess[str]]:
        return lambda *_, **__: subprocess.CompletedProcess([], status, text, "")

    assert doctor._gpu(smi(0, "Card, 16000 MiB, 600.1\n")).text == "Card, 16000 MiB, 600.1"
    assert not doctor._gpu(smi(9, "failed")).ok
    assert not doctor._gpu(smi(0, "\n")).ok


def test_weights_are_named_or_missed_in_one_line(machine: pytest.MonkeyPatch) -> None:
    found = find("weights")
    assert found.ok
    assert f"{DEFAULT_WEIGHTS} (default)" in found.text

    def damaged() -> dict[str, str]:
        raise WeightsError("a.onnx is missing;\ninstall Closeup again")

    machine.setattr("engines.runtime.weights_used", damaged)
    found = find("weights")
    assert (found.ok, found.needed) == (False, True)
    assert found.text == "a.onnx is missing; install Closeup again"


def test_the_table() -> None:
    findings = [
        Finding("camera", False, "none"),
        Finding("runtime", True, "works", needed=True),
    ]
    assert healthy(findings)
    assert not healthy([Finding("runtime", False, "none", needed=True)])
    assert format_findings(findings) == (
        "camera            -        none\nruntime           ok       works"
    )


def test_the_speed_profile_is_told(machine: pytest.MonkeyPatch) -> None:
    assert find("runtime").ok
    assert not any(one.what == "speed profile" for one in examine()), "nobody asked for it"
    none = ProfileState(None, "none\nof this machine")
    machine.setattr(doctor, "open_runtime", opener("openvino-cpu", none))
    found = find("speed profile")
    assert (found.ok, found.text) == (False, "none of this machine")
    in_use = ProfileState(Choice("openvino-cpu", "bf16", 2, 96))
    machine.setattr(doctor, "open_runtime", opener("openvino-cpu", in_use))
    found = find("speed profile")
    assert found.ok
    assert found.text == "openvino-cpu bf16, 2 threads, crops up to 96 px"
    whats = [one.what for one in examine()]
    first = whats.index("runtime") + 1
    assert whats[first : first + len(RUNTIMES)] == [f"  {name}" for name, _ in RUNTIMES]
