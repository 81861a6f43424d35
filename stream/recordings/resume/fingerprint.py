"""Fingerprint: SHA-256 of what a result depends on: the recording, the settings, the model."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from engines.machine import cores
from engines.runtime import measured_choice
from engines.weights.manifest import descriptor_file
from stream.options import Options
from stream.stages.tracking.detector_weights import FULL_RANGE, SHORT_RANGE

BLOCK_BYTES = 1 << 20
PACKAGES = (
    *(
        "av",
        "numpy",
        "opencv-python",
        "opencv-contrib-python",
        "mediapipe",
        "onnxruntime",
        "openvino",
    ),
    *("tensorrt", "tensorrt_rtx", "torch", "dlib-bin", "face_recognition_models"),
)
SOURCES = ("stream", "engines")
NOT_SETTINGS = ("input", "output", "overwrite", "report", "resume", "progress", "measure")
"""Options that say where things are and what is said, not what the result looks like."""
ADDED = ("network", "speed")
"""Settings that outputs of earlier versions did not know. Left out where they are what they always
were, so that no archive is made anew because of a new option."""


@dataclass(frozen=True)
class Stamp:
    """A file as it was at one moment."""

    size: int
    """Bytes."""
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Read the whole file. Raises: OSError."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, sha256_of(path))

    def fits(self, path: Path) -> bool:
        """Whether the file is still the same; it is read only where its time has changed."""
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            return status.st_mtime_ns == self.mtime_ns or sha256_of(path) == self.sha256
        except OSError:
            return False


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file of any size. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def settings_of(options: Options) -> str:
    """SHA-256 of every option that changes what the result looks like."""
    settings = {k: v for k, v in asdict(options).items() if k not in NOT_SETTINGS}
    before = {one.name: one.default for one in fields(options) if one.name in ADDED}
    settings = {k: v for k, v in settings.items() if k not in before or v != before[k]}
    return sha256_of_json(settings)


def model_of(weights: dict[str, str]) -> str:
    """SHA-256 over the networks, and over what people are told apart by.

    Args: weights: name → SHA-256 of each file of the enhancing network
    (`engines.weights.manifest`).
    """
    detection = {one.name: one.sha256 for one in (SHORT_RANGE, FULL_RANGE)}
    descriptor = descriptor_file()
    return sha256_of_json({**weights, **detection, descriptor.name: sha256_of(descriptor)})


def work_key(source: Stamp, settings: str, model: str) -> str:
    """SHA-256 of all that the bytes of a result depend on: work that was interrupted goes on only
    where nothing of it has changed. Beside recording, settings and model these are our own code,
    the packages, and the number of threads, by which some networks round differently.

    Args: source: the recording's. settings: SHA-256 of the options. model: of the network's files.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(cores())
    machine = [platform.machine(), threads, measured_choice()]
    parts = [source.sha256, settings, model, _code(), _packages(), *machine]
    return sha256_of_json(parts)


@cache
def _code() -> str:
    """SHA-256 over our own source files."""
    return sha256_of_json([(name, sha256_of(path)) for name, path in sources().items()])


def sources() -> dict[str, Path]:
    """Our own source files that a result depends on, by their place under the packages.

    The packages themselves say where they are, however deep this file lies in one of them.
    """
    found = {}
    for package in SOURCES:
        root = Path(str(files(package)))
        for path in root.rglob("*.py"):
            found[f"{package}/{path.relative_to(root).as_posix()}"] = path
    return dict(sorted(found.items()))


@cache
def _packages() -> str:
    """Versions of the packages that decode, look, compute and encode."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def sha256_of_json(value: Any) -> str:
    """SHA-256 of a value, the same for equal values."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
