"""What a person has no more is not shown because it was learnt."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from torch import Tensor

from bench import changed_people
from bench.changed_people import Photo, find_faces, looks_of, main, read_labels, real_looks
from bench.scenes.drawn_changes import CHANGES, FaceAxes, eyes_and_mouth
from engines.hime.cases import Case
from engines.hime.checkpoint import load_network
from engines.hime.data import to_tensor
from engines.hime.model import Hime
from engines.personal import changed_cases
from engines.personal import learner as learner_module
from engines.personal.changed_cases import ChangedCases, Look, Shown
from engines.personal.close_ups import CloseUp, split
from engines.personal.learner import Learner
from engines.weights.manifest import weights_files
from stream.frame import Image
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, hopper


def headshots(count: int) -> list[Image]:
    """Grace Hopper, from a little elsewhere each time, 256 px."""
    (x, y), half = HOPPER_FACE_CENTER, HOPPER_FACE_PX
    found = []
    for k in range(count):
        left, top = round(x - half + 3 * k), round(y - half + 2 * k)
        cut = np.ascontiguousarray(hopper()[top : top + 340, left : left + 340])
        found.append(np.asarray(cv2.resize(cut, (256, 256)), np.uint8))
    return found


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return find_faces(headshots(9), {8: "closed eyes"})


@pytest.fixture(scope="module")
def network() -> Hime:
    return load_network(weights_files(8)[1])


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_drawn_on_the_face_and_nowhere_else(name: str, photos: list[Photo]) -> None:
    one = photos[0]
    before = one.picture.copy()
    drawn = CHANGES[name].draw(one.picture, one.face)
    np.testing.assert_array_equal(one.picture, before)
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - before).max(axis=2) > 12)
    assert 100 < len(rows) < 256**2 / 5
    at = np.array([columns.mean(), rows.mean()]) - one.face.origin
    unit = one.face.unit_px
    along, down = (at @ one.face.x) / unit**2, (at @ one.face.y) / unit**2
    assert abs(along) < 0.3, "as much on the left as on the right"
    low, high = {
        "glasses off": (-0.2, 0.3),
        "closed eyes": (-0.2, 0.3),
        "fringe cut": (-1.4, -0.4),
        "beard shaved": (0.9, 2.0),
        "open mouth": (0.8, 1.7),
    }[name]
    assert low < down < high
    again = CHANGES[name].draw(one.picture, one.face)
    np.testing.assert_array_equal(drawn, again)


def test_a_turned_face_is_drawn_on_as_it_is_turned() -> None:
    keypoints = np.array([[10, 20], [10, 40], [14, 30], [30, 30], [0, 0], [0, 0]], np.float32)
    face = FaceAxes.of(keypoints)
    np.testing.assert_allclose(face.px([(0.5, 0.0), (0.0, 0.5)]), [[10, 40], [0, 30]])
    assert face.mouth == (0.0, -1.0)


def test_looks_differ_in_one_change_alone(photos: list[Photo]) -> None:
    gone = looks_of(photos[:1], "glasses off")[0]
    new = looks_of(photos[:1], "open mouth")[0]
    assert gone.learnt is not None
    assert new.learnt is not None
    np.testing.assert_array_equal(new.learnt, photos[0].picture)
    masks = eyes_and_mouth(photos[0].picture, photos[0].face)
    for look, place, other in (
        (gone, "closed eyes", "open mouth"),
        (new, "open mouth", "closed eyes"),
    ):
        assert look.learnt is not None
        apart = np.abs(look.learnt.astype(int) - look.now).max(axis=2) > 12
        assert apart[masks[place] > 127].any()
        assert not apart[masks[other] > 127].any()


def test_labelled_photos_are_measured_against_their_exemplars(photos: list[Photo]) -> None:
    looks = real_looks(photos)
    assert list(looks) == ["real closed eyes"]
    assert len(looks["real closed eyes"]) == 1
    learnt = [CloseUp(one.picture, float(k)) for k, one in enumerate(photos[:6])]
    cases = ChangedCases(looks["real closed eyes"], learnt, 8, 2)
    sheet = cases.sheet()
    assert {title: len(pictures) for title, pictures in sheet.items()} == {
        "far": 2,
        "now": 2,
        "learnt": 2,
    }
    assert not np.array_equal(sheet["now"][0], sheet["learnt"][0])


def figures(cases: ChangedCases, pictures: list[Image], patch: pytest.MonkeyPatch) -> Shown:
    def outputs(network: object, given: list[Case], exemplars: int) -> Tensor:
        return to_tensor(pictures)

    patch.setattr(changed_cases, "outputs", outputs)
    return cases.shown(None, 3)[0]  # type: ignore[arg-type]


def test_how_much_of_the_learnt_look_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    now = np.full((128, 128, 3), 100, np.uint8)
    learnt = now.copy()
    learnt[50:70, 50:70] = 20
    cases = ChangedCases([Look(now, learnt)], [CloseUp(learnt, 0.0)] * 3, 8, 1)
    true = figures(cases, [now], monkeypatch)
    assert (true.shown, true.psnr > 60.0, true.elsewhere > 60.0) == (0.0, True, True)
    lie = figures(cases, [learnt], monkeypatch)
    assert lie.shown == pytest.approx(1.0)
    assert lie.psnr == pytest.approx(20.0 * np.log10(255.0 / 80.0))
    assert lie.elsewhere > 60.0
    brighter = figures(cases, [now + np.uint8(40)], monkeypatch)
    assert brighter.shown == pytest.approx(-0.5)
    with pytest.raises(ValueError, match="changes nothing"):
        ChangedCases([Look(now, now)], [CloseUp(now, 0.0)] * 3, 8, 1)


def test_glasses_that_were_learnt_are_not_put_on_again(
    photos: list[Photo], network: Hime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(learner_module.BATCH, 8, 4)  # making pairs is what takes long
    looks = looks_of(photos, "glasses off")
    worn = [one.learnt for one in looks if one.learnt is not None]
    close_ups = [CloseUp(picture, float(k)) for k, picture in enumerate(worn[:7])]
    learner = Learner(network, close_ups, 48)
    for _ in learner.steps_made(judged=False):
        pass
    cases = ChangedCases(looks[7:], split(close_ups)[0], 8, 4)
    for exemplars in (0, 3):
        before, after = (cases.shown(one, exemplars)[0] for one in (network, learner.mean))
        assert after != before
        assert after.shown < before.shown + 0.05


def test_every_change_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"CASES": 1, "LEAST_PAIRS": 16, "LEARNT": 0.75}.items():
        monkeypatch.setattr(changed_people, name, value)
    monkeypatch.setattr("engines.personal.held_out.MOST_CASES", 2)
    (tmp_path / "grace").mkdir()
    for k, picture in enumerate(headshots(9)):
        cv2.imwrite(str(tmp_path / "grace" / f"{k}.png"), picture[:, :, ::-1])
    cv2.imwrite(str(tmp_path / "grace" / "9.png"), np.zeros((256, 256, 3), np.uint8))
    sheet, rows = tmp_path / "sheet.png", tmp_path / "rows.json"
    argv = ["--data", str(tmp_path), "--pairs", "16", "--sheet", str(sheet), "--json", str(rows)]
    assert main(argv) == 0
    found = json.loads(rows.read_text())
    assert [row["change"] for row in found] == list(CHANGES)
    for row in found:
        assert -0.5 < row["shipped"]["shown"] < 1.0
        assert row["shipped"] != row["shipped_alone"], "exemplars show the learnt look"
    out, err = capsys.readouterr()
    assert "grace: 9 photos with a face" in err
    assert out.count("| mean of 1 |") == len(CHANGES)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None
    assert drawn.shape[1] == 5 * 128
    assert drawn.shape[0] % 128 == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--pairs", "63"], "--pairs 64 or more"),
        (["--sheet", "sheet.doc"], "a name with .png or .jpg"),
        (["--people", "nobody"], "nobody is called nobody"),
        (["--labels", "absent.csv"], "absent.csv"),
        ([], "a: 0 photos with a face, 9 are needed"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    cv2.imwrite(str(tmp_path / "a" / "0.png"), np.zeros((128, 128, 3), np.uint8))
    assert main(["--data", str(tmp_path), *more]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["ada,one,closed eyes", "ada,1,a hat", ",1,open mouth", "ada,1", "ada"]
)
def test_labels_are_checked(tmp_path: Path, line: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("person,photo,change\nada,3,open mouth\n")
    assert read_labels(path) == {"ada": {3: "open mouth"}}
    path.write_text(f"person,photo,change\n{line}\n")
    with pytest.raises(ValueError, match="line 2: needs person, photo"):
        read_labels(path)
