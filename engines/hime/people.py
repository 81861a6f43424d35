"""People: headshots by person, and what is cut from them. Without PyTorch."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Person:
    """All the headshots of one person: square RGB uint8 pictures."""

    name: str
    photos: tuple[Image, ...]


def _decode(data: bytes, name: str) -> Image:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or picture.shape[0] != picture.shape[1]:
        raise ValueError(f"{name}: not a square picture")
    return np.ascontiguousarray(picture[:, :, ::-1], np.uint8)


def read_photo(path: Path) -> Image:
    """A square headshot, RGB uint8 (H, H, 3).

    Raises: ValueError: it is no picture, or not square. OSError.
    """
    return _decode(path.read_bytes(), str(path))


def _files(source: Path) -> Iterator[tuple[str, str, bytes]]:
    """(person, name, bytes) of every picture in a folder or zip of `person/photo.jpg`."""
    if source.is_dir():
        for path in sorted(source.glob("*/*")):
            if path.suffix.lower() in SUFFIXES:
                yield path.parent.name, str(path), path.read_bytes()
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if name.lower().endswith(SUFFIXES) and "/" in name:
                    yield name.split("/")[-2], name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{source}: neither a folder nor a whole zip file ({error})") from error


def load_people(source: Path, min_side: int = 0) -> list[Person]:
    """Read a folder, or a zip, that holds a folder of square headshots for each person.

    Args:    min_side: smaller photos are left out, px.
    Raises:  ValueError: no picture was found, or one is not square; a damaged zip. OSError.
    """
    photos: dict[str, list[Image]] = {}
    for person, name, data in _files(source):
        image = _decode(data, name)
        if image.shape[0] >= min_side:
            photos.setdefault(person, []).append(image)
    if not photos:
        raise ValueError(f"{source}: no person/photo.jpg of at least {min_side} px found")
    return [Person(name, tuple(images)) for name, images in sorted(photos.items())]


def cut(photo: Image, side: int, zoom: float, shift: tuple[float, float]) -> Image:
    """A window of the photo, resized to side x side px.

    Args:    zoom: side of the window as a share of the photo's. shift: of its centre, likewise;
             beyond the photo's edge it is reflected.
    """
    full = photo.shape[0]
    window = max(8, round(full * zoom))
    left = round((full - window) / 2 + shift[0] * full)
    top = round((full - window) / 2 + shift[1] * full)
    pad = max(0, -left, -top, left + window - full, top + window - full)
    if pad:
        wide = cv2.copyMakeBorder(photo, pad, pad, pad, pad, cv2.BORDER_REFLECT)
        photo = np.asarray(wide, np.uint8)
    crop = photo[top + pad : top + pad + window, left + pad : left + pad + window]
    kernel = cv2.INTER_AREA if window > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (side, side), interpolation=kernel), np.uint8)


def recolour(image: Image, gain: NDArray[np.float64], gamma: float) -> Image:
    """Another light.

    Args: image: RGB uint8 (H, W, 3). gain: of R, G and B. gamma: 1 changes nothing.
    """
    table = np.linspace(0, 1, 256)[:, None] ** gamma * gain
    table8 = np.clip(table * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.stack([table8[image[:, :, c], c] for c in range(3)], axis=2)
