"""Data and training: on people made of noise, for a few steps."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import pytest
import torch

from engines import diagram
from engines.alignment import align
from engines.hime import curves, loader, train
from engines.hime.cases import make_cases
from engines.hime.checkpoint import load_network, start_from
from engines.hime.data import (
    Batches,
    Recipe,
    load_people,
    shrink_bicubic,
    to_images,
    to_tensor,
)
from engines.hime.deformable import DeformableAlignment
from engines.hime.evaluate import outputs
from engines.hime.export import main
from engines.hime.loader import batches
from engines.hime.model import Config, Hime
from engines.hime.options import parse
from tests.noise_people import make_people

SIDE = 128


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("people"), SIDE)


def arguments(people: Path, out: Path, steps: int) -> list[str]:
    return [
        *("--data", str(people), "--val", str(people), "--out", str(out), "--steps", str(steps)),
        *("--batch", "1", "--sizes", "32:1", "--half", "1", "--workers", "0", "--device", "cpu"),
    ]


def test_people_are_read_from_a_folder_and_from_a_zip(people: Path, tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in people.glob("*/*.png"):
            out.write(path, f"{path.parent.name}/{path.name}")
    for source in (people, archive):
        found = load_people(source)
        assert [p.name for p in found] == ["person_0", "person_1", "person_2"]
        assert all(len(p.photos) == 4 and p.photos[0].shape == (SIDE, SIDE, 3) for p in found)
    with pytest.raises(ValueError, match="of at least 400 px"):
        load_people(people, 400)


def test_a_batch_depends_on_seed_and_step_alone(people: Path) -> None:
    recipe = Recipe(
        scale=4, sizes=(16, 32), size_weights=(1, 1), pixels=4096, slots=(3,), slot_weights=(1,)
    )
    first, again, other = (Batches([people], recipe, seed, 9) for seed in (1, 1, 2))
    again[0]  # another order of reading changes nothing
    for step in (3, 8):
        a, b, c = first[step], again[step], other[step]
        assert torch.equal(a.crop, b.crop)
        assert torch.equal(a.exemplars, b.exemplars)
        assert a.crop.shape != c.crop.shape or not torch.equal(a.crop, c.crop)
        assert a.truth.shape[-1] == 4 * a.crop.shape[-1] == a.exemplars.shape[-1]
        assert a.exemplars.shape[1:3] == (3, 4)
        # the crop shows the truth
        low = shrink_bicubic(a.truth, 4)
        assert float((low - a.crop).square().mean()) < 0.02


def test_some_exemplars_are_out_of_focus(people: Path) -> None:
    detail = {}
    for share in (0.0, 1.0):
        recipe = Recipe(4, pixels=8192, slots=(3,), slot_weights=(1,), wrong=0, blurred=share)
        known = Batches([people], recipe, 1, 2)[0].exemplars[:, :, :3]
        detail[share] = float((known[..., 1:] - known[..., :-1]).abs().mean())
    assert detail[1.0] < 0.85 * detail[0.0]


def test_exemplars_of_a_batch_are_aligned_to_its_crops(people: Path) -> None:
    """As the stream does it; and for the paper's network, not at all."""
    recipe = Recipe(4, pixels=8192, slots=(3,), slot_weights=(1,), wrong=0, blank=0, clean=1)
    batch, plain = (
        Batches([people], replace(recipe, aligned=aligned), 1, 2)[0] for aligned in (True, False)
    )
    assert plain.exemplars.shape[2] == 3
    assert torch.equal(plain.crop, batch.crop)
    crops = to_images(batch.crop)
    for crop, given, raw in zip(crops, batch.exemplars, plain.exemplars, strict=True):
        made = to_tensor(align(crop, to_images(raw)))
        torch.testing.assert_close(given, made, rtol=0, atol=1e-6)
    assert 0 < float(batch.exemplars[:, :, 3].mean()) < 1


def test_clean_share_is_clean(people: Path) -> None:
    batch = Batches([people], Recipe(scale=4, pixels=8192, clean=0.5), 1, 2)[0]
    error = (shrink_bicubic(batch.truth, 4) - batch.crop).abs().amax(dim=(1, 2, 3))
    assert error[:4].max() == 0
    assert error[4:].min() > 0


