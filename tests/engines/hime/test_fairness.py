"""Fairness: groups, intervals, labels that name nobody, and the real program."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.hime import evaluate, fairness
from engines.hime.fairness import Score, differences, disguised, groups, labels_of
from engines.hime.skin_tone import GROUPS, Image, skin_tone, typology_angle
from tests.noise_people import make_people

LABELS = Path(fairness.__file__).with_name("face_labels.csv")


def headshot(lightness: float, a: float, b: float, exposure: float = 1.0) -> Image:
    """A face of one colour before a white wall, RGB uint8 (64, 64, 3)."""
    lab = np.array([[[lightness, a, b]]], np.float32)
    colour = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0]
    picture = np.ones((64, 64, 3))
    picture[16:48, 16:48] = colour
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    dimmed = linear * exposure
    coded = np.where(dimmed <= 0.0031308, dimmed * 12.92, 1.055 * dimmed ** (1 / 2.4) - 0.055)
    return (coded * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("exposure", [1.0, 0.4])
@pytest.mark.parametrize(
    ("lightness", "angle", "group"),
    [(72, 50.7, "light"), (62, 33.7, "intermediate"), (45, -15.5, "tan to dark")],
)
def test_the_angle_is_that_of_the_definition_in_any_exposure(
    lightness: float, angle: float, group: str, exposure: float
) -> None:
    photo = headshot(lightness, 10.0, 18.0, exposure)
    assert typology_angle(photo) == pytest.approx(angle, abs=2.5)
    assert skin_tone([photo]) == group


def test_pictures_without_colours_say_nothing_and_one_odd_picture_decides_nothing() -> None:
    grey = headshot(60.0, 0.0, 0.0)
    assert typology_angle(grey) is None
    assert skin_tone([grey]) is None
    light, dark = headshot(75, 10, 18), headshot(40, 10, 18)
    assert skin_tone([light, dark, grey, light]) == GROUPS[0]


def score(person: str, gain: float, coherence: float = 0.5, **looks: str) -> Score:
    return Score(person, 2, gain, coherence, looks)


def test_a_person_counts_once_and_few_people_are_marked() -> None:
    some = [score(f"a{k}", 1.0 + 0.1 * k, glasses="no") for k in range(8)]
    everybody, no, yes = groups([*some, score("b", 3.0, 0.1, glasses="yes")])
    assert (everybody.people, everybody.headshots) == (9, 18)
    assert (no.value, no.few) == ("no", False)
    assert no.gain == pytest.approx(1.35)
    assert no.gain_interval is not None
    low, high = no.gain_interval
    # the standard error is 0.081
    assert low == pytest.approx(1.35 - 1.96 * 0.081, abs=0.02)
    assert high == pytest.approx(1.35 + 1.96 * 0.081, abs=0.02)
    assert (yes.people, yes.gain_interval, yes.few) == (1, None, True)
    assert groups(some)[1].gain_interval == no.gain_interval, "the same each time"


def test_an_easier_data_set_makes_no_difference_between_groups() -> None:
    """Beards are more frequent where everybody gains more, and change nothing."""
    easy = [score(f"e{k}", 3.0 + k % 2, beard="yes" if k < 6 else "no") for k in range(8)]
    hard = [score(f"h{k}", 0.0 + k % 2, beard="yes" if k < 2 else "no") for k in range(8)]
    plain = {g.value: g.gain for g in groups([*easy, *hard], everybody=False)}
    fair = {g.value: g.gain for g in groups(differences([easy, hard]), everybody=False)}
    assert plain["yes"] > plain["no"] + 1
    assert fair == {"yes": pytest.approx(0.0), "no": pytest.approx(0.0)}


def test_scores_are_those_of_evaluate_and_name_nobody(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "people"
    data.mkdir()
    make_people(data)
    table = tmp_path / "labels.csv"
    table.write_text(f"person,glasses\nperson_0,yes\n{disguised('person_1')},no\n")
    common = ["--data", str(data), "--size", "16", "--weights", str(weights)]
    argv = [*common, "--labels", str(table), "--json", str(tmp_path / "fair.json")]
    assert fairness.main(argv) == 0
    out, err = capsys.readouterr()
    assert "| glasses | yes | 1 (few) | 4 |" in out
    assert "warning: fewer than 8 people" in err
    assert "warning: 1 people have no labels" in err
    text = (tmp_path / "fair.json").read_text()
    assert "person_" not in text + out + err
    (everybody, *_) = json.loads(text)["sets"]["people"]
    rows = tmp_path / "rows.json"
    argv = [*common, "--degradation", "call", "--counts", "0,3", "--json", str(rows)]
    assert evaluate.main(argv) == 0
    base, _, three, *_ = json.loads(rows.read_text())["rows"]
    assert everybody["gain"] == pytest.approx(three["psnr"] - base["psnr"], abs=1e-3)
    assert everybody["people"] == 3


def test_the_committed_labels_name_nobody() -> None:
    found = labels_of(LABELS)
    assert len(found) == 41
    assert all(len(one) == 16 and set(one) <= set("0123456789abcdef") for one in found)
    for column, values in {
        "glasses": {"yes", "no", "some"},
        "beard": {"yes", "no", "some"},
    }.items():
        assert {one[column] for one in found.values()} == values
    assert {one.get("age") for one in found.values()} == {"20-39", "40-59", "60+", None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,beard\na,no\n", "needs a column person"),
        ("person\na\n", "needs a column person, and others"),
        ("person,beard\na,no\na,yes\n", "a stands twice"),
    ],
)
def test_wrong_labels_are_one_line(
    text: str, words: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text(text)
    data = tmp_path / "people"
    data.mkdir()
    make_people(data)
    argv = ["--data", str(data), "--labels", str(tmp_path / "labels.csv"), "--size", "16"]
    assert fairness.main([*argv, "--weights", str(weights)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert fairness.main([*argv, "--weights", str(weights), "--scale", "8"]) == 2
    assert "enlarges 4 times, not 8" in capsys.readouterr().err
    assert fairness.main([*argv[:2], "--labels", str(tmp_path / "none.csv")]) == 2
