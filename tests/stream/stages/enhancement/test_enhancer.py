"""Crops that rest, exemplars encoded when they change and never otherwise, soft beginnings."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from engines.runtime import BUCKETS
from stream.frame import Exemplar, Face, Frame, Image, Patch, View
from stream.quality_ladder import EVERYBODY, FULL
from stream.stages.enhancement import exemplar_alignment
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.enhancement.exemplar_alignment import Placement, placed
from tests.fakes import BicubicRuntime

RATE = 25
SIZE = (640, 360)
SCENE: Image = np.asarray(
    cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8), (0, 0), 1.0
    ),
    np.uint8,
)
WHOLE_X2 = View((0.0, 0.0, 640.0, 360.0), (1280, 720))
WHOLE_X1 = View((0.0, 0.0, 640.0, 360.0), SIZE)
WHOLE_X6 = View((0.0, 0.0, 640.0, 360.0), (3840, 2160))


class Studio:
    """An Enhancer with its runtimes and a clock."""

    def __init__(self, max_faces: int = 3) -> None:
        self.runtimes: dict[int, BicubicRuntime] = {}
        self.index = 0
        self.stage = Enhancer(self._open, Fraction(RATE))
        self.stage.apply(replace(FULL, max_faces=max_faces))

    def _open(self, scale: int) -> BicubicRuntime:
        assert scale not in self.runtimes, "opened once"
        self.runtimes[scale] = BicubicRuntime(scale)
        return self.runtimes[scale]

    def show(self, *faces: Face, view: View = WHOLE_X2) -> tuple[Face, ...]:
        frame = Frame(SCENE, self.index, self.index, Fraction(1, RATE), 0, faces, view)
        self.index += 1
        result = self.stage(frame)
        assert result.image is frame.image
        return result.faces

    def patch(self, face: Face, view: View = WHOLE_X2) -> Patch | None:
        return self.show(face, view=view)[0].patch


def exemplars(count: int = 2) -> tuple[Exemplar, ...]:
    """With nothing in them that could be aligned to anything."""
    return tuple(
        Exemplar(np.full((256, 256, 3), 90 + 30 * n, np.uint8), 256, (0.0, 0.0), 1.0, 0.0)
        for n in range(count)
    )


def face(
    side: float,
    center: tuple[float, float] = (320.0, 180.0),
    track_id: int = 1,
    known: tuple[Exemplar, ...] = (),
    version: int = 0,
) -> Face:
    quarter = side / 4
    x, y = center
    box = np.array([x - quarter, y - quarter, x + quarter, y + quarter], np.float32)
    return Face(track_id, box, np.zeros((6, 2), np.float32), 1.0, known, version)


@pytest.mark.parametrize(
    ("side", "view", "scale", "bucket"),
    [
        (180.0, WHOLE_X2, 4, 160),
        (131.0, WHOLE_X2, 4, 160),
        (129.0, WHOLE_X2, 4, 128),
        (113.0, WHOLE_X2, 4, 112),
        (96.0, WHOLE_X2, 4, 96),
        (80.9, WHOLE_X2, 4, 80),
        (60.0, WHOLE_X2, 4, 64),
        (32.0, WHOLE_X2, 4, 32),
        (20.0, WHOLE_X2, 4, 32),
        (33.0, WHOLE_X6, 4, 48),
        (30.0, WHOLE_X6, 8, 32),
        (17.0, WHOLE_X6, 8, 24),
        (12.0, WHOLE_X6, 8, 16),
    ],
)
def test_scale_and_bucket(side: float, view: View, scale: int, bucket: int) -> None:
    patch = Studio().patch(face(side), view)
    assert patch is not None
    x0, y0, x1, y1 = patch.box
    assert (patch.scale, x1 - x0, y1 - y0) == (scale, bucket, bucket)
    assert patch.image.shape == (scale * bucket, scale * bucket, 3)
    assert abs((x0 + x1) / 2 - 320) <= 1
    assert abs((y0 + y1) / 2 - 180) <= 1


def test_crops_are_the_camera_pixels() -> None:
    studio = Studio()
    patch = studio.patch(face(60.0, (300.4, 150.7)))
    assert patch is not None
    x0, y0, x1, y1 = patch.box
    assert np.array_equal(studio.runtimes[4].enhanced[0][0], SCENE[y0:y1, x0:x1])


def test_a_face_at_the_edge_is_reflected() -> None:
    studio = Studio()
    patch = studio.patch(face(60.0, (10.0, 350.0)))
    assert patch is not None
    wide = cv2.copyMakeBorder(SCENE, 64, 64, 64, 64, cv2.BORDER_REFLECT_101)
    x0, y0, x1, y1 = (v + 64 for v in patch.box)
    assert np.array_equal(studio.runtimes[4].enhanced[0][0], wide[y0:y1, x0:x1])


@pytest.mark.parametrize(
    ("one", "view"),
    [(face(184.0), WHOLE_X2), (face(60.0), WHOLE_X1), (face(60.0, (-60.0, 100.0)), WHOLE_X2)],
    ids=["large already", "not enlarged", "out of view"],
)
def test_faces_that_gain_nothing_pass_through(one: Face, view: View) -> None:
    studio = Studio()
    for _ in range(5):
        assert studio.patch(one, view) is None
    assert not studio.runtimes


def test_restoring_in_place_needs_no_enlargement() -> None:
    assert Studio().patch(face(60.0), replace(WHOLE_X1, in_place=True)) is not None


def test_a_trembling_face_keeps_its_crop_and_its_features() -> None:
    rng = np.random.default_rng(2)
    known = exemplars()
    for side in (47.5, 60.0, 64.0, 80.0):
        studio = Studio()
        boxes = []
        for _ in range(150):
            dx, dy, ds = rng.uniform(-1, 1, 3)
            patch = studio.patch(face(side + ds, (320.3 + dx, 180.6 + dy), 1, known, 1))
            assert patch is not None
            boxes.append(patch.box)
        assert len(set(boxes[60:])) == 1
        assert len(set(boxes)) <= 6
        moves = sum(a != b for a, b in pairwise(boxes))
        # in every place aligned to the crop, then once more to what the network has made of it
        assert studio.stage.encodes <= 2 + moves, "only where the crop moved"


def test_buckets_do_not_flap_while_a_face_slowly_grows_and_shrinks() -> None:
    studio = Studio()
    sides = [*np.linspace(20, 95, 150), *np.linspace(95, 20, 150)]
    rng = np.random.default_rng(3)
    buckets = []
    for side in sides:
        patch = studio.patch(face(side + rng.uniform(-1, 1)))
        assert patch is not None
        buckets.append(patch.box[2] - patch.box[0])
        assert buckets[-1] >= (side - 1) / 1.065
    assert set(buckets) <= set(BUCKETS[4])
    assert sum(a != b for a, b in pairwise(buckets)) == 8


def test_a_face_that_grows_out_of_the_largest_size_fades_out_once_and_back_in_once() -> None:
    studio = Studio()
    rng = np.random.default_rng(4)
    sides = [*[170.0] * 30, *np.linspace(170, 200, 200), *np.linspace(200, 165, 200)]
    weights, boxes = [], []
    for side in sides:
        patch = studio.patch(face(side + rng.uniform(-2, 2)))
        weights.append(patch.weight if patch else 0.0)
        if patch:
            boxes.append(patch.box)
    changes = np.sign(np.diff(weights))
    turns = [a for a, b in pairwise(changes[changes != 0]) if a != b]
    assert turns == [1.0, -1.0], "in, out, in"
    assert np.diff(weights).max() == pytest.approx(0.2)
    assert np.diff(weights).min() == pytest.approx(-0.08)
    assert len(set(boxes)) <= 4, "the crop rests meanwhile"
    assert weights[-1] == 1.0


def test_a_walking_face_is_followed() -> None:
    studio = Studio()
    for x in np.linspace(100.0, 500.0, 100):
        patch = studio.patch(face(60.0, (x, 180.0)))
        assert patch is not None
        assert abs((patch.box[0] + patch.box[2]) / 2 - x) <= 2.0


def test_exemplars_are_encoded_when_they_change_and_never_otherwise() -> None:
    studio = Studio()
    known = exemplars()
    for _ in range(10):
        studio.patch(face(60.0, known=known, version=1))
    assert studio.stage.encodes == 2, "aligned to the crop, then to what the network made of it"
    for _ in range(10):
        studio.patch(face(60.0, known=known[:1], version=2))
    assert studio.stage.encodes == 4
    studio.patch(face(75.0, known=known[:1], version=2))
    assert studio.stage.encodes == 5
    runtime = studio.runtimes[4]
    assert [len(images) for images in runtime.encoded] == [2, 2, 1, 1, 1]
    assert runtime.encoded[0][0].shape == (256, 256, 4)
    assert runtime.encoded[4][0].shape == (320, 320, 4)


def test_without_exemplars_there_are_no_features() -> None:
    studio = Studio()
    studio.patch(face(60.0, known=exemplars(), version=1))
    studio.patch(face(60.0))
    assert studio.runtimes[4].enhanced[0][1] is not None
    assert studio.runtimes[4].enhanced[1][1] is None


def test_exemplars_have_the_size_that_the_face_has_in_the_crop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Placement] = []

    def remember(image: Image, side: float, canvas: int) -> Image:
        asked.append((0, 0, canvas, side))
        return placed(image, side, canvas)

    monkeypatch.setattr(exemplar_alignment, "placed", remember)
    known = exemplars()[:1]
    for side in (24.0, 40.0, 50.0, 64.0, 90.0):
        studio = Studio()
        patch = studio.patch(face(side, known=known, version=1))
        assert patch is not None
        _, _, canvas, large = asked[-1]
        assert large == pytest.approx(patch.scale * side, rel=0.05)
        assert canvas == patch.scale * (patch.box[2] - patch.box[0])


def test_fades_in_within_a_fifth_of_a_second_and_out_over_half_a_second() -> None:
    studio = Studio()

    def weight(one: Face) -> float | None:
        patch = studio.patch(one)
        return None if patch is None else patch.weight

    rising = [weight(face(60.0)) for _ in range(14)]
    assert rising[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    falling = [weight(face(190.0)) for _ in range(14)]
    assert falling[:2] == pytest.approx([0.92, 0.84])
    assert falling[-2:] == [None, None]


def test_a_face_that_is_known_again_under_another_track_does_not_blink() -> None:
    studio = Studio()
    for _ in range(8):
        studio.show(face(60.0, track_id=7))
    patch = studio.patch(face(60.0, (322.0, 181.0), track_id=3, known=exemplars(), version=1))
    assert patch is not None
    assert patch.weight == 1.0
    elsewhere = studio.patch(face(60.0, (480.0, 180.0), track_id=9))
    assert elsewhere is not None
    assert elsewhere.weight == pytest.approx(0.2)


def test_a_face_that_is_lost_for_a_moment_comes_back_softly_with_its_features() -> None:
    studio = Studio()
    known = exemplars()
    one = face(60.0, known=known, version=1)
    for _ in range(20):
        studio.show(one)
    for _ in range(5):
        studio.show()
    patch = studio.patch(one)
    assert patch is not None
    assert patch.weight == pytest.approx(0.8), "five frames out, one frame in"
    assert studio.stage.encodes == 2, "as many as before it was lost"


def test_a_face_that_is_gone_is_forgotten() -> None:
    studio = Studio()
    one = face(60.0, known=exemplars(), version=1)
    studio.show(one)
    for _ in range(RATE + 3):
        studio.show()
    studio.show(one)
    assert studio.stage.encodes == 2


def test_more_faces_than_the_bound_pass_through_and_nobody_is_pushed_out() -> None:
    studio = Studio(max_faces=2)
    first = [face(60.0, (100.0, 100.0), 1), face(50.0, (300.0, 100.0), 2)]
    for _ in range(15):
        studio.show(*first)
    shown = studio.show(*first, face(40.0, (500.0, 100.0), 3))
    assert [f.patch is not None for f in shown] == [True, True, False]
    fresh = Studio(max_faces=1)
    shown = fresh.show(*first)
    assert [f.patch is not None for f in shown] == [False, True], "the smallest first"


def test_a_recording_enhances_every_face_at_full_size() -> None:
    studio = Studio()
    studio.stage.apply(EVERYBODY)
    gallery = [face(150.0, (60.0 + 100.0 * n, 100.0), n) for n in range(6)]
    shown = studio.show(*gallery)
    sides = [one.patch.box[2] - one.patch.box[0] for one in shown if one.patch is not None]
    assert sides == [BUCKETS[4][-1]] * 6


def test_runtimes_are_opened_when_needed_and_closed_with_the_stage() -> None:
    studio = Studio()
    studio.show(face(30.0), view=WHOLE_X6)
    studio.show(face(60.0), view=WHOLE_X6)
    assert {s: r.opened for s, r in studio.runtimes.items()} == {8: 1, 4: 1}
    studio.stage.close()
    assert not any(runtime.is_open for runtime in studio.runtimes.values())


def test_a_frame_without_a_view_is_refused() -> None:
    frame = Frame(SCENE, 0, 0, Fraction(1, RATE), 0)
    with pytest.raises(ValueError, match="framing comes first"):
        Studio().stage(replace(frame, view=None))


def test_warm_it_has_its_runtime_before_there_is_a_face() -> None:
    studio = Studio()
    studio.show()
    assert not studio.runtimes
    studio.stage.warm_up()
    studio.stage.warm_up()
    assert list(studio.runtimes) == [4]
