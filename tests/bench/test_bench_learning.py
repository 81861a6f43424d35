"""bench --learn: people sit close first, and no far face is one that was learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench.__main__ as program
from bench.__main__ import main
from bench.measures.evaluator import Notes, Seen
from bench.scenes.cases import CASES, after_sitting
from stream.recordings.people_learning import PeopleLearning
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.progress import Progress
from tests import known_camera
from tests.pictures import need_models, scene_with_face


def test_who_is_learnt_sits_close_before_everything_else_happens() -> None:
    for name, make in CASES.items():
        first, later = make(1.0), after_sitting(make(1.0), 12.0)
        assert later.duration_s == first.duration_s + 12.0
        for one, other in zip(first.trajectories, later.trajectories, strict=True):
            for time_s in (0.0, 2.7, 4.1, 5.9):
                moved, kept = other.at(time_s + 12.0), one.at(time_s)
                assert (moved.x, moved.y, moved.face_px) == pytest.approx(
                    (kept.x, kept.y, kept.face_px)
                ), name
            assert other.at(6.0).face_px == one.at(0.0).face_px
    assert after_sitting(CASES["lamp"](1.0), 12.0).light_at(6.0) == (1.0, 1.0, 1.0)
    assert after_sitting(CASES["frozen"](1.0), 12.0).frozen_s == pytest.approx(15.2)
    assert after_sitting(CASES["hand"](1.0), 12.0).trajectories[0].hand == (15.6, 17.4)
    assert after_sitting(CASES["glasses"](1.0), 12.0).trajectories[0].glasses_s == 0.0
    assert after_sitting(CASES["glasses-on"](1.0), 12.0).trajectories[0].glasses_s == 15.4


def test_both_rows_are_of_the_same_close_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    need_models()
    seen: list[PersonalRuntimes | None] = []

    def measured(*_: object, personal: PersonalRuntimes | None, **given: object) -> Notes:
        seen.append(personal)
        return Notes([Seen(0, 0, 1.0, False, (30.0, 31.0, 32.0))])

    learning = PeopleLearning(1.0, 2.0, Progress)
    monkeypatch.setattr(program, "run", measured)
    monkeypatch.setattr(program, "learn", lambda *args, **given: learning)
    argv = ["--cases", "walk", "--no-identity"]
    assert main([*argv, "--learn", "1"]) == 0
    assert main(argv) == 0
    shipped, learnt, alone = seen
    assert learnt is learning.runtimes
    assert shipped is not None, "stages that may have somebody's weights keep more close-ups"
    assert shipped is not learnt
    assert alone is None


def test_a_clip_that_would_show_what_was_learnt_from_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_models()
    clip = tmp_path / "short.mkv"
    pictures = [scene_with_face(120, (480, 360), (240 + index / 5, 180)) for index in range(30)]
    times = [index / 25 for index in range(len(pictures))]
    known_camera.write(clip, pictures, times, (480, 360), 25, None, "libx264")
    argv = ["--cases", "walk", "--pace", "0.25", "--no-identity", "--no-demo"]
    assert main([*argv, "--learn", "1", "--clips", str(clip)]) == 2
    told = capsys.readouterr().err
    assert "note: walk short is left out: short has" in told
    assert "every clip is too short to be learnt from" in told


def test_what_a_clip_is_called_makes_it_nobody_who_was_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its rows counted as those after learning, and there were none to sum up."""
    need_models()
    clip = tmp_path / "me learned.mkv"
    pictures = [scene_with_face(150, (480, 360), (240 + index / 5, 180)) for index in range(30)]
    times = [index / 25 for index in range(len(pictures))]
    known_camera.write(clip, pictures, times, (480, 360), 25, None, "libx264")
    argv = ["--cases", "walk", "--pace", "0.25", "--no-identity", "--no-demo", "--out"]
    main([*argv, str(tmp_path / "out"), "--clips", str(clip)])
    rows = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert rows["all"]["name"] == "all"
    assert "all learned" not in rows
