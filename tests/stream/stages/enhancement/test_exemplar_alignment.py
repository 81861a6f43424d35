"""Exemplars are aligned to the face: turned, moved, as large; left alone where nothing agrees."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from engines.runtime import open_runtime
from stream.frame import Exemplar, Face, Frame, Image, View
from stream.image.resample import cut_square
from stream.media.demo.demo_scene import read_portrait
from stream.stages.enhancement import exemplar_alignment
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.enhancement.exemplar_alignment import PLAIN, ExemplarAlignment, Similarity, align

SIDE, CANVAS = 180.0, 192
CELLS = 48


@pytest.fixture(scope="module")
def headshot() -> Image:
    """The portrait's, 256x256."""
    return np.asarray(cv2.resize(read_portrait()[:400, 60:460], (256, 256)), np.uint8)


def exemplar(image: Image) -> Exemplar:
    return Exemplar(image, 256, (0.0, 0.0), 1.0, 0.0)


def turned(degrees: float, size: float = 1.0, x: float = 0.0, y: float = 0.0) -> Similarity:
    angle = math.radians(degrees)
    return size * math.cos(angle), size * math.sin(angle), x, y


def apart(one: Image, other: Image) -> float:
    """Levels, in the middle."""
    inner = slice(CANVAS // 5, -CANVAS // 5)
    return float(cv2.absdiff(one[inner, inner], other[inner, inner]).mean())


@pytest.mark.parametrize("side", [150.0, 192.0, 230.0])
def test_laid_plainly_it_is_centred(headshot: Image, side: float) -> None:
    small = cv2.resize(headshot, (int(side), int(side)), interpolation=cv2.INTER_AREA)
    start = (int(side) - CANVAS) // 2
    centred = cut_square(np.asarray(small, np.uint8), (start, start, start + 192, start + 192))
    assert cv2.absdiff(align(headshot, side, CANVAS), centred).mean() < 0.5


@pytest.mark.parametrize(
    "where",
    [turned(0, 1, 0.03, -0.02), turned(12), turned(-8, 1.06), turned(5, 0.95, -0.03, 0.01)],
    ids=["moved", "turned", "larger", "all"],
)
def test_the_face_is_followed_in_another_light(headshot: Image, where: Similarity) -> None:
    face = align(headshot, SIDE, CANVAS, where)
    shade = np.linspace(0.6, 1.0, CANVAS)[None, :, None]
    lit = np.asarray((face * shade).round(), np.uint8)
    one = ExemplarAlignment()
    one.meet((exemplar(headshot),), 1)
    plainly = one.align(SIDE, CANVAS)[0]
    for n in range(3):
        one.refine(lit, CELLS, n * 1.0, 0.2)
        aligned = one.align(SIDE, CANVAS)[0]
    assert one.aligned > 0
    assert apart(aligned, face) < 0.2 * apart(plainly, face)


@pytest.mark.parametrize("seed", range(5))
def test_what_shows_something_else_stays(headshot: Image, seed: int) -> None:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    other = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    one = ExemplarAlignment()
    one.meet((exemplar(headshot),), 1)
    one.align(SIDE, CANVAS)
    one.refine(np.asarray(other, np.uint8), CELLS, 0.0, 0.2)
    assert one.aligned == 0


def test_a_view_too_far_away_is_laid_plainly(headshot: Image) -> None:
    assert exemplar_alignment.plausible(turned(25, 1.2, 0.1, 0.1))
    for where in (turned(35), turned(0, 1.3), turned(0, 0.7), turned(0, 1, 0.2)):
        assert not exemplar_alignment.plausible(where)
    one = ExemplarAlignment()
    one.meet((exemplar(headshot),), 1)
    for n, degrees in enumerate((14, 28, 42)):
        one.align(SIDE, CANVAS)
        one.refine(align(headshot, SIDE, CANVAS, turned(degrees)), CELLS, float(n), 0.2)
    assert one.aligned == 3
    assert np.array_equal(one.align(SIDE, CANVAS)[0], align(headshot, SIDE, CANVAS))


def test_it_looks_no_more_often_than_it_may_and_rests_where_it_is_right(headshot: Image) -> None:
    one = ExemplarAlignment()
    one.meet((exemplar(headshot),), 1)
    one.align(SIDE, CANVAS)
    one.refine(align(headshot, SIDE, CANVAS), CELLS, 0.0, 0.2)
    assert one.aligned == 0
    one.refine(align(headshot, SIDE, CANVAS, turned(10)), CELLS, 0.1, 0.2)
    assert one.aligned == 0, "too early"
    one.refine(align(headshot, SIDE, CANVAS, turned(10)), CELLS, 0.2, 0.2)
    assert one.aligned == 1
    one.align(SIDE, CANVAS)
    one.refine(align(headshot, SIDE, CANVAS, turned(10)), CELLS, 0.5, 0.2)
    assert one.aligned == 1, "it lies where it should"
    one.refine(align(headshot, SIDE, CANVAS), CELLS, 0.1, 0.2)
    assert one.aligned == 2, "time went back: another recording"


def test_known_close_ups_stay_where_they_are(headshot: Image) -> None:
    first, second = exemplar(headshot), exemplar(headshot[:, ::-1].copy())
    one = ExemplarAlignment()
    one.meet((first,), 1)
    one.align(SIDE, CANVAS)
    one.refine(align(headshot, SIDE, CANVAS, turned(10)), CELLS, 0.0, 0.2)
    (before,) = one.align(SIDE, CANVAS)
    one.meet((second, first), 2)
    fresh, after = one.align(SIDE, CANVAS)
    assert np.array_equal(after, before)
    assert np.array_equal(fresh, align(second.image, SIDE, CANVAS, PLAIN))
    one.meet((), 3)
    assert one.align(SIDE, CANVAS) == []


def test_another_run_goes_on_from_the_numbers(headshot: Image) -> None:
    exemplars = (exemplar(headshot), exemplar(headshot[:, ::-1].copy()))
    runs = ExemplarAlignment(), ExemplarAlignment()
    for one in runs:
        one.meet(exemplars, 1)
    runs[0].align(SIDE, CANVAS)
    runs[0].refine(align(headshot, SIDE, CANVAS, turned(10)), CELLS, 0.0, 0.2)
    runs[1].recall(json.loads(json.dumps(runs[0].numbers())))
    for one in runs:
        one.refine(align(headshot, SIDE, CANVAS), CELLS, 0.1, 0.2)
    first, second = (one.align(SIDE, CANVAS) for one in runs)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], align(headshot, SIDE, CANVAS))


