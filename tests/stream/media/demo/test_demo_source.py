"""The demo's call: truth and picture agree, phases are what they say, every run is the same."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import OutputError
from stream.frame import Face, Frame, Image, Patch, View
from stream.media.demo.demo_scene import DemoScene, DemoTruth
from stream.media.demo.demo_sheet import DemoSheet
from stream.media.demo.demo_source import DemoSource

WHOLE = (0.0, 0.0, 1280.0, 720.0)
SIZE = (1280, 720)


@cache
def scene() -> DemoScene:
    return DemoScene()


def psnr(a: Image, b: Image) -> float:
    return -10.0 * math.log10(max(float(np.mean((a.astype(float) / 255 - b / 255.0) ** 2)), 1e-12))


def headshot(truth: DemoTruth) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (float(v) for v in truth.face_box)
    x, y, half = round((x0 + x1) / 2), round((y0 + y1) / 2), round(x1 - x0)
    return x - half, y - half, x + half, y + half


@pytest.mark.parametrize("time_s", [1.0, 5.0, 8.0])
def test_truth_at_any_magnification_is_the_same_scene(time_s: float) -> None:
    truth = DemoTruth(scene(), time_s)
    x0, y0, x1, y1 = headshot(truth)
    clean = truth.render(WHOLE, SIZE)[y0:y1, x0:x1]
    side = x1 - x0
    rect = (float(x0), float(y0), float(x1), float(y1))
    large = truth.render(rect, (4 * side, 4 * side))
    shrunk = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
    assert psnr(np.asarray(shrunk, np.uint8), clean) > 34.0
    # Half a pixel off would be far worse: the figure above means something.
    moved = truth.render((x0 + 0.5, y0 + 0.5, x1 + 0.5, y1 + 0.5), (side, side))
    assert psnr(moved, clean) < psnr(np.asarray(shrunk, np.uint8), clean) - 3.0


def test_the_camera_picture_is_the_scene_with_noise_and_codec_damage() -> None:
    with DemoSource(0.2) as source:
        frames = list(source)
    assert [f.index for f in frames] == [f.pts for f in frames] == list(range(5))
    for frame in frames:
        clean = frame.truth.render(WHOLE, SIZE)
        assert 32.0 < psnr(frame.image, clean) < 45.0
        assert abs(float((frame.image.astype(float) - clean).mean())) < 1.0


def test_face_widths_and_phases() -> None:
    for index in range(250):
        truth = DemoTruth(scene(), index / 25)
        width = float(truth.face_box[2] - truth.face_box[0])
        if truth.phase == "close":
            assert 200 <= width <= 240
        elif truth.phase == "far":
            assert 38 <= width <= 43
        else:
            assert 38 <= width <= 240
        assert (truth.face_box[:2] > 0).all()
        assert (truth.face_box[2:] < SIZE).all()


def test_movement_is_smooth() -> None:
    centers = np.array(
        [DemoTruth(scene(), i / 25).face_box.reshape(2, 2).mean(0) for i in range(250)]
    )
    speed = np.diff(centers, axis=0)
    assert 0.1 < float(np.abs(speed).max()) < 12.0
    assert float(np.abs(np.diff(speed, axis=0)).max()) < 1.5


def test_every_run_gives_the_same_frames_and_sound() -> None:
    first, second = DemoSource(0.12), DemoSource(0.12)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.image, b.image)
    again = next(iter(first))
    assert np.array_equal(again.image, next(iter(second)).image)
    assert np.array_equal(first.sound, second.sound)


def test_sound_lasts_as_long_as_the_picture_and_is_quiet() -> None:
    source = DemoSource()
    assert (source.width, source.height, source.live) == (1280, 720, False)
    assert source.rate == 25
    assert source.frames_total == 250
    assert len(source.sound) == source.sound_rate * 10
    assert source.sound.dtype == np.float32
    assert 0.05 < float(np.abs(source.sound).max()) < 0.6
    assert 0.004 < float(np.sqrt(np.mean(source.sound**2))) < 0.15


def test_impossible_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="lasts up to"):
        DemoSource(11.0)


def far_frame(output: str) -> Frame:
    """A far frame whose output is the truth or the plain enlargement."""
    truth = DemoTruth(scene(), 8.0)
    clean = truth.render(WHOLE, SIZE)
    view = View((560.0, 370.0, 880.0, 550.0), SIZE)
    picture = (
        truth.render(view.rect, SIZE)
        if output == "truth"
        else np.asarray(cv2.resize(clean[370:550, 560:880], SIZE, interpolation=cv2.INTER_CUBIC))
    )
    x0, y0, x1, y1 = headshot(truth)
    patch = Patch(np.zeros((4, 4, 3), np.uint8), (x0, y0, x1, y1), 4)
    face = Face(1, truth.face_box, np.zeros((6, 2), np.float32), 1.0, patch=patch)
    return Frame(
        clean, 200, 200, Fraction(1, 25), 0, (face,), view, picture.astype(np.uint8), truth
    )


def test_sheet_scores_truth_above_bicubic_and_shows_both(tmp_path: Path) -> None:
    sheet = DemoSheet(tmp_path / "out" / "demo.png")
    sheet.send(far_frame("truth"))
    assert sheet.psnr_bicubic is not None
    assert sheet.psnr_closeup is not None
    assert 18.0 < sheet.psnr_bicubic < 35.0
    assert sheet.psnr_closeup > 45.0
    sheet.close()
    shown = cv2.imread(str(sheet.path))
    assert shown is not None
    assert shown.shape[0] >= 384
    assert shown.shape[1] >= 3 * 384
    assert [p.name for p in sheet.path.parent.iterdir()] == ["demo.png"]


def test_sheet_scores_a_bicubic_output_as_bicubic(tmp_path: Path) -> None:
    sheet = DemoSheet(tmp_path / "demo.png")
    sheet.send(far_frame("bicubic"))
    assert sheet.psnr_closeup == pytest.approx(sheet.psnr_bicubic, abs=0.05)


def test_sheet_counts_only_far_and_fully_enhanced_frames(tmp_path: Path) -> None:
    sheet = DemoSheet(tmp_path / "demo.png")
    frame = far_frame("truth")
    face = frame.faces[0]
    assert face.patch is not None
    sheet.send(replace(frame, truth=DemoTruth(scene(), 2.0)))
    sheet.send(replace(frame, faces=()))
    sheet.send(replace(frame, faces=(replace(face, patch=replace(face.patch, weight=0.5)),)))
    sheet.send(replace(frame, truth=None))
    assert (sheet.frames, sheet.psnr_closeup) == (0, None)
    sheet.close()
    assert not sheet.path.exists()


def test_aborted_sheet_writes_nothing(tmp_path: Path) -> None:
    sheet = DemoSheet(tmp_path / "demo.png")
    sheet.send(far_frame("truth"))
    sheet.abort()
    sheet.close()
    assert list(tmp_path.iterdir()) == []


def test_sheet_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sheet = DemoSheet(tmp_path / "file" / "demo.png")
    sheet.send(far_frame("truth"))
    with pytest.raises(OutputError, match="cannot write"):
        sheet.close()
