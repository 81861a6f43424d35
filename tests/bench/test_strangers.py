"""Nobody is given somebody else's exemplars: real tracker, real bank, people who pass and swap."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest

from bench.scenes.corruptions import read
from bench.strangers import SCENES, made_up_people, main, watch
from stream.frame import Image
from tests.pictures import need_models
from tests.stream.stages.exemplars.test_face_similarity import PEOPLE

SURE = (
    "cross",
    "cross, quickly",
    "swap, close",
    "replaced at once",
    "seat taken at once",
    "hides behind",
    "photo on the wall",
    "face on a screen",
    "back on the other's side",
    "three in turn",
)
"""Scenes in which it must never happen; a dissolve may be noticed late."""
LATE = ("dissolved in 0.5 s",)


def show(name: str, people: list[Image]) -> None:
    need_models()
    scene, seconds = SCENES[name]
    tally = watch(scene, seconds, people)
    assert tally.faces > 40
    assert tally.mixed == 0
    if name in LATE:
        assert tally.wrong <= 16, "a second, at 15 frames"
    else:
        assert tally.wrong == 0
    if name not in ("swap, close",):
        assert tally.served > 20, "the right ones are served"


# Some of the scenes: the detector takes its time. All of them: python -m bench.strangers
@pytest.mark.parametrize(
    "name",
    ["cross", "replaced at once", "seat taken at once", "photo on the wall", "three in turn"],
)
def test_made_up_people(name: str) -> None:
    show(name, made_up_people())


@pytest.mark.parametrize("name", [*SURE, *LATE])
def test_real_people(name: str) -> None:
    if not os.environ.get(PEOPLE):
        pytest.skip(f"real people are not shipped: set ${PEOPLE} to a folder of them")
    show(name, [photos[0] for photos in read(Path(os.environ[PEOPLE])).values()])


def test_too_few_people_for_a_scene_and_no_folder_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, portrait in zip("ab", made_up_people(), strict=False):
        (tmp_path / name).mkdir()
        for number in range(4):
            assert cv2.imwrite(str(tmp_path / name / f"{number}.png"), portrait)
    assert main(["--people", str(tmp_path), "--only", "face on a screen"]) == 2
    assert "must hold 3 people or more" in capsys.readouterr().err
    assert main(["--people", __file__]) == 2
    assert "is no folder of people" in capsys.readouterr().err
