"""Data that training and evaluation cannot read: one line that names it, and the exit status."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

from engines.hime import evaluate, train
from tests.noise_people import make_people

READ = ["train --data", "train --val", "train --photographs", "evaluate --data"]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"))


def run(read: str, bad: Path, good: Path, weights: Path, out: Path) -> int:
    """Args: read: the program, and the option that gets what is bad."""
    program, option = read.split()
    if program == "evaluate":
        return evaluate.main([option, str(bad), "--weights", str(weights), "--size", "16"])
    argv = ["--data", str(good), "--val", str(good), "--out", str(out), option, str(bad)]
    argv += ["--steps", "1", "--batch", "1", "--sizes", "32:1", "--workers", "0", "--half", "1"]
    if option == "--photographs":
        argv += ["--photograph-share", "0.1"]
    return train.main([*argv, "--device", "cpu"])


def test_another_process_that_reads_says_it_in_one_line(
    people: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ["--data", str(tmp_path / "nobody"), "--val", str(people), "--out", str(tmp_path)]
    argv = ["--steps", "1", "--batch", "1", "--sizes", "32:1", "--workers", "1", "--half", "1"]
    assert train.main([*good, *argv, "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'nobody'} does not exist")


@pytest.mark.parametrize("read", READ)
def test_a_folder_that_is_missing(
    read: str, people: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "nobody"
    assert run(read, bad, people, weights, tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {bad} does not exist; give a folder of person/photo.jpg")


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("content", [b"", b"no picture", None], ids=["empty", "text", "cut off"])
def test_a_picture_that_cannot_be_read(
    content: bytes | None, read: str, people: Path, weights: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bad = tmp_path / "people"
    shutil.copytree(people, bad)
    path = next(iter(sorted(bad.glob("*/*.png"))))
    path.write_bytes(path.read_bytes()[:40] if content is None else content)
    assert run(read, bad, people, weights, tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {path} is no picture that can be read; remove it"
