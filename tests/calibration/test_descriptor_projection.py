"""calibration.descriptor_projection: what differs between people is kept, nothing else."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.scenes.somebody_else import somebody_else
from calibration import descriptor_projection
from calibration.descriptor_projection import (
    Views,
    described,
    discriminant,
    main,
    packed,
    ship,
    views_of,
)
from engines.errors import WeightsError
from engines.hime.people import Person
from engines.weights import manifest
from engines.weights.manifest import DESCRIPTOR, descriptor_file, read_manifest
from stream.errors import InputError
from stream.frame import Image
from stream.stages.exemplars.hog_descriptor import LENGTH, HogDescriptor, Projection
from stream.stages.exemplars.returning_people import FAR_SAME
from tests.pictures import hopper, need_models


def headshot(who: int | None = None) -> Image:
    head = np.ascontiguousarray(hopper()[40:440, 60:460])
    return head if who is None else somebody_else(head, (200.0, 200.0), 200.0, who)


def test_directions_that_tell_nothing_are_left_out() -> None:
    """Ten people who differ in one direction; looks at them differ much more in another one."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(10), 20)
    rows = 0.01 * rng.normal(size=(200, LENGTH))
    rows[:, 0] += people
    rows[:, 1] += rng.normal(0.0, 30.0, 200)
    mean, directions = discriminant(Views(rows, np.arange(200), people), 1)
    assert mean.shape == (LENGTH,)
    assert directions.shape == (LENGTH, 1)
    strength = np.abs(directions[:, 0]) * rows.std(axis=0)
    assert strength[0] > 20.0 * strength[1]
    assert int(strength.argmax()) == 0


def test_a_photo_is_seen_at_several_moments_close_and_far_away() -> None:
    sides = [view.shape[0] for view in views_of(headshot(), np.random.default_rng(0))]
    assert sides == [400, 128, 80, 56] * 3


def test_people_are_learnt_and_mirrored_ones_are_others() -> None:
    need_models()
    people = [Person("a", (headshot(),)), Person("b", (headshot(0),))]
    views = described(people, np.random.default_rng(0))
    assert set(views.people.tolist()) == set(views.photos.tolist()) == {0, 1, 2, 3}
    assert views.histograms.shape == (len(views.people), LENGTH)
    assert len(views.people) > 20, "most of the 48 views show the face"
    describer = HogDescriptor(Projection.read(packed(*discriminant(views, 8))))
    assert describer._projection.shape == (LENGTH, 8)
    with pytest.raises(InputError, match="no face of two people"):
        described([Person("a", (np.zeros((64, 64, 3), np.uint8),))], np.random.default_rng(0))


def sources(folder: Path) -> list[str]:
    """Arguments: two people with a photo each, and where these are from."""
    rows = [["file", "repository", "licence", "author"]]
    for name, who in (("a", None), ("b", 0)):
        (folder / "people" / name).mkdir(parents=True)
        path = folder / "people" / name / "0_0.png"
        assert cv2.imwrite(str(path), headshot(who)[..., ::-1])
        rows.append([f"people/{name}/0_0.png", "somewhere", "CC0", "someone"])
    with (folder / "sources.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return ["--data", str(folder / "people"), "--sources", str(folder / "sources.csv")]


def test_what_is_shipped_says_what_it_was_learnt_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need_models()
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(manifest.WEIGHTS / manifest.MANIFEST, folder)
    networks = read_manifest(folder)["networks"]
    shipped = ship
    monkeypatch.setattr(
        descriptor_projection, "ship", lambda data, entry: shipped(data, entry, folder)
    )
    monkeypatch.setattr(descriptor_projection, "scores", lambda data, held_out: [{"scored": True}])
    others = ["--held-out", str(tmp_path / "people")]
    assert main([*sources(tmp_path), *others]) == 0
    assert not (folder / DESCRIPTOR).exists()
    again = ["--data", str(tmp_path / "people"), "--sources", str(tmp_path / "sources.csv")]
    assert main([*again, *others, "--ship"]) == 0
    assert descriptor_file(folder).read_bytes()
    entry = read_manifest(folder)["descriptors"]["face_descriptor"]
    assert (entry["training"]["people"], entry["training"]["photos"]) == (2, 2)
    assert entry["training"]["data"][0]["licence"] == "CC0-1.0"
    assert entry["scores"] == [{"scored": True}]
    assert read_manifest(folder)["networks"] == networks
    (folder / DESCRIPTOR).write_bytes(b"other")
    with pytest.raises(WeightsError, match="not the file in the manifest"):
        descriptor_file(folder)


def test_the_shipped_one_names_open_sources_alone_and_its_scores() -> None:
    entry = read_manifest()["descriptors"]["face_descriptor"]
    licences = {row["licence"] for row in entry["training"]["data"]}
    assert licences <= {"CC0-1.0", "public-domain", "CC-BY-4.0", "CC-BY"}
    assert descriptor_file().stat().st_size < 5e6
    for one in entry["scores"]:
        assert one["merged"] == 0
        assert one["recognised"] > 0.7 * one["returns"]
        assert one["same"] == (FAR_SAME if one["width_px"] else HogDescriptor.same)


def test_options_that_belong_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path), "--held-out", str(tmp_path)])
    assert "--data and --sources go together" in capsys.readouterr().err