@pytest.mark.parametrize(
    "more",
    [[], ["--correlation", "0.1", "--adversarial", "0.1"], ["--alignment", "deformable"]],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    more: list[str], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "validate", lambda network, cases: {})
    assert train.main([*arguments(people, tmp_path / "whole", 2), *more]) == 0
    monkeypatch.setattr(
        loader, "Subset", lambda data, steps: torch.utils.data.Subset(data, steps[:1])
    )
    for _ in range(2):  # each stops after one step
        assert train.main([*arguments(people, tmp_path / "parts", 2), *more]) == 0
    whole, parts = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        for name in ("whole", "parts")
    )
    assert whole["step"] == parts["step"] == 2
    assert whole["samples"] == parts["samples"]
    opposed = "--adversarial" in more
    modules = ("network", "ema", *(("opponent",) if opposed else ()))
    for part in modules:
        for name, value in whole[part].items():
            torch.testing.assert_close(value, parts[part][name], rtol=0, atol=1e-6, msg=name)
    for part in ("optimiser", "opponent_optimiser") if opposed else ("optimiser",):
        moments = [s[part]["state"][0]["exp_avg_sq"] for s in (whole, parts)]
        torch.testing.assert_close(*moments, rtol=1e-4, atol=0)


def test_the_learning_rate_warms_up_and_decays(people: Path) -> None:
    args = parse("", arguments(people, Path("unused"), 100))
    args.warmup = 10
    rates = [train.rate(step, args) for step in range(100)]
    assert rates[0] < rates[9] == pytest.approx(args.lr)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.02 * args.lr


def test_another_scale_starts_from_what_fits(people: Path, tmp_path: Path) -> None:
    source = Hime(Config(scale=4))
    torch.save({"ema": source.state_dict()}, tmp_path / "x4.pt")
    target = Hime(Config(scale=8))
    kept = start_from(target, tmp_path / "x4.pt")
    assert kept == [
        "hr_features.head.weight",
        # a pixel of each cell has a share of its own
        "reconstruction.gain.bias",
        "reconstruction.gain.weight",
        "reconstruction.ups.1.bias",
        "reconstruction.ups.1.weight",
        "transfer.merge.weight",
        "transfer.out.bias",
        "transfer.out.weight",
    ]
    assert target.transfer is not None
    assert source.transfer is not None
    assert torch.equal(target.transfer.down.weight, source.transfer.down.weight)


