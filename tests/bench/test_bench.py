"""The bench: its truth is what the camera sees, its figures say what they should."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.__main__ import casting, main
from bench.measures.evaluator import WAYS, Evaluator, Notes, Seen
from bench.measures.image_measures import psnr
from bench.measures.stages import STAGES
from bench.measures.summary import summarise, table
from bench.scenes.call import Call
from bench.scenes.cases import CASES, Case
from bench.scenes.synthetic_people import Photo
from bench.scenes.trajectories import Trajectory, Waypoint
from stream.frame import Exemplar, Face, Frame, Image, Patch, View
from stream.image.headshot import to_exemplar
from stream.image.resample import resample
from stream.media.demo.demo_scene import DemoScene
from stream.recordings.people_learning import PeopleLearning
from stream.stages.enhancement.consistency_check import IDENTITY_MARGIN
from stream.telemetry.progress import Progress
from tests.pictures import need_models

SIZE = (320, 180)
FAR = Trajectory((Waypoint(0.0, 0.3, 0.45, 40.0),))
OTHER = Trajectory((Waypoint(0.0, 0.7, 0.45, 36.0),))
CLOSE_THEN_FAR = Trajectory((Waypoint(0.0, 0.5, 0.5, 90.0), Waypoint(0.2, 0.3, 0.45, 40.0)))


@cache
def scene() -> DemoScene:
    return DemoScene()


def a_call(*trajectories: Trajectory, case: Case | None = None) -> Call:
    people = [Photo(scene(), other=number == 1) for number in range(len(trajectories))]
    base = case or Case("test", (), 0.4, codec=None)
    return Call(replace(base, trajectories=trajectories), people, SIZE)


def texture(seed: int = 0, side: int = 96) -> Image:
    noise = np.random.default_rng(seed).standard_normal((side, side, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return np.asarray(np.clip(128 + 40 * smooth / smooth.std(), 0, 255), np.uint8)


def test_a_way_begins_and_ends_at_its_marks_and_is_smooth() -> None:
    trajectory = Trajectory((Waypoint(1.0, 0.2, 0.5, 100.0), Waypoint(2.0, 0.6, 0.4, 40.0)))
    assert trajectory.at(0.0).face_px == trajectory.at(1.0).face_px == 100.0
    assert (trajectory.at(2.0).x, trajectory.at(3.0).face_px) == (0.6, 40.0)
    steps = np.diff([trajectory.at(t).x for t in np.linspace(0.9, 2.1, 61)])
    assert (steps >= 0.0).all()
    assert np.abs(np.diff(steps)).max() < 0.3 * steps.max()


@pytest.mark.parametrize("name", CASES)
def test_every_case_shows_a_far_face_after_a_close_one_or_says_why_not(name: str) -> None:
    case = CASES[name](1.0)
    assert case.name == name
    widths = [[trajectory.at(t / 10).face_px for t in range(round(10 * case.duration_s))]
              for trajectory in case.trajectories]  # fmt: skip
    assert all(min(one) <= case.far_most_px - 2.0 for one in widths)
    assert case.far_most_px == 62.0 or name == "half-way"
    assert max(max(one) for one in widths) > 100.0 or name == "never-close"


def test_the_camera_sees_the_truth() -> None:
    call = a_call(FAR, OTHER)
    frames = list(call)
    assert [frame.index for frame in frames] == list(range(call.frames_total))
    whole = (0.0, 0.0, 320.0, 180.0)
    for frame in frames[::3]:
        small = call.render(frame.index, whole, SIZE)
        large = call.render(frame.index, whole, (640, 360))
        assert 32.0 < psnr(frame.image, small) < 45.0
        shrunk = np.asarray(cv2.resize(large, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
        assert psnr(shrunk, small) > 32.0


def test_a_codec_does_damage_and_keeps_every_frame() -> None:
    for codec in ("h264", "vp8"):
        call = a_call(FAR, case=Case("test", (), 0.4, codec=codec, bits=0.5))
        frames = list(call)
        assert len(frames) == call.frames_total
        clean = call.render(5, (0.0, 0.0, 320.0, 180.0), SIZE)
        assert 20.0 < psnr(frames[5].image, clean) < 38.0


def test_faces_lie_where_they_are_drawn() -> None:
    need_models()
    from stream.stages.tracking.face_detector import FaceDetector

    call = a_call(FAR, OTHER)
    shown = call.render(3, (0.0, 0.0, 320.0, 180.0), (1280, 720))
    with FaceDetector() as detector:
        found = sorted(detector.detect(shown, model="full"), key=lambda f: float(f.box[0]))
    assert len(found) == 2
    for face, true in zip(found, call.faces(3), strict=True):
        assert np.abs(face.box / 4.0 - true.box).max() < 0.12 * true.width_px


def test_a_frozen_scene_stands_still() -> None:
    call = a_call(CLOSE_THEN_FAR, case=Case("test", (), 0.8, codec=None, frozen_s=0.3))
    whole = (0.0, 0.0, 320.0, 180.0)
    assert np.array_equal(call.render(9, whole, SIZE), call.render(15, whole, SIZE))
    assert not np.array_equal(call.render(9, whole, SIZE), call.render(3, whole, SIZE))


def judged(call: Call, exemplar_of: int, paint: int) -> Notes:
    """Notes on a call whose output is the truth, `paint` levels too bright."""
    evaluator = Evaluator(call, None)
    whole = (0.0, 0.0, 320.0, 180.0)
    view = View(whole, (640, 360))
    close = call.faces(0)[exemplar_of]
    x, y, side = *close.center, round(2 * close.width_px)
    rect = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    exemplar = Exemplar(to_exemplar(call.render(0, rect, (256, 256))), side, (0, 0), 0.1, 0.0)
    for frame in call:
        truth = call.render(frame.index, whole, (640, 360))
        faces = []
        for true in call.faces(frame.index):
            left, top = (round(v) for v in true.box[:2])
            patch = Patch(texture(side=32), (left, top, left + 8, top + 8), 4)
            points = np.zeros((6, 2), np.float32)
            faces.append(Face(true.person + 1, true.box, points, 1.0, (exemplar,), 1, patch))
        output = np.clip(truth.astype(int) + paint, 0, 255).astype(np.uint8)
        seen = replace(frame, faces=tuple(faces), view=view, output=output)
        plain = resample(frame.image, whole, (640, 360))
        evaluator.see(seen, replace(seen, output=plain))
    return evaluator.notes()


def test_the_truth_is_better_than_the_camera_and_a_brightened_one_is_not() -> None:
    call = a_call(CLOSE_THEN_FAR)
    good = summarise("good", [judged(call, 0, 0)])
    assert good.psnr is not None
    assert good.flicker is not None
    assert good.psnr["closeup"] > 60.0
    assert good.psnr["alone"] == good.psnr["bicubic"] < 35.0
    assert good.flicker["closeup"] < 0.1 < good.flicker["bicubic"]
    assert (good.worse, good.enhanced, good.wrong, good.informed) == (0.0, 1.0, 0.0, 1.0)
    bad = summarise("bad", [judged(call, 0, 40)])
    assert bad.worse == 1.0
    assert bad.worst_db is not None
    assert bad.worst_db < -3.0
    assert json.loads(json.dumps(bad.as_json()))["worse"] == 1.0
    assert len(table([good, bad]).splitlines()) == 4


def test_close_ups_of_somebody_else_are_noticed() -> None:
    call = a_call(FAR, OTHER)
    notes = judged(call, 1, 0)
    owners = {(one.person, one.exemplars) for one in notes.seen}
    assert owners == {(0, (1,)), (1, (1,))}
    assert summarise("swapped", [notes]).wrong == pytest.approx(0.5)


def test_a_patch_on_nobody_is_counted() -> None:
    call = a_call(FAR)
    evaluator = Evaluator(call, None)
    image = np.zeros((180, 320, 3), np.uint8)
    box = np.array([250, 100, 290, 140], np.float32)
    patch = Patch(texture(side=32), (250, 100, 258, 108), 4)
    face = Face(7, box, np.zeros((6, 2), np.float32), 1.0, patch=patch)
    view = View((0.0, 0.0, 320.0, 180.0), (640, 360))
    output = np.zeros((360, 640, 3), np.uint8)
    frame = Frame(image, 0, 0, 1 / call.rate, 0, (face,), view, output)
    evaluator.see(frame, frame)
    assert evaluator.notes().stray == 1


def test_figures_of_nothing_are_none() -> None:
    empty = summarise("empty", [Notes()])
    assert (empty.psnr, empty.worse, empty.wrong) == (None, None, None)
    assert "| - |" in table([empty])
    one = Seen(0, 0, 1.0, False, tuple(30.0 for _ in WAYS))
    assert summarise("one", [Notes([one])]).flicker is None


def identity_of(*changes: float) -> Notes:
    """Notes of faces whose likeness to the truth is that of bicubic enlargement, and a change."""
    dark = tuple(30.0 for _ in WAYS)
    seen = [Seen(i, 0, 1.0, False, dark) for i in range(len(changes))]
    for one, change in zip(seen, changes, strict=True):
        one.identity = (0.9, 0.9, 0.9 + change)
    return Notes(seen)


@pytest.mark.parametrize(
    ("changes", "promises"),
    [
        ((0.03, -0.9 * IDENTITY_MARGIN), 2),
        ((0.1, -1.1 * IDENTITY_MARGIN), 1),
        ((0.001, -0.002), 1),
        ((-2.0 * IDENTITY_MARGIN,), 0),
        ((), 2),
    ],
)
def test_a_face_below_the_margin_marks_its_row(changes: tuple[float, ...], promises: int) -> None:
    """Two are kept: no face below the margin, and none below bicubic on average."""
    row = summarise("walk", [identity_of(*changes)])
    kept = 2 - len(row.broken)
    assert kept == promises
    assert ("**below**" in table([row])) == (kept < 2)
    assert row.as_json()["broken"] == list(row.broken)


def test_the_bench_fails_where_a_promise_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need_models()
    for changes, status in (((0.01, 0.02), 0), ((0.01, -0.05), 1)):
        notes = identity_of(*changes)
        monkeypatch.setattr("bench.__main__.run", lambda *_, notes=notes, **__: notes)
        assert main(["--quick", "--cases", "walk", "--no-identity"]) == status
        assert ("below the margin: walk demo" in capsys.readouterr().err) == (status == 1)


def test_every_clip_walks_once_and_the_rest_take_turns() -> None:
    clips = [Path(f"{name}.mp4") for name in "abc"]
    casts = list(casting(["walk", "swap", "dark"], clips, 0))
    assert [cast.name for cast in casts[:3]] == ["walk demo", "swap demo", "dark demo"]
    assert [cast.name for cast in casts[3:6]] == ["walk a", "walk b", "walk c"]
    assert [len(cast.clips) for cast in casts[6:]] == [2, 1]
    assert len({*casts[6].clips, *casts[7].clips}) == 3
    assert list(casting(["walk"], [], 0, demo=False)) == []


def test_a_call_through_the_real_stages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_models()

    def nothing_learnt(call: Call, minutes: float, *, scale: float) -> PeopleLearning:
        assert (call.size, minutes, scale) == ((640, 360), 1.5, 2.0)
        return PeopleLearning(minutes, scale, Progress)

    monkeypatch.setattr("bench.__main__.learn", nothing_learnt)
    monkeypatch.setattr("bench.__main__.SITS_S", 0.4)
    argv = ["--quick", "--cases", "walk", "--pace", "0.25", "--no-identity", "--videos", "webp"]
    argv += ["--learn", "1.5", "--pictures", str(tmp_path / "pictures")]
    assert main([*argv, "--stages", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "bench.json").read_text())
    walk, learned = result["cases"]
    assert walk["name"] == "walk demo"
    assert learned == {**walk, "name": "walk demo learned"}, "nothing was learnt"
    assert result["learnt"] == {"walk demo": []}
    assert result["all learned"]["psnr"] == result["all"]["psnr"]
    ways = {path.name for path in (tmp_path / "pictures" / "walk-demo" / "0").iterdir()}
    assert ways == {"bicubic", "alone", "closeup", "learned", "truth"}
    assert walk["informed"] > 0.9
    assert walk["wrong"] == 0.0
    assert walk["enhanced"] > 0.5
    assert walk["psnr"]["closeup"] > walk["psnr"]["bicubic"] + 0.5
    assert walk["worse"] == 0.0
    printed = capsys.readouterr().out
    assert "learnt, walk demo: nobody was learnt: that takes 6 close-ups" in printed
    assert (tmp_path / "bench.md").read_text().strip() in printed
    rows = [line.split(" | ") for line in printed.split("| after |")[1].splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in rows] == list(STAGES)
    sharpness = {row[0].removeprefix("| "): float(row[3]) for row in rows}
    assert sharpness["bicubic"] < sharpness["network"] < sharpness["detail raised"]
    faces = {row[0].removeprefix("| "): int(row[1]) for row in rows}
    assert faces["bicubic"] == faces["network"] == faces["encoder"] <= faces["encoder, all faces"]
    assert cv2.imread(str(tmp_path / "bench.png")) is not None
    video = (tmp_path / "walk-demo.webp").read_bytes()
    assert video[8:12] == b"WEBP"
    assert b"ANIM" in video[:100]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--cases", "wlak"], "there is no case wlak"),
        (["--clips", "nowhere.mp4"], "nowhere.mp4 does not exist"),
        (["--no-demo"], "--no-demo leaves nobody"),
        (["--no-demo", "--clips", __file__], "no recording"),
        (["--videos", "mp4"], "--videos needs --out"),
        (["--learn", "0"], "--learn takes minutes"),
    ],
)
def test_mistakes_are_named(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert message in capsys.readouterr().err


def test_glasses_are_seen_from_when_they_are_worn_and_only_on_the_face() -> None:
    bare, worn = a_call(FAR), a_call(replace(FAR, glasses_s=0.2))
    whole = (0.0, 0.0, 320.0, 180.0)
    assert np.array_equal(bare.render(2, whole, SIZE), worn.render(2, whole, SIZE))
    changed = np.abs(bare.render(8, whole, (640, 360)) - 0.0 - worn.render(8, whole, (640, 360)))
    ys, xs = np.nonzero(changed.max(axis=2) > 25)
    x0, y0, x1, y1 = 2.0 * bare.faces(8)[0].box
    assert len(xs) > 60
    assert x0 - 4 <= xs.min()
    assert xs.max() <= x1 + 4
    assert y0 <= ys.min()
    assert ys.max() <= (y0 + y1) / 2.0 + 4


def test_a_face_on_a_screen_flickers_is_bluish_and_moves_in_steps() -> None:
    call = a_call(FAR, replace(OTHER, screen=True))
    x0, y0, x1, y1 = call.faces(0)[1].box
    rect = (float(x0), float(y0), float(x1), float(y1))
    shown = [call.render(i, rect, (64, 64)).astype(np.float32) for i in range(10)]
    light = [float(one.mean()) for one in shown]
    assert np.ptp(light) > 0.08 * np.mean(light)
    plain = a_call(FAR, OTHER).render(0, rect, (64, 64)).astype(np.float32)
    bluish = [one[..., 2].mean() / one[..., 0].mean() for one in (shown[0], plain)]
    assert bluish[0] > 1.3 * bluish[1]
    boxes = [call.faces(i)[1].box for i in range(10)]
    stays = [np.array_equal(a, b) for a, b in pairwise(boxes)]
    assert 3 <= sum(stays) <= 7
