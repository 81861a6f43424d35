"""Appearance: what does not change when somebody comes back, and what does."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import cv2
import numpy as np
import pytest

from bench.scenes.somebody_else import somebody_else
from engines.errors import WeightsError
from engines.weights.manifest import descriptor_file
from stream.frame import Face, Floats, Image
from stream.stages.exemplars.dlib_descriptor import DlibDescriptor, best_describer
from stream.stages.exemplars.hog_descriptor import HogDescriptor, Projection, histograms, usable
from stream.stages.exemplars.returning_people import FAR_SAME
from stream.stages.tracking.face_detector import FaceDetector
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, hopper, need_models, scene_with_face
from tests.stream.stages.exemplars.test_bank import face as made_up


@cache
def other() -> Image:
    """Somebody who is not there."""
    return somebody_else(hopper(), HOPPER_FACE_CENTER, HOPPER_FACE_PX, 0)


@cache
def detector() -> FaceDetector:
    """One for all: its networks take longer to load than all that they are asked here."""
    return FaceDetector()


def found(picture: Image) -> Face:
    need_models()
    one = detector().detect(picture, (320, 40, 960, 680), "full")[0]
    x, y = one.box[:2] + (one.box[2:] - one.box[:2]) / 2
    half = 1.25 * one.width_px
    region = (round(x - half), round(y - half), round(x + half), round(y + half))
    one = detector().detect(picture, region)[0]
    face = Face(1, one.box, one.keypoints, one.score)
    assert usable(face)
    return face


def describe(picture: Image) -> Floats:
    return HogDescriptor().describe(picture, found(picture))


@pytest.mark.parametrize("width", [40.0, 60.0])
def test_a_far_face_is_the_same_person_and_another_one_is_not(width: float) -> None:
    close = describe(scene_with_face(150))
    # Some descriptors, as the person index takes them: each has another noise and lies elsewhere on
    # the pixels.
    scenes = [
        scene_with_face(width, at=(640 + i / 4, 360 + i / 3), noise=2.0, seed=i) for i in range(4)
    ]
    far = max((describe(one) for one in scenes), key=lambda one: float(one @ close))
    assert close.shape == (256,)
    assert close.dtype == np.float32
    assert float(np.linalg.norm(close)) == pytest.approx(1.0, abs=1e-5)
    assert float(close @ far) > HogDescriptor.same
    assert float(close @ describe(scene_with_face(150, portrait=other()))) < HogDescriptor.same


def test_exposure_and_contrast_do_not_matter() -> None:
    picture = scene_with_face(150)
    face = found(picture)
    for gain, shift in ((0.5, 0), (0.6, 80)):
        changed = np.clip(picture * gain + shift, 0, 255).astype(np.uint8)
        assert float(histograms(picture, face) @ histograms(changed, found(changed))) > 0.97
        assert float(describe(picture) @ describe(changed)) > HogDescriptor.same


def test_the_background_hardly_matters() -> None:
    picture = scene_with_face(150)
    face = found(picture)
    elsewhere = np.random.default_rng(0).integers(0, 256, picture.shape).astype(np.uint8)
    x0, y0, x1, y1 = (round(float(v)) for v in face.box)
    elsewhere[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    one, two = (histograms(image, face) for image in (picture, elsewhere))
    assert one.shape == (891,)
    assert float(one @ two) > 0.95
    one, two = (HogDescriptor().describe(image, face) for image in (picture, elsewhere))
    assert float(one @ two) > HogDescriptor.same


def test_at_the_edge_of_the_picture_and_without_a_pattern() -> None:
    blank = np.full((720, 1280, 3), 90, np.uint8)
    flat = HogDescriptor().describe(blank, made_up(150))
    assert not flat.any(), "what shows nothing is like nobody"
    cut = HogDescriptor().describe(np.ascontiguousarray(scene_with_face(150)[:400]), made_up(150))
    assert np.isfinite(cut).all()


def test_noise_alone_is_like_nobody() -> None:
    describer, rng = HogDescriptor(), np.random.default_rng(0)
    dark = (rng.normal(20.0, 6.0, (720, 1280, 3)) for _ in range(20))
    noise = (cv2.GaussianBlur(one, (0, 0), 0.7).round().astype(np.uint8) for one in dark)
    looks = np.stack([describer.describe(one, made_up(40)) for one in noise])
    likeness = looks @ looks.T - np.eye(len(looks))
    assert likeness.max() < FAR_SAME
    assert float(np.max(looks @ describe(scene_with_face(150)))) < FAR_SAME / 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"PK" + data]
)
def test_a_damaged_projection_is_one_line(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(WeightsError, match="damaged"):
        Projection.read(damage(descriptor_file().read_bytes()))


def test_a_projection_of_other_histograms_is_refused() -> None:
    file = io.BytesIO()
    np.savez(file, mean=np.zeros(7, np.float16), directions=np.zeros((7, 2), np.float16))
    with pytest.raises(WeightsError, match="other histograms"):
        Projection.read(file.getvalue())


@pytest.mark.parametrize(
    "face", [made_up(20), made_up(100, yaw=1.6), made_up(100, score=0.5), made_up(100, score=0.0)]
)
def test_small_turned_and_uncertain_faces_are_not_usable(face: Face) -> None:
    assert usable(made_up(100))
    assert not usable(face)


def test_the_best_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.stages.exemplars.dlib_descriptor.find_spec", lambda name: None)
    assert best_describer().name == "gradients"


def test_the_recogniser_tells_people_apart() -> None:
    if find_spec("dlib") is None or find_spec("face_recognition_models") is None:
        pytest.skip("the extra identity is not installed")
    recogniser = best_describer()
    assert isinstance(recogniser, DlibDescriptor)
    pictures = (scene_with_face(150), scene_with_face(40), scene_with_face(150, portrait=other()))
    close, far, odd = (recogniser.describe(one, found(one)) for one in pictures)
    assert close.shape == (128,)
    assert float(close @ far) > recogniser.same
    assert float(close @ far) > float(close @ odd)


def test_a_face_at_the_edge_of_the_picture_is_described_in_numbers() -> None:
    """Beside the picture everything is flat, and a running sum of squares fell below zero there."""
    describer = HogDescriptor()
    for width in (40, 60, 200):
        picture = scene_with_face(width)
        for x in range(1200, 1280, 2):
            there = np.array([x - 640.0, 259.25], np.float32)
            one = made_up(40)
            moved = replace(one, box=one.box + np.tile(there, 2), keypoints=one.keypoints + there)
            assert np.isfinite(describer.describe(picture, moved)).all()
