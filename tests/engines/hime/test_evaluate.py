"""Measuring: tables, sheets, exemplars that should do no harm, and the measures themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.hime import evaluate, measures
from engines.hime.cases import make_cases
from engines.hime.data import load_people
from engines.hime.identity import Recogniser, missing
from engines.hime.model import Hime
from engines.install import install_command
from tests.noise_people import make_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"))


def test_evaluation_prints_the_rows_and_writes_them(
    people: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--data", str(people), "--size", "16", "--weights", str(weights)]
    written = {}
    for degradation in ("clean", "call"):
        path = tmp_path / f"{degradation}.json"
        assert evaluate.main([*argv, "--degradation", degradation, "--json", str(path)]) == 0
        written[degradation] = json.loads(path.read_text())
    out = capsys.readouterr().out
    assert "12 headshots, 16 px x4, clean" in out
    data = written["clean"]
    assert (data["scale"], data["size"]) == (4, 16)
    assert [(r["method"], r["exemplars"]) for r in data["rows"]] == [
        ("bicubic", 0),
        ("hime", 0),
        ("hime", 1),
        ("hime", 3),
        ("hime-wrong", 3),
    ]
    assert data["rows"][0]["psnr"] > written["call"]["rows"][0]["psnr"]


def test_ssim_and_psnr_know_their_limits() -> None:
    a = torch.rand(3, 32, 32)
    assert measures.ssim(a, a) == pytest.approx(1.0)
    assert measures.ssim(a, torch.rand(3, 32, 32)) < 0.2
    assert float(measures.psnr(a[None], a[None])) > 90
    flat = torch.full((1, 3, 8, 8), 100 / 255)
    assert float(measures.psnr(flat, flat + 25 / 255)) == pytest.approx(20.17, abs=0.01)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--size", "15"], "--size must be an even number"),
        (["--size", "64"], "no person/photo.jpg of at least 256 px"),
        (["--scale", "8"], "enlarges 4 times, not 8"),
        (["--counts", "0,x"], "--counts must be numbers from 0 to 16"),
        (["--counts", "0,5"], "needs at least 2 people with 6 photos"),
        (["--size", "16", "--limit", "1", "--sheet", "faces.txt"], "written as .png or .jpg"),
    ],
)
def test_evaluation_refuses_with_one_line(
    argv: list[str], words: str, people: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standard = ["--data", str(people), "--weights", str(weights)]
    assert evaluate.main([*standard, *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


def test_table_1_leaves_out_what_the_photos_are_too_small_for(
    people: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {name: tmp_path / f"out.{name}" for name in ("json", "md", "png")}
    argv = ["--data", str(people), "--weights", str(weights), "--table1", "--limit", "3"]
    argv += ["--json", str(paths["json"]), "--markdown", str(paths["md"])]
    assert evaluate.main([*argv, "--sheet", str(paths["png"]), "--counts", "0,2"]) == 0
    out = capsys.readouterr().out
    assert "64 px x4: left out: " in out
    assert "16 px x8: left out: w.pt enlarges 4 times, not 8" in out
    (table,) = json.loads(paths["json"].read_text())["tables"]
    assert (table["scale"], table["size"], table["headshots"]) == (4, 32, 3)
    rows = [(r["method"], r["exemplars"]) for r in table["rows"]]
    assert rows == [("bicubic", 0), ("hime", 0), ("hime", 2), ("hime-wrong", 3)]
    assert table["rows"][0]["parameters"] is None
    assert table["rows"][2]["parameters"] == sum(p.numel() for p in Hime().parameters())
    assert 0.4 < table["rows"][1]["gmacs"] < table["rows"][2]["gmacs"] < 1.9
    lines = paths["md"].read_text().splitlines()
    assert lines[0] == "### 3 headshots, 32 px x4, clean, 3 people, w.pt"
    assert lines[2].startswith("| method | exemplars | PSNR dB |")
    assert len([line for line in lines if line.startswith("| hime")]) == 3
    sheet = cv2.imread(str(paths["png"]))
    assert sheet is not None
    assert sheet.shape[1] == 5 * 128  # input, bicubic, without, with, truth
    assert sheet.shape[0] > 3 * 128


def test_close_ups_that_should_do_no_harm(
    people: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--data", str(people), "--weights", str(weights), "--size", "16", "--limit", "2"]
    assert evaluate.main([*argv, "--harm", "--counts", "0"]) == 0
    methods = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
    kinds = ("wrong", "blank", "blurred", "mirrored")
    assert methods == ["bicubic", "hime", *(f"hime-{kind}" for kind in kinds)]
    case = make_cases(load_people(people), 4, 16, "clean")[0]
    assert torch.equal(case.given("mirrored", 2).flip(-1), case.exemplars[:2])
    assert float(case.given("blank", 3).std()) == 0
    assert not torch.equal(case.given("wrong", 1), case.exemplars[:1])
    blurred = case.given("blurred", 3)
    assert blurred.shape == case.exemplars.shape
    detail = [float((x[..., 1:] - x[..., :-1]).abs().mean()) for x in (blurred, case.exemplars)]
    assert detail[0] < 0.8 * detail[1]
    assert case.given("blurred", 0).shape[0] == 0
    with pytest.raises(ValueError, match="4 close-ups wanted, 3 drawn"):
        case.given("own", 4)
    with pytest.raises(ValueError, match="no such kind of close-ups: old"):
        case.given("old", 1)


def test_identity_is_measured_where_a_recogniser_is_installed(
    people: Path,
    weights: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    argv = ["--data", str(people), "--weights", str(weights), "--size", "16", "--limit", "2"]
    if missing() is None:
        assert evaluate.main([*argv, "--identity", "--counts", "0"]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
        assert all(-1 <= float(row[5]) <= 1 for row in rows)
        truth = torch.rand(1, 3, 64, 64)
        assert Recogniser().alike(truth, truth) == pytest.approx(1)
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.setattr("engines.hime.identity.find_spec", lambda name: None)
    assert evaluate.main([*argv, "--identity"]) == 2
    assert install_command("identity") in capsys.readouterr().err


def test_more_slots_leave_the_crops_as_they_are(people: Path) -> None:
    known = load_people(people)
    three, two = (make_cases(known, 4, 16, "call", slots=n) for n in (3, 2))
    for a, b in zip(three, two, strict=True):
        assert torch.equal(a.crop, b.crop)


def test_a_bank_leaves_what_was_drawn_first_as_it_is(people: Path) -> None:
    known = load_people(people)
    plain, more = (make_cases(known, 4, 16, "call", slots=1, bank=n) for n in (0, 3))
    for a, b in zip(plain, more, strict=True):
        assert torch.equal(a.crop, b.crop)
        assert torch.equal(a.exemplars, b.exemplars)
        assert torch.equal(a.strangers, b.strangers)
        assert torch.equal(a.offered("own", 1), a.exemplars)
        assert b.offered("own", 0).shape[0] == 0
        assert b.offered("own", 1).shape[0] == b.offered("wrong", 1).shape[0] == 3
        assert torch.equal(b.offered("own", 1)[:1], b.exemplars)
        assert b.offered("blank", 1).shape[0] == 1


def test_haarpsi_agrees_with_another_implementation() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    a, b = (
        torch.stack([0.5 + high * torch.sin(x / wide + c) * torch.cos(y / 5) for c in range(3)])
        for high, wide in ((0.4, 3.0), (0.3, 3.2))
    )
    pictures = torch.stack((a, b, a)), torch.stack((b, b, a.flip(0)))
    made = measures.haarpsi(*pictures)
    assert float(made[0]) == pytest.approx(0.5125, abs=2e-4)  # piq 0.8
    assert float(made[1]) == pytest.approx(1, abs=1e-4)
    assert float(made[2]) < 0.95  # other colours
    flat = torch.full((1, 3, 32, 32), 0.5)
    assert float(measures.haarpsi(flat, flat)) == pytest.approx(1, abs=1e-4)


def test_haarpsi_falls_with_noise() -> None:
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.random((1, 3, 48, 48), np.float32)) * 0.5 + 0.25
    noise = torch.from_numpy(rng.standard_normal((1, 3, 48, 48), np.float32))
    scores = [float(measures.haarpsi(truth + s * noise, truth)) for s in (0, 0.02, 0.1, 0.3)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.999
    assert scores[-1] < 0.6
