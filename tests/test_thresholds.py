"""calibration.thresholds: limits are chosen as stated, and the code has those that ship."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration import gains, photos
from calibration.limits import (
    Choice,
    Scores,
    choose,
    choose_worth,
    constant,
    format_choices,
    shipped,
)
from calibration.thresholds import main
from engines.hime.people import Person
from stream.frame import Image
from tests import made_camera
from tests.helpers import hopper, need_models, scene_with_face

NEAR = "stream.camera_profile:ANY_CAMERA.near_px"
SAME = "stream.stages.tracker:SAME_SCENE"


def test_the_code_has_the_limits_that_ship() -> None:
    values = shipped()
    assert len(values) >= 5
    for name, value in values.items():
        assert constant(name) == pytest.approx(value), name


def test_precision_and_recall_of_known_scores() -> None:
    # Good: 0, 1, … 99; bad: 0, 1, … 9, which weigh as much.
    scores = Scores(range(100), range(10))
    half = scores.at(5.0)
    assert half.recall == pytest.approx(0.95)
    assert half.precision == pytest.approx(0.95 / (0.95 + 0.5))
    assert scores.at(-1.0).precision == pytest.approx(0.5)
    best = scores.best(1.0)
    assert 9 < best.limit <= 10
    assert best.precision == 1.0
    assert best.recall == pytest.approx(0.9)
    with pytest.raises(ValueError, match="scores of both"):
        Scores([], [1.0])


def test_a_clear_gap_is_cut_in_its_middle() -> None:
    assert Scores([0.8, 0.9], [0.1, 0.2]).best(0.999).limit == pytest.approx(0.5)


def test_no_limit_is_precise_enough() -> None:
    best = Scores([1.0, 2.0], [3.0]).best(0.99)
    assert best.recall == 1.0


def chosen(good: list[float], bad: list[float]) -> Choice:
    return choose(SAME, Scores(good, bad), 0.99, "made up")


def test_a_limit_that_does_as_well_stays() -> None:
    now = constant(SAME)
    stays = chosen([now + 0.1, now + 0.2], [now - 0.3, now - 0.2])
    assert stays.chosen == stays.today
    assert stays.best.limit != now
    strict = chosen([now - 0.2, now + 0.2], [now - 0.4])
    assert strict.chosen == strict.best, "it turns half of the good away"
    loose = chosen([now + 0.2], [now + 0.1])
    assert loose.chosen.limit == pytest.approx(now + 0.15, abs=1e-3)


def test_a_size_stays_where_enough_is_left_and_grows_where_it_is_not() -> None:
    near = constant(NEAR)
    enough = choose_worth(NEAR, [(64.0, 0.5), (near, 0.95)], 0.9)
    assert enough.chosen == enough.today
    assert enough.chosen == pytest.approx((near, 0.95))
    short = choose_worth(NEAR, [(64.0, 0.5), (near, 0.8), (2 * near, 1.0)], 0.9)
    assert short.chosen[0] == pytest.approx(1.5 * near, rel=0.01)
    with pytest.raises(ValueError, match="no size leaves"):
        choose_worth(NEAR, [(64.0, 0.1), (2 * near, 0.2)], 0.9)
    read = tomllib.loads(format_choices([], [short], "made up"))
    assert read["source"] == "made up"
    assert read[NEAR]["value"] == short.chosen[0]
    assert read[NEAR]["before"] == f"{near:g}: worth 0.800"


class Copying:
    """A network that shows the mean of its close-ups, and without any the enlarged crop."""

    name, scale = "copying", 4

    def encode(self, exemplars: list[Image]) -> Any:
        return np.mean(np.stack(exemplars), axis=0).round().astype(np.uint8)

    def enhance(self, crop: Image, features: Any) -> Image:
        return gains.resized(crop, 4 * crop.shape[0]) if features is None else features


def test_close_ups_lose_their_worth_by_blur_distance_and_light() -> None:
    head = gains.resized(np.ascontiguousarray(hopper()[40:440, 60:460]), 256)
    people = [Person("one", (head,) * 4), Person("two", (np.ascontiguousarray(head[:, ::-1]),) * 4)]
    given = gains.cases(people, 4, 32)
    assert [case.crop.shape for case in given] == [(32, 32, 3)] * 4
    network: Any = Copying()
    judge = gains.Judge(network, given)
    assert judge.full > 3.0
    for spoils, amounts in (
        (gains.blurred, (1.0, 3.0, 6.0)),
        (gains.far, (128.0, 48.0, 24.0)),
        (gains.lit, (0.9, 0.7, 0.5)),
    ):
        line = judge.shares(spoils, amounts)
        left = [share for _, share in line]
        assert left == sorted(left, reverse=True)
        assert left[-1] < 0.5
    assert gains.crossing([(0.0, 1.0), (2.0, 0.6), (4.0, 0.2)], 0.5) == pytest.approx(2.5)
    assert gains.crossing([(0.0, 1.0), (2.0, 0.6)], 0.5) is None


def test_blur_lowers_the_share_of_the_best_sharpness() -> None:
    head = gains.resized(np.ascontiguousarray(hopper()[40:440, 60:460]), 256)
    people = [Person("one", (head,) * 4), Person("few", (head,) * 2)]
    assert photos.of_best(people, 0.0) == [1.0] * 4
    slight, strong = photos.of_best(people, 0.7), photos.of_best(people, 2.0)
    assert len(slight) == len(strong) == 4
    assert 1.0 > slight[0] > strong[0] > 0.0
    assert photos.strangers(people) == pytest.approx([1.0] * photos.PAIRS)


def recording(path: Path, portrait: Image) -> None:
    """Somebody who moves a little before a wall."""
    pictures = []
    for index in range(26):
        x, y = 160 + 3 * np.sin(index / 3), 90 + 2 * np.cos(index / 4)
        pictures.append(scene_with_face(70, (320, 180), (x, y), noise=2.0, portrait=portrait))
    made_camera.write(path, pictures, [i / 30 for i in range(26)], (320, 180), 30, None, "libx264")


def test_the_limits_of_the_tracker_from_two_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_models()
    clips = tmp_path / "clips"
    clips.mkdir()
    recording(clips / "one.mkv", hopper())
    assert main(["--clips", str(clips)]) == 2
    assert "needs two recordings with a face" in capsys.readouterr().err
    # Another light and another side make of her somebody else, as far as a look goes.
    other = np.clip(hopper()[:, ::-1].astype(int) * 2 - 160, 0, 255).astype(np.uint8)
    recording(clips / "two.mkv", np.ascontiguousarray(other))
    output = tmp_path / "limits.toml"
    assert main(["--clips", str(clips), "--output", str(output)]) == 0
    read = tomllib.loads(output.read_text())
    assert read["source"].startswith("clips: 2 recordings; ")
    same = read["stream.stages.tracker:SAME_FACE"]
    assert same["good"] >= 6
    assert same["bad"] >= 2
    assert 0.0 < same["value"] < 1.0
    assert str(tmp_path) not in output.read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "nothing to measure"),
        (["--data", "nowhere"], "nowhere does not exist"),
        (["--clips", ".", "--picture", "a.gif"], "pictures are written as"),
        (["--clips", ".", "--cases", "-1"], "out of range"),
        (["--clips", ".", "--output", "nowhere/a.toml"], "the folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert why in line
