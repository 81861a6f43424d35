"""The curve of quality against milliseconds: every network on the same people, in turns."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from engines.hime import size_curve
from engines.hime.model import Config, Hime
from engines.hime.network_sizes import sized_config
from engines.runtime import ON_CPU
from tests.fakes import BicubicRuntime
from tests.noise_people import make_people


class Turns(BicubicRuntime):
    """Notes who was asked, in order."""

    asked: ClassVar[list[int]] = []

    def __init__(self, scale: int, number: int) -> None:
        super().__init__(scale)
        self.number = number

    def enhance(self, crop: object, features: object) -> object:  # type: ignore[override]
        self.asked.append(self.number)
        return super().enhance(crop, features)  # type: ignore[arg-type]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    return make_people(folder)


def checkpoint(path: Path, config: Config) -> str:
    torch.manual_seed(0)
    network = Hime(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"ema": network.state_dict(), "config": asdict(config)}, path)
    return str(path)


def test_every_network_gets_its_row(
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exported: list[Path] = []

    def export(network: Hime, folder: Path, name: str) -> tuple[Path, Path]:
        path = folder / f"{name}_{len(exported)}"
        exported.append(path)
        return path, path

    def opens(scale: int, precision: None, *, threads: int, files: tuple[Path, Path]) -> Turns:
        assert threads == 1
        return Turns(scale, exported.index(files[1]))

    Turns.asked.clear()
    monkeypatch.setattr(size_curve, "export", export)
    monkeypatch.setattr(size_curve, "runtime_class", lambda name: opens)
    files = [
        checkpoint(tmp_path / name / "checkpoint.pt", sized_config(Config(), name))
        for name in ("full", "tiny")
    ]
    out = tmp_path / "curve.md"
    argv = ["--weights", *files, "--val", str(people), "--threads", "1", "--turns", "3"]
    argv += ["--runtimes", *ON_CPU]
    assert size_curve.main([*argv, "--markdown", str(out)]) == 0
    assert Turns.asked == [0, 1] * 2 * 3 * 4, "in turns, after one for warming up, for every side"
    head, _, *rows = out.read_text(encoding="utf-8").splitlines()
    assert head.count("|") == 15
    assert all(f"{runtime} ms, 80 px" in head for runtime in ON_CPU)
    assert [row.split(" | ")[0] for row in rows] == [f"| {file}" for file in files]
    full, tiny = (float(row.split(" | ")[2]) for row in rows)
    assert full == pytest.approx(6.38, abs=0.01)
    assert tiny == pytest.approx(0.61, abs=0.01)
    assert rows[0] in capsys.readouterr().out


def test_what_cannot_be_compared_is_one_line(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two = [checkpoint(tmp_path / f"x{s}.pt", Config(s, rec_blocks=1)) for s in (4, 8)]
    argv = ["--val", str(people), "--weights"]
    for given, words in (
        (two, "networks of one scale are compared, not of [4, 8]"),
        ([str(tmp_path / "none.pt")], "none.pt"),
        ([two[0], "--turns", "0"], "--turns and --threads must be 1 or more"),
    ):
        assert size_curve.main([*argv, *given]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
