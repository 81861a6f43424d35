"""The comparison and its training: sizes without data, a table of what is there, heat maps."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
import torch

from engines.hime.loader import batches
from engines.hime.options import parse as parse_hime
from engines.papers import compare, heat_maps, networks, recipes, train_network
from engines.papers.gwainet import GwaConfig, Gwainet
from engines.papers.pwave import Pwave, PwaveConfig
from tests.noise_people import make_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name, network in (
        ("gwainet", Gwainet(GwaConfig(channels=8, warp_blocks=1, sr_blocks=3, guide_blocks=3))),
        ("pwave", Pwave(PwaveConfig(channels=16))),
    ):
        duel = recipes.begin(network, 10, adversarial=False)
        duel.samples = 40
        (folder / name).mkdir()
        duel.save(folder / name / "checkpoint.pt")
    return folder


def test_sizes_need_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(networks, "SIZES", (("hime-small", 8), ("pwave", 8)))
    assert compare.main(["--sizes", "--json", str(tmp_path / "sizes.json")]) == 0
    rows = json.loads((tmp_path / "sizes.json").read_text())
    assert [row["network"] for row in rows] == ["hime-small", "pwave"]
    assert all(row.keys() == {"network", "scale", "parameters", "gmacs"} for row in rows)
    assert rows[0]["parameters"] == 896_354
    assert "| hime-small | x8 | 0.90 | 0.49 |" in capsys.readouterr().out


def test_networks_that_were_trained_are_compared_and_others_are_named(
    people: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--data", str(people), "--runs", str(runs), "--limit", "2", "--counts", "0,1"]
    argv += ["--json", str(tmp_path / "x.json"), "--sheet", str(tmp_path / "x.png")]
    argv += ["--markdown", str(tmp_path / "x.md")]
    assert compare.main(argv) == 0
    out = capsys.readouterr().out
    told = json.loads((tmp_path / "x.json").read_text())
    names = [(row["network"], row["exemplars"]) for row in told["rows"]]
    some = ("gwainet", "pwave", "shipped")
    assert names == [("bicubic", 0), *((name, n) for n in (0, 1) for name in some)]
    by_name = {row["network"]: row for row in told["rows"]}
    assert by_name["gwainet"]["samples"] == 40
    assert by_name["shipped"]["samples"] > 10_000
    assert by_name["bicubic"]["parameters"] is None
    assert all(by_name[name]["ms"] > 0 for name in some)
    assert by_name["shipped"]["psnr"] > by_name["gwainet"]["psnr"]  # which has learnt nothing
    assert told["left_out"].keys() == set(compare.RUNS) - {"gwainet", "pwave"}
    assert "hime-large-rec: left out, not trained" in out
    assert (tmp_path / "x.md").read_text().startswith("### 2 headshots, 16 px x8, clean")
    sheet = cv2.imread(str(tmp_path / "x.png"))
    assert sheet is not None
    assert sheet.shape[1] == 6 * 128


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--weights", "other=x.pt"], "--weights takes NAME=FILE, NAME one of gwainet"),
        (["--counts", "many"], "--counts must be numbers"),
        (["--runs", "x", "--weights", "pwave=README.md"], "README.md: expected a training checkp"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    more: list[str], words: str, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["--data", str(people), *more]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_heat_maps_show_each_close_up_with_its_weights(
    people: Path, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cold, warm = heat_maps.coloured(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))[..., 0, 0]
    assert cold[2] > 0.4 > cold[0]
    assert warm[0] > 0.4 > warm[2]
    argv = ["--data", str(people), "--sheet", str(tmp_path / "w.png"), "--limit", "2"]
    assert heat_maps.main([*argv, "--weights", str(runs / "pwave" / "checkpoint.pt")]) == 0
    sheet = cv2.imread(str(tmp_path / "w.png"))
    assert sheet is not None
    assert sheet.shape[1] == 9 * 128
    assert heat_maps.main([*argv, "--weights", str(runs / "gwainet" / "checkpoint.pt")]) == 2
    assert "holds no PWAve" in capsys.readouterr().err


def arguments(people: Path, out: Path, network: str) -> list[str]:
    return [
        *("--network", network, "--data", str(people), "--val", str(people), "--out", str(out)),
        *("--samples", "8", "--batch", "4", "--workers", "0"),
    ]


def test_all_networks_see_the_same_samples(people: Path, tmp_path: Path) -> None:
    seen = []
    for name in ("hime-small", "hime-large", "pwave", "product"):
        args = train_network.parse(arguments(people, tmp_path, name))
        shared = parse_hime("", train_network.for_hime(args))
        (first, _) = batches(shared, 0)
        seen.append((first.crop, first.truth))
        assert first.crop.shape == (4, 3, 16, 16)
        assert shared.steps == 2
        assert (
            first.exemplars.shape[2] == (4 if name == "product" else 3)
            or not first.exemplars.numel()
        )
    assert all(torch.equal(a, b) for pair in seen for a, b in zip(pair, seen[0], strict=True))


def test_training_writes_a_checkpoint_that_can_be_compared(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_network, "build", lambda *_: Pwave(PwaveConfig(channels=16)))
    monkeypatch.setattr(train_network, "CASES", 2)
    argv = [*arguments(people, tmp_path / "run", "pwave"), "--no-critic", "--val-exemplars", "1"]
    assert train_network.main(argv) == 0
    found = networks.load(tmp_path / "run" / "checkpoint.pt")
    assert found.samples == 8
    lines = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert lines[0].split(",")[:3] == ["2", "8", "clean"]
    assert train_network.main(argv) == 0  # all done: nothing to add
    assert (tmp_path / "run" / "log.csv").read_text().splitlines() == lines


def test_perception_has_the_weights_of_the_supplement(people: Path, tmp_path: Path) -> None:
    argv = arguments(people, tmp_path, "hime-large")
    more = ["--perception", "--init", "x.pt", "--features", "vgg.pth", "--flow", "spy.pt"]
    args = parse_hime("", train_network.for_hime(train_network.parse([*argv, *more])))
    weights = (args.adversarial, args.perceptual, args.correlation, args.window)
    assert weights == (0.1, 0.01, 0.1, 3)
    assert (args.alignment, args.paper, args.clean) == ("flow", True, 1.0)
    args = parse_hime("", train_network.for_hime(train_network.parse(argv)))
    assert (args.adversarial, args.perceptual, args.correlation) == (0.0, 0.0, 0.1)


@pytest.mark.parametrize(
    "more",
    [
        ["--scale", "16"],
        ["--perception"],
        ["--identity", "x.pt", "--no-critic"],
        ["--batch", "6"],
        ["--samples", "2"],
    ],
)
def test_trainings_that_cannot_be_are_refused(more: list[str], people: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        train_network.parse([*arguments(people, Path("x"), "gwainet"), *more])
