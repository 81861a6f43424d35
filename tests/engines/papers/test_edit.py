"""Editing by close-ups: what comes out says so, and nothing of the product reaches it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.papers import edit, edited_picture, networks, recipes
from engines.papers.pwave import Pwave, PwaveConfig
from tests.places import ROOT


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    recipes.begin(Pwave(PwaveConfig(channels=16)), 10, False).save(tmp_path / "pwave.pt")
    return tmp_path / "pwave.pt"


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for k, side in enumerate((16, 128, 200)):
        paths.append(tmp_path / f"photo{k}.png")
        cv2.imwrite(str(paths[-1]), rng.integers(0, 256, (side, side, 3)).astype(np.uint8))
    return paths


@pytest.mark.parametrize("crop", [0, 2])
def test_an_edited_picture_says_so(crop: int, weights: Path, photos: list[Path]) -> None:
    exemplars = [str(path) for path in photos[1:]]
    argv = ["--crop", str(photos[crop]), "--weights", str(weights), "--exemplars", *exemplars]
    assert edit.main(argv) == 0
    out = photos[crop].with_name(f"photo{crop}.edited.png")
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (128 + edited_picture.NOTE_PX, 128, 3)
    band = picture[128:].reshape(-1, 3)
    assert (band == (0, 0, 200)).all(axis=1).mean() > 0.5
    assert (band.min(axis=1) > 200).any()  # letters
    _, kinds, metadata = cv2.imreadWithMetadata(str(out), cv2.IMREAD_COLOR)
    xmp = np.asarray(metadata[list(kinds).index(cv2.IMAGE_METADATA_XMP)]).tobytes().decode()
    assert "compositeWithTrainedAlgorithmicMedia" in xmp
    assert edited_picture.STATEMENT.encode() in out.read_bytes()


def test_other_close_ups_make_another_face(weights: Path, photos: list[Path]) -> None:
    crop = edit.crop_of(photos[0], 16)
    network = networks.load(weights).network
    one, other = (edit.edit(network, crop, [path]) for path in photos[1:])
    assert one.shape == (1, 3, 128, 128)
    assert float((one - other).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--out", "plain.png"], "the name of an edited picture ends in .edited.png"),
        (["--exemplars", *["photo1.png"] * 6], "--exemplars takes 1 to 5 pictures, not 6"),
        (["--crop", "absent.png"], "No such file"),
        (["--weights", "photo1.png"], "expected a training checkpoint"),
    ],
)
def test_what_cannot_be_edited_is_one_line(
    more: list[str],
    words: str,
    weights: Path,
    photos: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos[0].parent)
    argv = ["--crop", "photo0.png", "--weights", str(weights), "--exemplars", "photo1.png", *more]
    before = set(photos[0].parent.iterdir())
    assert edit.main(argv) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert set(photos[0].parent.iterdir()) == before


def test_calls_and_recordings_cannot_reach_it() -> None:
    sources = [ROOT / "run_pipeline.py", *(ROOT / "stream").rglob("*.py")]
    sources += [*(ROOT / "engines" / "runtimes").rglob("*.py"), ROOT / "engines" / "runtime.py"]
    assert not [path for path in sources if "engines.papers" in path.read_text()]
