"""Corruptions: bad crops and exemplars, made from headshots with a known
truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from engines.hime import degrade
from stream.frame import Image

Rng = np.random.Generator


def read(folder: Path) -> dict[str, list[Image]]:
    """Every person's photos. Raises: ValueError: no folder; too few people or photos."""
    people: dict[str, list[Image]] = {}
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of people")
    for home in sorted(path for path in folder.iterdir() if path.is_dir()):
        photos = [cv2.imread(str(path)) for path in sorted(home.iterdir())]
        usable = [np.ascontiguousarray(p[:, :, ::-1], np.uint8) for p in photos if p is not None]
        if len(usable) > 3:
            people[home.name] = usable
    if len(people) < 2:
        raise ValueError(f"{folder} must hold folders of two people or more, four photos each")
    return people


def shrunk(image: Image, side: int) -> Image:
    """By area, RGB uint8 (side, side, 3)."""
    return np.ascontiguousarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA))


def covered(image: Image, rng: Rng) -> Image:
    """A hand, more or less, in front of mouth and cheek."""
    side = image.shape[0]
    x, y = side * rng.uniform(0.35, 0.65), side * rng.uniform(0.45, 0.7)
    mask = np.zeros((side, side), np.float32)
    for finger in range(4):
        at = (round(x + (finger - 1.5) * 0.07 * side), round(y))
        axes = (round(0.035 * side), round(0.2 * side))
        cv2.ellipse(mask, at, axes, float(rng.uniform(-12, 12)), 0, 360, (1.0,), -1)
    palm = (round(x), round(y + 0.18 * side))
    cv2.ellipse(mask, palm, (round(0.17 * side), round(0.13 * side)), 0, 0, 360, (1.0,), -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.0))[..., None]
    middle = slice(2 * side // 5, 3 * side // 5)
    skin = 0.92 * np.median(image[middle, middle].reshape(-1, 3), axis=0)
    shade = 1.0 + 0.12 * np.sin(np.arange(side) * 40.0 / side)[None, :, None]
    return np.asarray(np.clip(image * (1 - soft) + soft * skin * shade, 0, 255), np.uint8)


def noisy(image: Image, deviation: float, rng: Rng) -> Image:
    """White noise.

    Args: image: RGB uint8. deviation: 8-bit levels. rng: of the noise.
    """
    return np.clip(image + rng.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)


def crops(truth: Image, scale: int, rng: Rng) -> Iterator[tuple[str, Image, Image]]:
    """(name, truth, crop) of every kind of damage.

    Args: truth: RGB uint8 (s b, s b, 3). scale: s. rng: of the damage.
    """
    side = truth.shape[0] // scale
    yield "call", truth, degrade.call([truth], scale, rng)[0]
    hand = covered(truth, rng)
    yield "hand", hand, degrade.call([hand], scale, rng)[0]
    yield "noise", truth, degrade.jpeg(noisy(shrunk(truth, side), 18.0, rng), 80)
    dark = np.asarray(0.3 * truth, np.uint8)
    yield "dark", dark, degrade.jpeg(noisy(shrunk(dark, side), 5.0, rng), 80)


def exemplars(own: list[Image], other: list[Image], scale: int, rng: Rng) -> dict[str, list[Image]]:
    """Every kind of exemplars, RGB uint8 (s b, s b, 3) each.

    Args: own, other: headshots of the person and of somebody else, RGB uint8 (s b, s b, 3). scale:
          s. rng: of the damage.
    """
    side = own[0].shape[0]
    larger = np.array([[1.4, 0.0, -0.2 * side], [0.0, 1.4, -0.2 * side]])

    def blurred(sigma: float) -> list[Image]:
        return [np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8) for x in own]

    return {
        "own": own,
        "own, one": own[:1],
        "stranger": other,
        "blurred": blurred(scale),
        "blurred half": blurred(scale / 2),
        "blurred quarter": blurred(scale / 4),
        "mirrored": [np.ascontiguousarray(x[:, ::-1]) for x in own],
        "blank": [np.full_like(x, 128) for x in own],
        "too large": [
            np.asarray(cv2.warpAffine(x, larger, (side, side), borderMode=cv2.BORDER_REFLECT))
            for x in own
        ],
        "noisy": [noisy(x, 25.0, rng) for x in own],
        "covered": [covered(x, rng) for x in own],
        "one good": [own[0], *blurred(scale)[1:]],
    }
