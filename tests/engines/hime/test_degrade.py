"""The damage of calls: each part does what it says, and the same seed does the same."""

from __future__ import annotations

import hashlib
import os
import threading

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.hime import degrade

Image = NDArray[np.uint8]


def texture(side: int, seed: int = 0) -> Image:
    """Smooth shapes with detail on them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (side // 8, side // 8, 3)).astype(np.uint8)
    fine = rng.normal(0, 12, (side, side, 1))
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(smooth + fine, 0, 255), np.uint8)


def psnr(a: Image, b: Image) -> float:
    return float(-10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2 + 1e-12))


def detail(image: Image) -> float:
    return float(np.abs(cv2.Laplacian(image.astype(np.float32), cv2.CV_32F)).mean())


def test_blur_takes_detail_away_and_keeps_the_mean() -> None:
    image = texture(64)
    made = [degrade.blur(image, 4, np.random.default_rng(seed)) for seed in range(40)]
    details = np.array([detail(m) for m in made])
    assert np.sum(details == detail(image)) in range(4, 25)  # sometimes the lens is sharp
    assert details.max() <= detail(image)
    assert details.min() < 0.3 * detail(image)
    assert all(abs(float(m.mean()) - float(image.mean())) < 1.5 for m in made)


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    for seed in range(12):
        small = degrade.shrink(stripes, 4, np.random.default_rng(seed))
        assert small.shape == (32, 32, 3)
        assert np.ptp(small[4:-4, 4:-4].astype(int)) < 20


def test_sensor_noise_grows_with_light_and_is_unbiased() -> None:
    dark, light = (np.full((96, 96, 3), v, np.uint8) for v in (30, 200))
    spread = {30: [0.0], 200: [0.0]}
    for seed in range(30):
        for image in (dark, light):
            made = degrade.sensor_noise(image, np.random.default_rng(seed)).astype(float)
            assert abs(made.mean() - image.mean()) < 1.0
            spread[int(image[0, 0, 0])].append(float(made.std()))
    assert np.mean(spread[200]) > 1.3 * np.mean(spread[30])
    assert 1.0 < np.mean(spread[200]) < 8.0


def test_sharpening_adds_halos_and_keeps_flat_parts() -> None:
    edge = np.full((32, 32, 3), 80, np.uint8)
    edge[:, 16:] = 160
    for seed in range(8):
        made = degrade.sharpen(edge, np.random.default_rng(seed)).astype(int)
        assert made[:, 15].max() < 78
        assert made[:, 16].min() > 162
        assert np.abs(made[:, :8] - 80).max() <= 1


@pytest.mark.parametrize("codec", ["libx264", "libvpx"])
def test_codec_damage_grows_with_the_quantiser(codec: str) -> None:
    image = texture(96)
    good, bad = (degrade.video_codec([image, image], codec, q) for q in (12, 45))
    assert good.shape == image.shape
    assert psnr(good, image) > psnr(bad, image) + 4
    assert psnr(bad, image) > 15


def test_the_codec_does_not_go_by_the_clock() -> None:
    """A busy machine makes the same damage, so that a resumed training sees the same samples."""
    frames = [np.tile(texture(128, seed), (2, 2, 1)) for seed in (1, 2)]
    idle = degrade.video_codec(frames, "libvpx", 12)
    done = threading.Event()

    def work() -> None:
        # At most a second or so: on a machine that is busy anyhow the encoder may have to wait.
        for _ in range(100):
            if done.is_set():
                break
            hashlib.sha256(bytes(1 << 22)).digest()

    others = [threading.Thread(target=work) for _ in range(os.cpu_count() or 1)]
    for one in others:
        one.start()
    try:
        for _ in range(8):
            np.testing.assert_array_equal(degrade.video_codec(frames, "libvpx", 12), idle)
    finally:
        done.set()
        for one in others:
            one.join()


def test_the_codec_returns_the_last_picture() -> None:
    first, last = texture(64, 1), texture(64, 2)
    made = degrade.video_codec([first, last], "libx264", 20)
    assert psnr(made, last) > psnr(made, first) + 6


def test_chroma_is_subsampled() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (200, 40, 40)
    stripes[:, 1::2] = (40, 110, 40)
    made = degrade.jpeg(stripes, 95).astype(int)
    assert np.abs((made[:, ::2] - made[:, 1::2])[..., 0]).mean() < 120  # was 160


def test_crops_come_back_to_their_own_places() -> None:
    crops = [texture(32, seed) for seed in range(11)]
    made = degrade.call_codec(crops, np.random.default_rng(3))
    assert len(made) == 11
    for k, picture in enumerate(made):
        scores = [psnr(picture, crop) for crop in crops]
        assert int(np.argmax(scores)) == k


def test_same_seed_same_damage_other_seed_other_damage() -> None:
    truths = [texture(64, seed) for seed in range(3)]
    a, b, c = (degrade.call(truths, 4, np.random.default_rng(s)) for s in (5, 5, 6))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(a, c, strict=True))
    assert a[0].shape == (16, 16, 3)


def test_sharpened_crops_are_a_share_and_off_by_default() -> None:
    truths = [texture(64, seed) for seed in range(6)]
    plain, none, every = (
        degrade.call(truths, 4, np.random.default_rng(5), *share) for share in ((), (0.0,), (1.0,))
    )
    assert all(np.array_equal(x, y) for x, y in zip(plain, none, strict=True))
    mean = [float(np.mean([detail(x) for x in crops])) for crops in (plain, every)]
    assert mean[1] > 1.1 * mean[0]


def test_a_close_up_is_damaged_mildly() -> None:
    image = cv2.GaussianBlur(texture(128), (0, 0), 1).astype(np.uint8)
    made = [degrade.close_up(image, np.random.default_rng(seed)) for seed in range(20)]
    assert any(np.array_equal(m, image) for m in made)
    assert any(not np.array_equal(m, image) for m in made)
    assert min(psnr(m, image) for m in made) > 24
