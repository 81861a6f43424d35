"""The bench of two passes: the gain is there, in its figures."""

from __future__ import annotations

import json

import pytest

from bench.actors import Photo
from bench.call import Call
from bench.cases import FAR_MOST_PX
from bench.passes import back, early_faces, late, main, window
from stream.media.demo_scene import DemoScene
from tests.helpers import need_models


def test_early_faces_are_those_before_the_close_up() -> None:
    actor = Photo(DemoScene())
    for case in (late(10.0), back(10.0)):
        call = Call(case, [actor], (640, 360))
        faces = early_faces(call)
        assert min(faces) == 25
        assert max(faces) < 0.75 * call.frames_total
        assert all(face.width_px <= FAR_MOST_PX for face in faces.values())
        assert call.faces(call.frames_total - 1)[0].width_px > 100


def test_a_window_lies_within_the_output() -> None:
    call = Call(late(10.0), [Photo(DemoScene())], (640, 360))
    x0, y0, x1, y1 = window(call.faces(0)[0], (1280, 720))
    assert (x1 - x0, y1 - y0) == (120, 120)
    assert 0 <= x0 < x1 <= 1280
    assert 0 <= y0 < y1 <= 720


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "large"], "give one like 640x360"),
        (["--size", "64x64"], "out of range"),
        (["--seconds", "1"], "give 5 to 600"),
        (["--out", "nowhere"], "create it first"),
        (["--clip", "nothing.mp4"], "does not exist"),
    ],
)
def test_bad_options(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--clip" in arguments:
        need_models()
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_two_passes_are_better_than_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Also for somebody who was out of the picture in between."""
    need_models()
    assert main(["--seconds", "5", "--size", "480x270", "--json"]) == 0
    for one in json.loads(capsys.readouterr().out.splitlines()[-1]):
        assert one["frames"] > 20
        assert one["two_passes_db"] > one["one_pass_db"] + 0.1
        assert one["people"] == 1
    assert one["merged_tracks"] >= 1
