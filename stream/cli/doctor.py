"""Doctor: what this machine has, and what to install for more."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import av

from engines.errors import one_line
from engines.files import cache_folder
from engines.machine import cores
from engines.runtime import (
    BY_NAME_ONLY,
    RUNTIMES,
    EngineError,
    NoRuntimeError,
    PassedOver,
    ProfileState,
    open_runtime,
    weights_in_words,
)
from stream.media.sinks import virtual_camera
from stream.media.sinks.window import display_missing
from stream.media.sources.devices import FORMATS, cameras_found
from stream.stages.tracking import detector_weights
from stream.version import __version__

PACKAGES = ("av", "numpy", "openvino", "onnxruntime")
EXTRAS = (
    *("aiortc", "torch", "keyring", "dlib-bin", "ray", "c2pa-python", "pyvirtualcam"),
    *("tensorrt", "tensorrt-rtx", "mediapipe"),
)
SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
SMI_S = 20.0
SYS = Path("/sys/class/video4linux")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for."""

    what: str
    ok: bool
    text: str
    """What was found; else why not, and what to do."""
    needed: bool = False
    """Whether nothing works without it."""


def examine() -> list[Finding]:
    """Look at everything. Opens runtimes, which takes seconds; no camera is switched on."""
    findings = [_versions(), _extras(), _models(), _weights(), *_runtimes(), _gpu()]
    findings += [_camera(), _virtual()]
    reason = display_missing()
    text = (
        "the preview window can be opened"
        if reason is None
        else f"none, {reason}; calls work with --headless"
    )
    return [*findings, Finding("display", reason is None, text)]


def format_findings(findings: list[Finding]) -> str:
    """A table, without a line break at its end."""
    lines = []
    for one in findings:
        mark = "ok" if one.ok else "MISSING" if one.needed else "-"
        lines.append(f"{one.what:<18}{mark:<9}{one.text}")
    return "\n".join(lines)


def healthy(findings: list[Finding]) -> bool:
    """Whether recordings can be enhanced here."""
    return all(one.ok for one in findings if one.needed)


def _versions() -> Finding:
    found = [f"closeup {__version__}", f"Python {platform.python_version()}"]
    found += [f"{name} {_version(name)}" for name in PACKAGES]
    found.append(f"{platform.system()} {platform.machine()}, {cores()} cores")
    return Finding("versions", True, ", ".join(found))


def _extras() -> Finding:
    installed = [f"{name} {_version(name)}" for name in EXTRAS if _version(name) != "missing"]
    return Finding("extras", bool(installed), ", ".join(installed) or "none installed")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _models() -> Finding:
    if detector_weights.cached():
        return Finding(
            "detection models", True, f"in {cache_folder(detector_weights.MODELS)}", needed=True
        )
    text = "not fetched yet; the first run does it, and needs the package registry for that"
    return Finding("detection models", True, text, needed=True)


def _weights() -> Finding:
    """Which weights there are, for both scales, and whether those that are taken are whole."""
    try:
        return Finding("weights", True, weights_in_words(), needed=True)
    except EngineError as error:
        return Finding("weights", False, one_line(error), needed=True)


def _runtimes() -> list[Finding]:
    """Each runtime, and that "auto" finds one at all."""
    chosen, failure = "", ""
    passed_over: tuple[PassedOver, ...] = ()
    profile: ProfileState | None = None
    try:
        opened = open_runtime("auto", 4)
        chosen, passed_over, profile = opened.name, opened.passed_over, opened.profile
        opened.runtime.__exit__(None, None, None)
    except NoRuntimeError as error:
        passed_over, profile = error.passed_over, error.profile
        failure = one_line(error)
    except EngineError as error:
        failure = one_line(error)
    reasons = {one.name: one.reason for one in passed_over}
    text = f'"auto" takes {chosen}' if chosen else failure
    findings = [Finding("runtime", bool(chosen), text, needed=True)]
    for name, _ in RUNTIMES:
        if name == chosen:
            findings.append(Finding(f"  {name}", True, "works"))
        elif name in reasons:
            findings.append(Finding(f"  {name}", False, one_line(reasons[name])))
        else:
            findings.append(_try_runtime(name))
    return [*findings, *_profile(profile)]


def _profile(state: ProfileState | None) -> list[Finding]:
    """Which speed profile "auto" uses, or why none; nothing where it did not ask for it."""
    if state is None:
        return []
    in_use = state.choice is not None
    return [Finding("speed profile", in_use, one_line(state.choice if in_use else state.reason))]


def _try_runtime(name: str) -> Finding:
    """A runtime that "auto" did not come to."""
    try:
        with open_runtime(name, 4).runtime:
            text = f"works, with --runtime {name}" if name in BY_NAME_ONLY else "works"
            return Finding(f"  {name}", True, text)
    except EngineError as error:
        return Finding(f"  {name}", False, one_line(error))


def _gpu(run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> Finding:
    none = Finding("GPU", False, "no NVIDIA card or no driver; the CPU does the work")
    if shutil.which(SMI[0]) is None:
        return none
    try:
        done = run(SMI, capture_output=True, text=True, timeout=SMI_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return none
    cards = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0 or not cards:
        return none
    return Finding("GPU", True, "; ".join(cards))


def _camera() -> Finding:
    if sys.platform == "linux":
        found = cameras_found()
        closed = [path for path in found if not os.access(path, os.R_OK | os.W_OK)]
        if closed and len(closed) == len(found):
            way_out = "sudo usermod -aG video $USER, and log in again"
            return Finding("camera", False, f"{', '.join(closed)} may not be used: {way_out}")
        named = [f"{path} ({name})" if (name := _label(path)) else path for path in found]
    else:
        try:
            named = [one.name for one in av.enumerate_input_devices(FORMATS[sys.platform])]
        except (KeyError, ValueError, OSError):
            named = []
    if not named:
        return Finding("camera", False, "none; plug one in, recordings work without")
    return Finding("camera", True, ", ".join(named))


def _label(path: str) -> str:
    try:
        return (SYS / Path(path).name / "name").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _virtual() -> Finding:
    if reason := virtual_camera.missing_reason():
        return Finding("virtual camera", False, reason)
    if sys.platform == "linux" and not Path("/sys/module/v4l2loopback").exists():
        return Finding("virtual camera", False, f"none; {virtual_camera.LOOPBACK}")
    return Finding("virtual camera", True, "pyvirtualcam is installed; --output virtualcam")
