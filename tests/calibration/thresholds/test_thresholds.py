"""calibration.thresholds: limits are chosen as stated, and the code has those that ship."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.thresholds import exemplar_worth, gains, patches, photos
from calibration.thresholds.__main__ import main
from calibration.thresholds.held_out import halves, read_people
from calibration.thresholds.limits import Choice, choose, choose_margin, choose_worth, constant
from calibration.thresholds.rules import (
    FewestMistakes,
    Gains,
    Keeping,
    MostGain,
    Precise,
    Rare,
    Scores,
)
from calibration.thresholds.thresholds_file import (
    Tables,
    format_tables,
    read_tables,
    shipped,
    table_of,
)
from engines.contract import check_exemplars
from engines.hime.people import Person
from stream.frame import Image
from tests import known_camera
from tests.pictures import hopper, need_models, scene_with_face

NEAR = "stream.camera_profile:ANY_CAMERA.near_px"
SAME = "stream.stages.tracking.tracker:SAME_SCENE"
HEAD = gains.resized(np.ascontiguousarray(hopper()[40:440, 60:460]), 256)
UNLIKE = "stream.stages.exemplars.face_similarity:UNLIKE"


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
    best = Precise(1.0).best(scores)
    assert 9 < best.limit <= 10
    assert best.precision == 1.0
    assert best.recall == pytest.approx(0.9)
    with pytest.raises(ValueError, match="scores of both"):
        Scores([], [1.0])


def test_a_clear_gap_is_cut_in_its_middle() -> None:
    clear = Precise(0.999).best(Scores([0.8, 0.9], [0.1, 0.2]))
    assert clear.limit == pytest.approx(0.5)
    # What lies below the limit passes.
    below = Scores([0.1, 0.2], [0.8, 0.9], upper=True)
    assert Precise(0.999).best(below).limit == pytest.approx(0.5)
    assert (below.at(0.5).precision, below.at(0.5).recall) == (1.0, 1.0)
    assert below.at(0.15).recall == 0.5


def test_no_limit_is_precise_enough() -> None:
    best = Precise(0.99).best(Scores([1.0, 2.0], [3.0]))
    assert best.recall == 1.0


def chosen(good: list[float], bad: list[float]) -> Choice:
    return choose(SAME, Scores(good, bad), Scores([1.0, 0.2], [0.1]), Precise(0.99), "made up")


def test_a_limit_that_does_as_well_stays() -> None:
    now = constant(SAME)
    stays = chosen([now + 0.1, now + 0.2], [now - 0.3, now - 0.2])
    assert stays.chosen == stays.today
    assert stays.best.limit != now
    strict = chosen([now - 0.2, now + 0.2], [now - 0.4])
    assert strict.chosen == strict.best, "it turns half of the good away"
    loose = chosen([now + 0.2], [now + 0.1])
    assert loose.chosen.limit == pytest.approx(now + 0.15, abs=1e-3)
    # What is said of it was measured on the others.
    assert (loose.held_out.limit, loose.held_out.recall) == (loose.chosen.limit, 0.5)
    assert (loose.good, loose.bad) == (2, 1)


def test_the_strictest_limit_that_keeps_nearly_all_gain() -> None:
    # Each of 100 gains 0.01 dB, the last ten bring nothing, what is beyond costs.
    values = list(range(130))
    gain = [0.01] * 90 + [0.00001] * 10 + [-0.02] * 30
    scores = Gains(values, gain, upper=True)
    assert (len(scores.good), len(scores.bad)) == (100, 30)
    best, stays = MostGain(0.99)(scores, 95.0)
    assert 88 <= best.limit <= 90
    assert stays, "it keeps as much"
    assert not MostGain(0.99)(scores, 80.0)[1], "a tenth is lost"
    assert not MostGain(0.99)(scores, 110.0)[1], "what harms passes"
    assert scores.total_db(best.limit) == pytest.approx(0.9, rel=0.02)
    # Where nothing harms there is a limit, too: for what brings next to nothing.
    assert MostGain(0.99)(Gains(values[:100], gain[:100], upper=True), 99.0)[1]
    with pytest.raises(TypeError):
        MostGain()(Scores([1.0], [0.0]), 0.5)


def test_the_limit_with_the_fewest_mistakes() -> None:
    scores = Scores([0.4, 0.6, 0.7, 0.8, 0.9], [0.0, 0.1, 0.2, 0.3, 0.65])
    best, stays = FewestMistakes()(scores, 0.35)
    assert 0.3 < best.limit <= 0.4
    assert stays
    assert not FewestMistakes()(scores, 0.75)[1]


def test_the_strictest_limit_that_keeps_enough() -> None:
    scores = Scores(list(np.arange(100) / 100), [0.0, 0.02, 0.04, 0.5])
    best, stays = Keeping(0.9)(scores, 0.1)
    assert (best.limit, best.recall) == (0.1, 0.9)
    assert stays
    assert not Keeping(0.9)(scores, 0.2)[1], "too much is turned away"
    assert not Keeping(0.9)(scores, 0.01)[1], "more strangers pass than need to"


def test_what_is_too_rare_to_be_seen_follows_from_the_tail() -> None:
    # An exponential tail with the share exp(-x / 0.1) above x.
    bad = -0.1 * np.log(np.random.default_rng(0).uniform(size=20_000))
    best, stays = Rare(1e-6)(Scores([2.0, 3.0], list(bad)), 1.0)
    assert best.limit == pytest.approx(-0.1 * np.log(1e-6), rel=0.15)
    assert not stays
    assert Rare(1e-6)(Scores([2.0, 3.0], list(bad)), 1.7)[1]


def test_two_limits_lie_further_apart_than_what_trembles() -> None:
    sure = "stream.stages.enhancement.consistency_check:SURE"
    now, first = constant(sure), constant("stream.stages.enhancement.consistency_check:DOUBT")
    gap = first - now
    calm = choose_margin(sure, "first", first, ([0.3 * gap] * 20, [45 * gap]), 0.95, -1.0)
    assert calm.chosen == calm.today == (now, 1.0)
    assert calm.held_out == 0.0
    restless = choose_margin(
        sure, "first", first, ([-2.0 * gap] * 18 + [0.0] * 2, [0.9 * gap, 3.0 * gap]), 0.95, -1.0
    )
    assert restless.chosen[0] == pytest.approx(first - 2.0 * gap, abs=0.011)
    assert restless.chosen[1] == 1.0
    assert restless.today[1] == pytest.approx(0.1)
    assert restless.held_out == 0.5


def test_nobody_is_chosen_on_and_reported_on(tmp_path: Path) -> None:
    parts = halves(list(range(7)), "seven")
    assert set(parts.chosen_on).isdisjoint(parts.held_out)
    assert sorted(parts.all) == list(range(7))
    with pytest.raises(ValueError, match="one: a limit is chosen on some"):
        halves([1], "one")
    faces(tmp_path / "photos")
    read = read_people([tmp_path / "photos"], 3)
    assert len(read.all) == 3
    assert read.source == "photos: 16 headshots of 4 people; of these 12 headshots of 3 people"
    assert str(tmp_path) not in read.source


def test_a_size_stays_where_enough_is_left_and_grows_where_it_is_not() -> None:
    near = constant(NEAR)
    others = [(64.0, 0.4), (2 * near, 1.0)]
    enough = choose_worth(NEAR, [(64.0, 0.5), (near, 0.95)], others, 0.9)
    assert enough.chosen == enough.today
    assert enough.chosen == pytest.approx((near, 0.95))
    assert enough.held_out == pytest.approx(np.interp(near, [64.0, 2 * near], [0.4, 1.0]))
    short = choose_worth(NEAR, [(64.0, 0.5), (near, 0.8), (2 * near, 1.0)], others, 0.9)
    assert short.chosen[0] == pytest.approx(1.5 * near, rel=0.01)
    with pytest.raises(ValueError, match="no size leaves"):
        choose_worth(NEAR, [(64.0, 0.1), (2 * near, 0.2)], others, 0.9)
    read = tomllib.loads(format_tables({NEAR: table_of(short, "made up")}))
    assert read[NEAR]["source"] == "made up"
    assert read[NEAR]["value"] == short.chosen[0]
    assert read[NEAR]["worth"] == pytest.approx(short.held_out, abs=1e-3)
    assert read[NEAR]["before"] == f"{near:g}: worth 0.800"


class Copying:
    """A network that shows the mean of its exemplars, and without any the enlarged crop."""

    name, scale = "copying", 4

    def encode(self, exemplars: list[Image]) -> Any:
        check_exemplars(exemplars, self.scale)
        return np.mean(np.stack(exemplars), axis=0).round().astype(np.uint8)[:, :, :3]

    def enhance(self, crop: Image, features: Any) -> Image:
        return gains.resized(crop, 4 * crop.shape[0]) if features is None else features


def test_close_ups_lose_their_worth_by_blur_distance_and_light() -> None:
    people = [Person("one", (HEAD,) * 4), Person("two", (np.ascontiguousarray(HEAD[:, ::-1]),) * 4)]
    given = gains.cases(people, 4, 32)
    assert [case.crop.shape for case in given] == [(32, 32, 3)] * 4
    network: Any = Copying()
    meter = gains.GainMeter(network, given)
    assert meter.full > 3.0
    for spoils, amounts in (
        (gains.blurred, (1.0, 3.0, 6.0)),
        (gains.far, (128.0, 48.0, 24.0)),
        (gains.lit, (0.9, 0.7, 0.5)),
    ):
        line = meter.shares(spoils, amounts)
        left = [share for _, share in line]
        assert left == sorted(left, reverse=True)
        assert left[-1] < 0.5
    assert gains.crossing([(0.0, 1.0), (2.0, 0.6), (4.0, 0.2)], 0.5) == pytest.approx(2.5)
    assert gains.crossing([(0.0, 1.0), (2.0, 0.6)], 0.5) is None


def test_blur_lowers_the_share_of_the_best_sharpness() -> None:
    people = [Person("one", (HEAD,) * 4), Person("few", (HEAD,) * 2)]
    assert photos.of_best(people, 0.0) == [1.0] * 4
    slight, strong = photos.of_best(people, 0.7), photos.of_best(people, 2.0)
    assert len(slight) == len(strong) == 4
    assert 1.0 > slight[0] > strong[0] > 0.0
    assert photos.strangers(people) == pytest.approx([1.0] * photos.PAIRS)


def faces(folder: Path) -> None:
    """Four people with four photos each: one portrait, changed enough."""
    looks = [HEAD, HEAD[:, ::-1], 255 - HEAD, 255 - HEAD[:, ::-1]]
    for number, look in enumerate(looks):
        home = folder / f"person_{number}"
        home.mkdir(parents=True)
        for k in range(4):
            moved = np.roll(look, 3 * k, axis=1)
            cv2.imwrite(str(home / f"one_{k}.png"), moved[:, :, ::-1])


def test_close_ups_are_tried_in_every_pose_and_light() -> None:
    need_models()
    network: Any = Copying()
    found = exemplar_worth.tried(network, [Person("one", (HEAD,) * 3)])
    kinds = [one.kind for one in found]
    assert {kinds.count(kind) for kind in ("lit", "dim", "hidden")} == {3}
    plain = [one for one in found if one.kind == "plain"]
    # The copy of the truth is worth much, and the same pose is the same.
    assert all(one.gain_db > 3.0 and one.apart == 0.0 for one in plain)
    assert all(one.score > 0.5 for one in plain)
    lit = [one for one in found if one.kind == "lit"]
    assert min(one.gain_db for one in lit) < 0.0, "a light of another room"
    assert len({round(one.light.mean) for one in lit}) > 1
    with pytest.raises(ValueError, match="nobody has two photos"):
        exemplar_worth.tried(network, [Person("few", (HEAD,))])


def test_patches_beside_their_place_are_worth_less() -> None:
    people = [Person("one", (HEAD,) * 4), Person("two", (np.ascontiguousarray(HEAD[:, ::-1]),) * 4)]
    network: Any = Copying()
    found = patches.patches(network, people)
    assert len(found.differs) == len(found.shown_db) == 2 * (6 + patches.MOVES)
    assert len(found.differs_again) == 2
    order = np.argsort(found.differs)
    assert found.shown_db[order[0]] > 1.0 > 0.0 > found.shown_db[order[-1]]
    with pytest.raises(ValueError, match="two people with 4 photos"):
        patches.patches(network, people[:1])


def test_limits_that_were_not_measured_stay_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces(tmp_path / "photos")
    output = tmp_path / "limits.toml"
    before: Tables = {"a.module:LIMIT": {"value": 3, "labels": "made up"}}
    output.write_text(format_tables({**before, UNLIKE: {"value": 0.1}}))
    command = ["--data", str(tmp_path / "photos"), "--only", "resemblance", "--quick"]
    assert main([*command, "--output", str(output)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--output", str(output), "--overwrite"]) == 0
    read = read_tables(output)
    assert list(read) == ["a.module:LIMIT", UNLIKE]
    assert read["a.module:LIMIT"] == before["a.module:LIMIT"]
    assert read[UNLIKE]["good"] == read[UNLIKE]["bad"] == 8
    assert read[UNLIKE]["rule"] == "strictest with recall 0.95"
    assert str(read[UNLIKE]["source"]).startswith("photos: 16 headshots of 4 people; ")
    output.write_text("near = 3\n")
    assert main([*command, "--output", str(output), "--overwrite"]) == 2
    assert "is no file of limits" in capsys.readouterr().err


def recording(path: Path, portrait: Image) -> None:
    """Somebody who moves a little before a wall."""
    pictures = []
    for index in range(26):
        x, y = 160 + 3 * np.sin(index / 3), 90 + 2 * np.cos(index / 4)
        pictures.append(scene_with_face(70, (320, 180), (x, y), noise=2.0, portrait=portrait))
    known_camera.write(path, pictures, [i / 30 for i in range(26)], (320, 180), 30, None, "libx264")


def test_the_limits_of_the_tracker_from_four_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_models()
    clips = tmp_path / "clips"
    clips.mkdir()
    # Another light and another side make of her somebody else, as far as a look goes.
    other = np.clip(hopper().astype(int) * 2 - 160, 0, 255).astype(np.uint8)
    for name, portrait in (("a_1", hopper()), ("b_1", hopper()[:, ::-1])):
        recording(clips / f"{name}.mkv", np.ascontiguousarray(portrait))
    output = tmp_path / "limits.toml"
    command = ["--clips", str(clips), "--only", "tracker", "--output", str(output)]
    assert main(command) == 2
    assert "needs recordings of four people with a face" in capsys.readouterr().err
    for name, portrait in (("c_1", other), ("d_1", other[:, ::-1])):
        recording(clips / f"{name}.mkv", np.ascontiguousarray(portrait))
    assert main(command) == 0
    read = read_tables(output)
    same = read["stream.stages.tracking.tracker:SAME_FACE"]
    assert str(same["source"]).startswith("clips: 4 recordings of 4 people; ")
    assert int(same["good"]) >= 6
    assert int(same["bad"]) >= 1
    assert 0.0 < float(same["value"]) < 1.0
    assert str(tmp_path) not in output.read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "nothing to measure"),
        (["--data", "nowhere"], "nowhere does not exist"),
        (["--clips", ".", "--picture", "a.gif"], "pictures are written as"),
        (["--clips", ".", "--cases", "1"], "out of range"),
        (["--clips", ".", "--only", "tracker", "worth"], "--only worth needs --data"),
        (["--data", ".", "--only", "tracker"], "--only tracker needs --clips"),
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