def test_a_tilted_head_is_enhanced_better_by_the_real_network(headshot: Image) -> None:
    truth = align(headshot, CANVAS, CANVAS, turned(10))
    crop = np.asarray(cv2.resize(truth, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.uint8)
    scene = cv2.copyMakeBorder(crop, 16, 16, 16, 16, cv2.BORDER_REFLECT_101)
    box = np.array([28.0, 28.0, 52.0, 52.0], np.float32)
    known = tuple(exemplar(headshot.copy()) for _ in range(3))
    face = Face(1, box, np.zeros((6, 2), np.float32), 1.0, known, 1)
    view = View((0.0, 0.0, 80.0, 80.0), (160, 160))
    stage = Enhancer(lambda scale: open_runtime("onnxruntime-cpu", scale), Fraction(25))
    frame = Frame(np.asarray(scene, np.uint8), 0, 0, Fraction(1, 25), 0, (face,), view)
    for index in range(25):
        shown = stage(replace(frame, index=index, pts=index)).faces[0]
    assert shown.patch is not None
    stage.close()
    with open_runtime("onnxruntime-cpu", 4) as runtime:
        plainly = runtime.enhance(
            crop, runtime.encode([align(headshot, CANVAS, CANVAS) for _ in range(3)])
        )
    inner = (slice(CANVAS // 5, -CANVAS // 5),) * 2
    enhanced, unturned = (cv2.PSNR(p[inner], truth[inner]) for p in (shown.patch.image, plainly))
    assert enhanced > unturned + 0.5
