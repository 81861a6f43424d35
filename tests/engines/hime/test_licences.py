"""What may be trained on, what was, and exemplars that are made from the photo itself."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from engines.hime import train
from engines.hime.checkpoint import origins_of
from engines.hime.data import Batches, Recipe, load_people
from engines.hime.licences import (
    CC0,
    CC_BY,
    CC_BY_4,
    OPEN,
    PEXELS,
    PIXABAY,
    PUBLIC_DOMAIN,
    SPELLINGS,
    UNSPLASH,
    Permit,
    licence_list,
    normalised,
    refused,
)
from engines.hime.options import variation_list
from engines.hime.people import credits
from engines.hime.variations import VARIATIONS, another_moment, displacement
from engines.weights.manifest import WEIGHTS, read_manifest
from tests.engines.hime.test_training import arguments
from tests.noise_people import make_people

OPEN_DATA = Path(__file__).parents[4] / "shared/data/open/sources.csv"
COLUMNS = ("file", "repository", "licence", "author", "tier")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "people"
    folder.mkdir()
    return make_people(folder, 128)


def flat_zip(people: Path, path: Path) -> Path:
    """Six pictures that lie in no folder."""
    with zipfile.ZipFile(path, "w") as out:
        for k, photo in enumerate(sorted(people.glob("*/*.png"))[::2]):
            out.write(photo, f"one_{k:03d}.png")
    return path


def sources(path: Path, people: Path, licence: str = "CC BY 4.0 (site)") -> Path:
    """A sources file: person_0 under CC0, the others under `licence`."""
    with path.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        for photo in sorted(people.glob("*/*.png")):
            person = photo.parent.name
            stated = "CC0" if person == "person_0" else licence
            name = f"{people.name}/{person}/{photo.name}"
            rows.writerow([name, f"site/{person}", stated, "its authors", "A"])
        for k in range(6):
            rows.writerow([f"single/one_{k:03d}.png", "site/single", "CC BY", "others", "B"])
    return path


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("public domain (US government work) + CC0-1.0 worldwide", CC0),
        ("public domain + CC0-1.0, except images noted on their pages", CC0),
        ("CC0-1.0 (all content unless otherwise specified)", CC0),
        ("CC0 (Pexels)", CC0),
        ("public domain (works of US federal employees)", PUBLIC_DOMAIN),
        ("public domain ('All assets are public domain')", PUBLIC_DOMAIN),
        ("CC-BY-4.0", CC_BY_4),
        ("CC BY 4.0 (GRID, Zenodo 3625687)", CC_BY_4),
        ("CC BY  4.0 (site content) ", CC_BY_4),
        ("CC BY", CC_BY),
        ("CC BY (except where otherwise noted)", CC_BY),
        ("Pexels licence", PEXELS),
        ("Unsplash licence", UNSPLASH),
        ("Pixabay licence", PIXABAY),
    ],
)
def test_licences_have_one_name_each(stated: str, name: str) -> None:
    assert normalised(stated) == name


@pytest.mark.parametrize(
    "stated", ["", "CC BY-NC 4.0", "research", "all rights reserved", "CC BY-SA"]
)
def test_other_licences_are_not_guessed(stated: str) -> None:
    with pytest.raises(ValueError, match="unknown licence"):
        normalised(stated)


def test_a_sources_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sources.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"sources\.csv: no CSV file in UTF-8"):
        Permit.read(path, OPEN)
    path.write_text("file,repository,licence,author\npeople/ann/1.jpg,a,CC0,me\n")
    permit = Permit.read(path, OPEN)
    with pytest.raises(ValueError, match=r"no row of people/bob/1\.jpg"):
        permit.origin(tmp_path / "people.zip", "bob/1.jpg")


def test_open_is_what_anybody_may_use() -> None:
    assert licence_list("open") == OPEN
    assert not {PEXELS, UNSPLASH, PIXABAY} & set(OPEN)
    assert licence_list("CC0-1.0, Pexels") == (CC0, PEXELS)
    with pytest.raises(ValueError, match="no licence 'MIT'; there are: open, CC-BY"):
        licence_list("MIT")


@pytest.mark.skipif(not OPEN_DATA.exists(), reason="the open pictures are not here")
def test_every_spelling_of_the_open_pictures_is_known() -> None:
    with OPEN_DATA.open(newline="") as text:
        stated = {row["licence"] for row in csv.DictReader(text)}
    assert len(stated) == 22
    assert {normalised(one) for one in stated} == set(SPELLINGS.values())
    permit = Permit.read(OPEN_DATA, OPEN)
    assert permit.allows(Path("people_256.zip"), "london_001/001-03_0.jpg")


def test_pictures_in_no_folder_are_a_person_each(people: Path, tmp_path: Path) -> None:
    found = load_people(flat_zip(people, tmp_path / "single.zip"))
    assert [(one.name, len(one.photos)) for one in found] == [(f"one_{k:03d}", 1) for k in range(6)]
    (tmp_path / "flat").mkdir()
    shutil.copy(people / "person_0/day_0.png", tmp_path / "flat/alone.png")
    assert [one.name for one in load_people(tmp_path / "flat")] == ["alone"]


def test_pictures_of_other_licences_are_left_out_and_the_rest_is_credited(
    people: Path, tmp_path: Path
) -> None:
    single = flat_zip(people, tmp_path / "single.zip")
    table = sources(tmp_path / "s.csv", people, "Pexels licence")
    permit = Permit.read(table, OPEN)
    assert [one.name for one in load_people(people, permit=permit)] == ["person_0"]
    row = {"authors": "its authors", "licence": CC0, "tier": "A", "people": 1, "photos": 4}
    other = {"authors": "others", "licence": CC_BY, "tier": "B", "people": 0, "photos": 6}
    assert credits([people, people], [single], permit) == [
        {"source": "site/person_0", **row},
        {"source": "site/single", **other},
    ]
    with pytest.raises(ValueError, match=r"single\.zip: no picture under CC0-1\.0$"):
        load_people(single, permit=replace(permit, licences=(CC0,)))


def options(people: Path, out: Path, *more: str) -> list[str]:
    return [*arguments(people, out, 1), *more]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("its authors,A\n", "its authors,A\n"), None),
        (("people/person_1/day_2.png", "people/person_1/day_9.png"), "person_1/day_2.png has no"),
        (("CC BY 4.0 (site)", "CC BY-NC 4.0"), "unknown licence 'CC BY-NC 4.0'"),
        (("CC BY 4.0 (site)", ""), "unknown licence ''"),
        (("repository", "repo"), "no column repository"),
    ],
)
def test_training_refuses_pictures_without_a_licence(
    change: tuple[str, str],
    words: str | None,
    people: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "validate", lambda network, cases: {})
    table = sources(tmp_path / "s.csv", people)
    table.write_text(table.read_text().replace(*change))
    argv = options(people, tmp_path / "run", "--licences", "open", "--sources", str(table))
    status = train.main(argv)
    error = capsys.readouterr().err
    if words is None:
        assert (status, error) == (0, "")
        found = origins_of(tmp_path / "run/checkpoint.pt")
        assert found is not None
        assert [row["licence"] for row in found] == [CC0, CC_BY_4, CC_BY_4]
    else:
        assert status == 2
        assert words in error
        assert error.count("\n") == 1
        assert not (tmp_path / "run").exists()


def test_open_weights_start_from_open_weights_alone(
    people: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train, "validate", lambda network, cases: {})
    table = sources(tmp_path / "s.csv", people, "Unsplash licence")
    asked = ("--sources", str(table), "--licences")
    assert train.main(options(people, tmp_path / "unknown")) == 0
    assert train.main(options(people, tmp_path / "wide", *asked, "CC0-1.0,Unsplash")) == 0
    assert train.main(options(people, tmp_path / "cc0", *asked, "CC0-1.0")) == 0
    words = {"unknown": "does not say what it was trained on", "wide": "other licences, too: site/"}
    for name, said in words.items():
        init = ("--init", str(tmp_path / name / "checkpoint.pt"))
        assert train.main(options(people, tmp_path / "next", *asked, "CC0-1.0", *init)) == 2
        assert said in capsys.readouterr().err
    init = ("--init", str(tmp_path / "cc0/checkpoint.pt"))
    assert train.main(options(people, tmp_path / "next", *asked, "CC0-1.0,Unsplash", *init)) == 0
    found = origins_of(tmp_path / "next/checkpoint.pt")
    assert found is not None
    assert {row["source"] for row in found} == {f"site/person_{k}" for k in range(3)}
    # and nothing else is slipped into a run that was begun
    assert train.main(options(people, tmp_path / "cc0", *asked, "CC0-1.0,Unsplash")) == 2
    assert "begun on other sources" in capsys.readouterr().err


def test_shipped_weights_say_in_the_manifest_what_they_were_trained_on(tmp_path: Path) -> None:
    name = "hime_x4_open_small.enhance.onnx"
    found = origins_of(WEIGHTS / name)
    assert found is not None
    assert not refused(found, licence_list("open"))
    assert origins_of(WEIGHTS / "hime_x4.enhance.onnx") is None, "not a licence for each source"
    copied = tmp_path / name
    copied.write_bytes((WEIGHTS / name).read_bytes())
    assert origins_of(copied) is None, "no manifest"
    manifest = read_manifest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert origins_of(copied) == found
    copied.write_bytes(copied.read_bytes() + b"x")
    assert origins_of(copied) is None, "another file"


def test_one_photo_gives_exemplars_that_differ_and_are_the_same_again(
    people: Path, tmp_path: Path
) -> None:
    single = flat_zip(people, tmp_path / "single.zip")
    recipe = Recipe(
        4, pixels=8192, slots=(3,), slot_weights=(1,), wrong=0, blank=0, drop=0, aligned=False
    )
    assert float(Batches([single], recipe, 1, 2)[0].validity.sum()) == 0
    recipe = replace(recipe, made=0.5)
    batch, again = (Batches([single], recipe, 1, 2)[0] for _ in range(2))
    assert float(batch.validity.min()) == 1
    assert torch.equal(batch.exemplars, again.exemplars)
    for truth, refs in zip(batch.truth, batch.exemplars, strict=True):
        apart = (refs - truth).abs().mean(dim=(1, 2, 3))
        assert float(apart.min()) > 0.01
        assert float((refs[0] - refs[1]).abs().mean()) > 0.01


def test_general_photographs_are_a_share_of_the_samples(people: Path, tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    white = np.full((256, 256, 3), 255, np.uint8)
    cv2.imwrite(str(scenes / "white.png"), white)
    recipe = Recipe(
        4, pixels=32 * 32 * 64, slots=(1,), slot_weights=(1,), made=0.5, photographs=0.5
    )
    truth = Batches([people], recipe, 1, 2, [scenes])[0].truth
    assert 16 <= int((truth.std(dim=(2, 3)).amax(dim=1) < 0.01).sum()) <= 48
    truth = Batches([people], replace(recipe, photographs=0.0), 1, 2, [scenes])[0].truth
    assert float(truth.std(dim=(2, 3)).amax(dim=1).min()) > 0.01


@pytest.mark.parametrize("kind", VARIATIONS)
def test_each_variation_changes_the_picture_in_its_own_way(kind: str) -> None:
    rng = np.random.default_rng(3)
    picture, other = (rng.integers(60, 200, (64, 64, 3)).astype(np.uint8) for _ in range(2))
    made = another_moment(picture, other, (kind,), np.random.default_rng(1))
    again = another_moment(picture, other, (kind,), np.random.default_rng(1))
    assert made.shape == picture.shape
    assert np.array_equal(made, again)
    assert not np.array_equal(made, picture)
    assert np.array_equal(another_moment(picture, other, (), rng), picture)
    moved = displacement(64, (kind,), np.random.default_rng(1))
    assert bool(np.any(moved)) == (kind in ("moved", "turned", "expression"))
    if kind == "turned":  # the background stays
        assert not np.any(moved[:4])


def test_an_unknown_variation_or_licence_is_refused(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, words in (
        (("--variations", "moved,aged"), "must be some of moved,turned,"),
        (("--variations", "moved,none"), "must be some of moved,turned,"),
        (("--licences", "MIT"), "no licence 'MIT'"),
    ):
        with pytest.raises(SystemExit):
            train.main(options(people, people / "run", *more))
        assert words in capsys.readouterr().err
    assert variation_list("none") == ()
    assert variation_list("lit,moved") == ("lit", "moved")
    assert train.main(options(people, people / "run", "--licences", "open")) == 2
    assert "--licences and --sources need each other" in capsys.readouterr().err
