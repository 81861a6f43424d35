"""Pictures that the tests make for themselves."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import ModelError
from stream.frame import Face, Frame, Image
from stream.image.detection import Detection
from stream.stages.tracking import detector_weights

HOPPER_FACE_PX = 196.0
"""Width of the face box in `hopper()`."""
HOPPER_FACE_CENTER = (264.0, 237.0)
"""Centre of the face box in `hopper()`, (x, y)."""


@cache
def hopper() -> Image:
    """The public-domain portrait of Grace Hopper that matplotlib carries, RGB (600, 512, 3)."""
    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None
    rgb: Image = np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)
    rgb.setflags(write=False)
    return rgb


@cache
def backdrop(size: tuple[int, int] = (1280, 720)) -> Image:
    """A room without a face: a soft wall, a shelf, a lamp; (width, height) → RGB."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = 120 + 40 * np.cos(x / width * 3.0) + 30 * (y / height)
    room = np.stack([wall, wall * 0.95, wall * 0.85], axis=-1)
    room[int(height * 0.75) :] *= 0.5
    for step in range(7):
        left, top = int(width * (0.05 + 0.13 * step)), int(height * 0.08)
        room[top : top + height // 8, left : left + width // 30] *= 0.4 + 0.1 * step
    picture: Image = np.clip(room, 0, 255).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def scene_with_face(
    width_px: float,
    size: tuple[int, int] = (1280, 720),
    at: tuple[float, float] | None = None,
    noise: float = 0.0,
    seed: int = 0,
    portrait: Image | None = None,
) -> Image:
    """A scene in which a face box is `width_px` wide and centred at `at`, to sub-pixels.

    Args:    width_px: width of the detector's face box.
             size: (width, height) of the scene.
             at: centre of the face box, (x, y); the middle of the scene by default.
             noise: standard deviation of sensor noise, 0..255.
             seed: of the noise.
             portrait: a picture of the same geometry as `hopper()`, which is the default.
    Returns: RGB uint8 (H, W, 3).
    """
    person = hopper() if portrait is None else portrait
    x, y = at or (size[0] / 2.0, size[1] / 2.0)
    scale = width_px / HOPPER_FACE_PX
    # Shrink by area first (a warp alone would alias), then place to a fraction of a pixel.
    small_size = (max(1, round(512 * scale)), max(1, round(600 * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(person, small_size, interpolation=how)
    fx, fy = small_size[0] / 512.0, small_size[1] / 600.0
    left, top = x - HOPPER_FACE_CENTER[0] * fx, y - HOPPER_FACE_CENTER[1] * fy
    move = np.array([[1.0, 0.0, left], [0.0, 1.0, top]])
    scene = backdrop(size).copy()
    cv2.warpAffine(
        small,
        move,
        size,
        dst=scene,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    if noise > 0.0:
        grain = np.random.default_rng(seed).normal(0.0, noise, scene.shape)
        scene = np.clip(scene + grain, 0, 255).round().astype(np.uint8)
    return scene


def detection(x: float, y: float, width: float, score: float = 0.9) -> Detection:
    """A frontal face as a detector would report it, centred at (x, y)."""
    center, half = np.array([x, y]), width / 2.0
    box = np.concatenate([center - half, center + half]).astype(np.float32)
    mesh = np.array([[-0.2, -0.1], [0.2, -0.1], [0, 0.1], [0, 0.3], [-0.4, 0], [0.4, 0]])
    return Detection(box, (center + mesh * width).astype(np.float32), score)


def frame_of(image: Image, index: int = 0, fps: int = 30, faces: tuple[Face, ...] = ()) -> Frame:
    """A frame of a recording with a constant frame rate."""
    return Frame(
        image=image,
        index=index,
        pts=index,
        time_base=Fraction(1, fps),
        captured_ns=0,
        faces=faces,
    )


@cache
def _models_missing() -> str | None:
    try:
        detector_weights.load()
    except ModelError as error:
        return str(error)
    return None


def need_models() -> None:
    """Skip the test, with the reason, where the detection models cannot be had."""
    if reason := _models_missing():
        pytest.skip(reason)


def smooth_picture(sigma: float = 5.0, seed: int = 0) -> Image:
    """Smooth noise: RGB uint8 (180, 320, 3)."""
    noise = np.random.default_rng(seed).standard_normal((180, 320, 3))
    blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(128 + 40 * blurred / blurred.std(), np.float64).clip(0, 255).astype(np.uint8)


def enlarge(crop: Image, scale: int) -> Image:
    """A crop, bicubically enlarged."""
    size = (crop.shape[1] * scale, crop.shape[0] * scale)
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)
