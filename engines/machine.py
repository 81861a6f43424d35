"""Machine: what it is made of and which versions it runs, as far as speed depends on it."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("numpy", "onnxruntime", "openvino"),
    *("tensorrt", "tensorrt_rtx_cu13_libs", "cuda-bindings"),
)
"""What runs the network, or moves its pictures."""
SMI = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
SMI_S = 20.0


CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux keeps the limits of a container, as the container sees them."""


def cores() -> int:
    """How many cores this process may use: those it may run on, and no more than a container's
    share of processor time pays for (`docker run --cpus 2`), at least one.

    Source: the kernel's documentation, cgroup-v2 `cpu.max` and cgroup-v1 `cpu.cfs_quota_us`.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _paid_cores())))


def _paid_cores() -> float:
    """Cores' worth of time in a period; infinite where nothing limits it."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((CGROUPS / name).read_text() for name in names).split()
            quota, period = (float(word) for word in words)
        except (OSError, ValueError):  # not there, or "max"
            continue
        if quota > 0 and period > 0:  # -1: no limit
            return quota / period
    return math.inf


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cards() -> str:
    """NVIDIA cards with memory and driver, as the driver tells; "none"."""
    if shutil.which(SMI[0]) is None:
        return "none"
    try:
        done = subprocess.run(SMI, capture_output=True, text=True, timeout=SMI_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    found = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return "; ".join(found) if done.returncode == 0 and found else "none"


def describe() -> dict[str, str]:
    """Everything that a measured speed depends on, except the weights.

    Returns: name of the part: what it is. Virtual machines share names of processors, so the set of
             instructions is told, too, by a checksum.
    """
    flags = " ".join(sorted(_cpuinfo("flags").split()))
    model = "/".join(_cpuinfo(name) for name in ("cpu family", "model", "stepping"))
    parts = {
        "processor": f"{processor()} {model}".strip(" /"),
        "instructions": hashlib.sha256(flags.encode()).hexdigest()[:12] if flags else "unknown",
        "cores": str(cores()),
        "card": cards(),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": ".".join(platform.python_version_tuple()[:2]),
    }
    return parts | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _cpuinfo(name: str) -> str:
    """A field of the first processor in /proc/cpuinfo; "" where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    fields = (line.split(":", 1) for line in lines if ":" in line)
    return next((value.strip() for key, value in fields if key.strip() == name), "")
