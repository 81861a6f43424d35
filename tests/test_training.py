"""Data, training, evaluation, export: on people made of noise, for a few steps."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from engines.hime import evaluate, train
from engines.hime.checkpoint import load_network, start_from
from engines.hime.data import Batches, Recipe, load_people, shrink_bicubic
from engines.hime.export import export
from engines.hime.model import Config, Hime

SIDE = 128


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people of four photos each: the same shapes in another light."""
    folder = tmp_path_factory.mktemp("people")
    for person in range(3):
        rng = np.random.default_rng(person)
        coarse = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        base = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(float)
        (folder / f"person_{person}").mkdir()
        for photo in range(4):
            image = np.roll(base * (0.8 + 0.05 * photo), photo, axis=1)
            picture = np.clip(image, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"person_{person}" / f"day_{photo}.png"), picture)
    return folder


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
        scale=4, sizes=(16, 32), size_weights=(1, 1), pixels=4096, slot_weights=(0, 0, 0, 1)
    )
    first, again, other = (Batches([people], recipe, seed, 9) for seed in (1, 1, 2))
    again[0]  # another order of reading changes nothing
    for step in (3, 8):
        a, b, c = first[step], again[step], other[step]
        assert torch.equal(a.crop, b.crop)
        assert torch.equal(a.exemplars, b.exemplars)
        assert a.crop.shape != c.crop.shape or not torch.equal(a.crop, c.crop)
        assert a.truth.shape[-1] == 4 * a.crop.shape[-1] == a.exemplars.shape[-1]
        assert a.exemplars.shape[1] == 3
        # the crop shows the truth
        low = shrink_bicubic(a.truth, 4)
        assert float((low - a.crop).square().mean()) < 0.02


def test_clean_share_is_clean(people: Path) -> None:
    batch = Batches([people], Recipe(scale=4, pixels=8192, clean=0.5), 1, 2)[0]
    error = (shrink_bicubic(batch.truth, 4) - batch.crop).abs().amax(dim=(1, 2, 3))
    assert error[:4].max() == 0
    assert error[4:].min() > 0


def test_a_resumed_run_equals_an_uninterrupted_one(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "validate", lambda network, cases: "")
    assert train.main(arguments(people, tmp_path / "whole", 2)) == 0
    monkeypatch.setattr(
        train, "Subset", lambda data, steps: torch.utils.data.Subset(data, steps[:1])
    )
    assert train.main(arguments(people, tmp_path / "parts", 2)) == 0  # stops after one step
    assert train.main(arguments(people, tmp_path / "parts", 2)) == 0
    whole, parts = (
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
        for name in ("whole", "parts")
    )
    assert whole["step"] == parts["step"] == 2
    assert whole["samples"] == parts["samples"]
    for part in ("network", "ema"):
        for name, value in whole[part].items():
            torch.testing.assert_close(value, parts[part][name], rtol=0, atol=1e-6, msg=name)


def test_the_learning_rate_warms_up_and_decays(people: Path) -> None:
    args = train.parse(arguments(people, Path("unused"), 100))
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
        "reconstruction.ups.1.bias",
        "reconstruction.ups.1.weight",
    ]
    assert torch.equal(target.alignment.deform.weight, source.alignment.deform.weight)


def test_export_keeps_the_weights_and_says_what_it_is_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Hime(Config(scale=8)).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # the exporter merges equal tensors: fresh biases
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    _, enhance = export(network, tmp_path, "hime_x8")  # compares the outputs itself
    back = load_network(enhance).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(back[name], value), name
    model = onnx.load(enhance)
    assert {o.version for o in model.opset_import if o.domain == ""} == {19}
    assert "DeformConv" in {node.op_type for node in model.graph.node}
    assert b"site-packages" not in enhance.read_bytes()
    with pytest.raises(ValueError, match="expected a training checkpoint"):
        load_network(tmp_path / "hime_x8.encode.onnx")


def test_evaluation_prints_the_rows_and_writes_them(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    torch.save({"ema": Hime().state_dict()}, tmp_path / "w.pt")
    argv = ["--data", str(people), "--size", "16", "--weights", str(tmp_path / "w.pt")]
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
    assert evaluate.ssim(a, a) == pytest.approx(1.0)
    assert evaluate.ssim(a, torch.rand(3, 32, 32)) < 0.2
    assert float(evaluate.psnr(a[None], a[None])) > 90
    flat = torch.full((1, 3, 8, 8), 100 / 255)
    assert float(evaluate.psnr(flat, flat + 25 / 255)) == pytest.approx(20.17, abs=0.01)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--size", "15"], "--size must be an even number"),
        (["--size", "64"], "no person/photo.jpg of at least 256 px"),
        (["--scale", "8"], "enlarges 4 times, not 8"),
    ],
)
def test_evaluation_refuses_with_one_line(
    argv: list[str], words: str, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"ema": Hime().state_dict()}, tmp_path / "w.pt")
    standard = ["--data", str(people), "--weights", str(tmp_path / "w.pt")]
    assert evaluate.main([*standard, *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1
