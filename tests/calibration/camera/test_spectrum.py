"""calibration.camera.spectrum: blur from the detail of a face that is known exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.camera.spectrum import Spectrum, blur_of, spectrum
from stream.frame import Image

SIDE = 240


def face(side: int, blur_px: float, fall: float = 2.35) -> Image:
    """Detail whose power falls with a power of its frequency, at any size the same, and noise."""
    rng = np.random.default_rng(1)
    across = np.fft.fftfreq(2 * SIDE)
    frequency = np.hypot(across[:, None], across[None])
    frequency[0, 0] = 1.0
    waves = np.fft.fft2(rng.standard_normal((2 * SIDE, 2 * SIDE))) * frequency ** (-fall / 2)
    drawn = np.real(np.fft.ifft2(waves))
    large = np.asarray(110 + 40 * (drawn - drawn.mean()) / drawn.std(), np.float32)
    shrunk = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)
    seen = np.asarray(cv2.GaussianBlur(shrunk, (0, 0), blur_px))
    seen = seen + np.random.default_rng(side).normal(0.0, 2.0, seen.shape)
    grey = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("blur_px", [1.5, 2.5, 4.0])
def test_one_size_is_measured_as_most_faces_are(blur_px: float) -> None:
    found = blur_of([spectrum(face(SIDE, blur_px))] * 3)
    assert found == pytest.approx(blur_px, rel=0.1)


@pytest.mark.parametrize("fall", [1.9, 2.8])
def test_several_sizes_tell_the_blur_of_a_face_that_is_unlike_most(fall: float) -> None:
    sizes = [spectrum(face(side, 2.5, fall)) for side in (240, 200, 160, 130, 100)]
    assert blur_of(sizes) == pytest.approx(2.5, rel=0.1)


def test_a_blank_picture_says_nothing() -> None:
    blank = np.full((200, 200, 3), 90, np.uint8)
    assert blur_of([spectrum(blank)]) is None
    assert blur_of([]) is None
    tiny = spectrum(face(20, 1.0))
    assert isinstance(tiny, Spectrum)
    assert blur_of([tiny]) is None
