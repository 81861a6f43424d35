"""The face detection models: fetched once, checked, kept in a cache folder.

Current mediapipe wheels carry no models and the project ships no third-party model file. The last
mediapipe release that does carry them is on the same package registry as every other dependency,
so pip fetches that one wheel (36 MB), two small files are taken out of it, and the wheel goes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.errors import one_line
from engines.files import cache_folder, write_whole
from stream.errors import ModelError

WHEEL = "mediapipe==0.10.21"
# One fixed platform for everybody: the model files are the same bytes in every wheel.
WHEEL_TAGS = (
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    *("--platform", "manylinux_2_28_x86_64"),
)
FETCH_TIMEOUT_S = 600.0
MODELS = "models"
"""Their part of the cache folder."""


@dataclass(frozen=True)
class ModelFile:
    """One model file: its name in the cache, its place in the wheel, its checksum."""

    name: str
    member: str
    sha256: str

    def matches(self, data: bytes) -> bool:
        """Whether `data` is exactly this file."""
        return hashlib.sha256(data).hexdigest() == self.sha256


SHORT_RANGE = ModelFile(
    name="face_detection_short_range.tflite",
    member="mediapipe/modules/face_detection/face_detection_short_range.tflite",
    sha256="bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)
FULL_RANGE = ModelFile(
    name="face_detection_full_range_sparse.tflite",
    member="mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    sha256="2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)

Download = Callable[[Path], Path]
"""Puts the wheel into the given folder and returns its path; ModelError when it cannot."""


def load(
    *files: ModelFile, folder: Path | None = None, download: Download | None = None
) -> list[bytes]:
    """The contents of model files, fetched first where the cache has none or a damaged one.

    Args:    files: which; SHORT_RANGE and FULL_RANGE where none is named.
             folder: the cache; `cache_folder(MODELS)` by default.
             download: how the wheel is fetched; pip by default.
    Returns: the bytes of each file, with the right checksum, in the order asked for.
    Raises:  ModelError: a file cannot be fetched, is not the one it should be, or cannot be kept.
    """
    wanted = files or (SHORT_RANGE, FULL_RANGE)
    where = cache_folder(MODELS) if folder is None else folder
    found = {file: _read(where, file) for file in wanted}
    missing = [file for file, data in found.items() if data is None]
    if missing:
        found.update(_fetch(missing, where, download or _pip_download))
    return [data for file in wanted if (data := found[file]) is not None]


def cached(folder: Path | None = None) -> bool:
    """Whether `load` would find all models without fetching anything."""
    where = cache_folder(MODELS) if folder is None else folder
    return all(_read(where, file) is not None for file in (SHORT_RANGE, FULL_RANGE))


def _read(folder: Path, file: ModelFile) -> bytes | None:
    """The cached file; None where it is missing, unreadable or not the right one."""
    try:
        data = (folder / file.name).read_bytes()
    except OSError:
        return None
    return data if file.matches(data) else None


def _fetch(files: list[ModelFile], folder: Path, download: Download) -> dict[ModelFile, bytes]:
    names = " and ".join(file.name for file in files)
    by_hand = f"; to do it by hand, put {names} of the {WHEEL} wheel into {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Before the download, so that a cache that cannot be written costs no download.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ModelError(
            f"face detection models: cannot write to {folder} ({error.strerror}); "
            "make it writable or name another folder in CLOSEUP_CACHE"
        ) from error
    print(f"fetching face detection models (once) into {folder} …", file=sys.stderr, flush=True)
    fetched: dict[ModelFile, bytes] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="closeup-models-") as temporary:
            wheel = download(Path(temporary))
            with zipfile.ZipFile(wheel) as archive:
                for file in files:
                    fetched[file] = archive.read(file.member)
        for file, data in fetched.items():
            if not file.matches(data):
                raise ModelError(f"{file.name} has the wrong checksum")
            # Another process sees the whole file or none of it.
            write_whole(folder / file.name, data)
    except (OSError, KeyError, zipfile.BadZipFile, ModelError) as error:
        raise ModelError(f"face detection models: {one_line(error)}{by_hand}") from error
    return fetched


def _pip_download(folder: Path) -> Path:
    """Fetch the wheel with pip, from wherever pip is set up to look."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", *WHEEL_TAGS]
    command += ["--dest", str(folder), WHEEL]
    try:
        done = subprocess.run(
            command,
            env=dict(os.environ),  # and not what the detector told the C library about proxies
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"pip did not fetch {WHEEL} within {FETCH_TIMEOUT_S:.0f} s") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise ModelError(f"pip could not fetch {WHEEL} ({_reason(done.stderr)})")
    return wheels[0]


def _reason(output: str) -> str:
    """The one line of pip's output that says why: the last error, or else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it gave no reason"])[-1]