def test_the_network_starts_from_one_with_deformable_alignment(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = Hime(Config(alignment="deformable")).eval()
    path = tmp_path / "paper.pt"
    torch.save({"ema": source.state_dict(), "config": asdict(source.config)}, path)
    target = Hime().eval()
    # what finds offsets of pixels, but for its ends, is what found offsets of cells
    new = [name for name in start_from(target, path) if not name.startswith("transfer.out.")]
    assert new == [
        "reconstruction.gain.bias",
        "reconstruction.gain.weight",
        "transfer.from_exemplar.bias",
        "transfer.from_exemplar.weight",
        "transfer.merge.weight",
    ]
    assert isinstance(source.alignment, DeformableAlignment)
    assert target.transfer is not None
    assert torch.equal(target.transfer.up.weight, source.alignment.up.weight)
    crop, validity = torch.rand(1, 3, 16, 16), torch.zeros(1, 1)
    with torch.inference_mode():
        made = target(crop, torch.rand(1, 1, 4, 64, 64), validity)
        before = source(crop, torch.rand(1, 1, 3, 64, 64), validity)
    torch.testing.assert_close(made, before, rtol=0, atol=1e-5)


def test_the_papers_network_can_be_trained_and_measured_but_not_exported(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    args = parse("", [*arguments(people, out, 1), "--alignment", "deformable"])
    run = train.begin(args)
    (batch,) = batches(args, 0)
    assert batch.exemplars.shape[2] == 3
    losses = train.learn(run, batch, args)
    assert float(losses["charbonnier"]) > 0
    run.save(out / "checkpoint.pt")
    network = load_network(out / "checkpoint.pt")
    assert network.config == Config(alignment="deformable")
    assert isinstance(network.alignment, DeformableAlignment)
    cases = make_cases(load_people(people), 4, 16, "clean", limit=2)
    assert outputs(network, cases, 3).shape == (len(cases), 3, 64, 64)
    assert main(["--weights", str(out / "checkpoint.pt"), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: only the product's kind of network is exported")
    assert error.count("\n") == 1


def test_the_log_and_its_curves_grow(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {"clean": 0.5, "clean_3_over_0": 0.1, "call": 0.2, "call_3_over_0": 0.05}
    monkeypatch.setattr(train, "validate", lambda network, cases: scores)
    out = tmp_path / "run"
    out.mkdir()
    (out / "log.csv").write_text("of;another;program\n")
    argv = [*arguments(people, out, 2), "--correlation", "0.1", "--save", "0", "--slots", "5:1"]
    assert train.main(argv) == 0
    assert (out / "log.old.csv").read_text() == "of;another;program\n"
    lines = (out / "log.csv").read_text().splitlines()
    assert lines[0] == ",".join(curves.COLUMNS)
    assert [line.split(",")[:2] for line in lines[1:]] == [["1", "4"], ["2", "8"]]
    series = curves.read(out / "log.csv")
    assert [x for x, _ in series["loss"]] == [4, 8]
    assert series["clean"] == [(4, 0.5), (8, 0.5)]
    assert "adversarial" not in series
    for (_, loss), (_, first), (_, second) in zip(
        series["loss"], series["charbonnier"], series["correlation"], strict=True
    ):
        assert loss == pytest.approx(first + 0.1 * second, rel=1e-4)
    picture = cv2.imread(str(out / "curves.png"))
    assert picture is not None
    assert picture.shape == (2 * diagram.HEIGHT, diagram.WIDTH, 3)


def test_a_file_of_options_gives_way_to_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "x8.toml"
    path.write_text(
        'data = ["a.zip", "b.zip"]\nval = "val"\nout = "run"\nscale = 8\nlr = 3e-4\n'
        'sizes = "16:1"\nslots = "0:0.5,5:0.5"\npaper = true\nleast_photos = 4\n'
    )
    args = parse("", ["--config", str(path)])
    assert args.data == [Path("a.zip"), Path("b.zip")]
    assert (args.scale, args.lr, args.steps) == (8, 3e-4, 6000)
    assert (args.sizes, args.slots) == ({16: 1.0}, {0: 0.5, 5: 0.5})
    assert (args.paper, args.least_photos) == (True, 4)
    args = parse("", ["--config", str(path), "--lr", "1e-4", "--data", "c.zip"])
    assert (args.lr, args.data, args.scale) == (1e-4, [Path("c.zip")], 8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stpes = 5", "no option stpes; did you mean steps?"),
        ("scale = 5", "argument --scale: invalid choice"),
        ("sizes = 'large'", "argument --sizes: 'large' is no whole number in the range; give 8"),
        ("steps =", "Invalid value"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_of_options_is_refused(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.toml"
    if text is not None:
        path.write_text(f"data = 'a'\nval = 'b'\nout = 'c'\n{text}\n")
    with pytest.raises(SystemExit, match="2"):
        parse("", ["--config", str(path)])
    assert words in capsys.readouterr().err


def test_checkpoints_remember_their_network(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = arguments(people, out, 2)
    args = parse("", [*argv, "--aggregation", "maximum"])
    train.begin(args).save(out / "checkpoint.pt")
    assert load_network(out / "checkpoint.pt").config == Config(aggregation="maximum")
    assert train.main(argv) == 2
    assert "holds another network" in capsys.readouterr().err
    assert train.main([*argv, "--aggregation", "maximum", "--adversarial", "0.1"]) == 2
    assert "has no opponent: start with --init" in capsys.readouterr().err
    assert train.main([*argv, "--perceptual", "0.01"]) == 2
    assert "--perceptual needs --features" in capsys.readouterr().err


def test_a_checkpoint_of_the_first_version_goes_on(people: Path, tmp_path: Path) -> None:
    args = parse("", arguments(people, tmp_path, 2))
    run = train.begin(args)
    run.step, run.samples = 1, 4
    run.save(tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["config"]
    torch.save(state, tmp_path / "checkpoint.pt")
    assert train.begin(args).step == 1
    assert load_network(tmp_path / "checkpoint.pt").config == Config()


def test_training_needs_torch_numpy_opencv_and_av_alone() -> None:
    absent = ("onnx", "onnxscript", "onnxruntime", "mediapipe", "openvino", "torchvision")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import engines.hime.train"
    subprocess.run([sys.executable, "-c", code], check=True)
