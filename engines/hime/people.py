"""People: headshots by person, and what is cut from them. Without PyTorch."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.hime.licences import Credits, Permit

Image = NDArray[np.uint8]
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Person:
    """All the headshots of one person: square RGB uint8 pictures."""

    name: str
    photos: tuple[Image, ...]


def _decode(data: bytes, name: str) -> Image:
    # OpenCV has an error of its own for no data at all.
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise ValueError(f"{name} is no picture that can be read; remove it")
    if picture.shape[0] != picture.shape[1]:
        raise ValueError(f"{name}: not a square picture; cut it to a square, or remove it")
    return np.ascontiguousarray(picture[:, :, ::-1], np.uint8)


def read_photo(path: Path) -> Image:
    """A square headshot, RGB uint8 (H, H, 3).

    Raises: ValueError: it is no picture, or not square. OSError.
    """
    return _decode(path.read_bytes(), str(path))


def _names(source: Path) -> list[tuple[str, str]]:
    """(person, path within) of every picture in a folder or zip of `person/photo.jpg`; a picture
    that lies in no folder is a person of its own.

    Raises: ValueError: there is no such folder or file; a damaged zip. OSError.
    """
    if not source.exists():
        raise ValueError(f"{source} does not exist; give a folder of person/photo.jpg, or its zip")
    if source.is_dir():
        paths = [
            path.relative_to(source) for pattern in ("*", "*/*") for path in source.glob(pattern)
        ]
        names = [path.as_posix() for path in paths]
    else:
        try:
            with zipfile.ZipFile(source) as archive:
                names = archive.namelist()
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{source}: neither a folder nor a whole zip file ({error})"
            ) from error
    pictures = [PurePosixPath(name) for name in sorted(names) if name.lower().endswith(SUFFIXES)]
    return [(path.parent.name or path.stem, str(path)) for path in pictures]


def _permitted(source: Path, permit: Permit | None) -> list[tuple[str, str]]:
    """Those of `_names` that may be used. Raises: ValueError: a picture without a licence; none
    may be used. OSError."""
    names = _names(source)
    if permit is None:
        return names
    allowed = [(person, name) for person, name in names if permit.allows(source, name)]
    if names and not allowed:
        raise ValueError(f"{source}: no picture under {', '.join(permit.licences)}")
    return allowed


def _files(source: Path, permit: Permit | None) -> Iterator[tuple[str, str, bytes]]:
    """(person, name, bytes) of every picture that may be used."""
    names = _permitted(source, permit)
    if source.is_dir():
        for person, name in names:
            yield person, str(source / name), (source / name).read_bytes()
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for person, name in names:
                yield person, name, archive.read(name)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{source}: neither a folder nor a whole zip file ({error})") from error


def load_people(source: Path, min_side: int = 0, permit: Permit | None = None) -> list[Person]:
    """Read a folder, or a zip, that holds a folder of square headshots for each person. Headshots
    that lie in no folder are a person each.

    Args:    min_side: smaller photos are left out, px.
             permit: pictures of other licences are left out.
    Raises:  ValueError: no picture was found, one is not square, or one has no licence; a damaged
             zip. OSError.
    """
    photos: dict[str, list[Image]] = {}
    for person, name, data in _files(source, permit):
        image = _decode(data, name)
        if image.shape[0] >= min_side:
            photos.setdefault(person, []).append(image)
    if not photos:
        raise ValueError(f"{source}: no person/photo.jpg of at least {min_side} px found")
    return [Person(name, tuple(images)) for name, images in sorted(photos.items())]


def credits(people: list[Path], photographs: list[Path], permit: Permit) -> list[dict[str, Any]]:
    """What a run uses of these sources, by origin: see `licences.Credits.rows`.

    Args:   people, photographs: the sources. permit: what of them may be used.
    Raises: ValueError: a picture without a licence; a source of which nothing may be used; a
            damaged zip. OSError.
    """
    used = Credits()
    for source in dict.fromkeys([*people, *photographs]):
        for person, name in _permitted(source, permit):
            shown = f"{source}/{person}" if source in people else None
            used.add(permit.origin(source, name), shown)
    return used.rows()


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
