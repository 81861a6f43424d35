"""Descriptor projection: learns by what people are told apart, from photos of many.

    python -m calibration.descriptor_projection --data PEOPLE.zip --data SINGLE.zip \\
        --sources SOURCES.csv --held-out OTHERS [--ship]
    python -m calibration.descriptor_projection --held-out OTHERS [--ship]

Faces are described by histograms of gradients (`stream.stages.exemplars.hog_descriptor`). Linear
discriminant analysis finds the directions in which people differ and two looks at one person do
not: other photos of them, moments made from a photo (`engines.hime.variations`), and both as a
call shows them from far away (`engines.hime.degrade`). Every person counts mirrored, too, as
somebody else. What comes out is measured on the people of --held-out as
`calibration.reidentification` does; --ship puts it into engines/weights. Without --data the shipped
one is measured: again, after its thresholds have been chosen.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.reidentification import CALL_WIDTHS, Result, damaged, measure, seen, sessions
from engines.errors import EngineError, reported, run_program
from engines.files import write_whole
from engines.hime.licences import Permit
from engines.hime.options import licences
from engines.hime.people import Person, credits, load_people
from engines.hime.variations import VARIATIONS, another_moment
from engines.machine import cores, processor
from engines.option_types import named_path, whole
from engines.weights.manifest import (
    DESCRIPTOR,
    MANIFEST,
    WEIGHTS,
    descriptor_file,
    read_manifest,
    sha256,
)
from stream.errors import CloseupError, InputError
from stream.frame import Floats, Image
from stream.stages.exemplars.hog_descriptor import HogDescriptor, Projection, histograms
from stream.stages.tracking.face_detector import FaceDetector

DIMENSIONS = 256
SHRINKAGE = 0.1
"""What each direction of the scatter within people gets at least, as a share of the mean."""
ALL_SHARE = 0.3
"""Of the scatter of all views in that within people, of whom most have one or two photos. Chosen
with `DIMENSIONS` and `SHRINKAGE` by hand, on 74 sessions and 97,000 pairs of strangers: from 128
directions to all 891, and from 0 to 0.7, recall beyond what one stranger of a million reaches was
0.55 to 0.95 for faces of 28 px, where the histograms themselves have 0.44."""
MOMENTS = 2
"""That are made from a photo."""
FAR_PX = (64, 40, 28)
"""Widths of the face from far away."""
KINDS = tuple(kind for kind in VARIATIONS if kind != "foreign")
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """Histograms of many views of faces."""

    histograms: Doubles
    """(n, 891)"""
    photos: NDArray[np.int64]
    """(n,) number of the photo."""
    people: NDArray[np.int64]
    """(n,) number of the person."""


def views_of(photo: Image, rng: np.random.Generator) -> Iterator[Image]:
    """A photo, moments made from it, and both from far away.

    Args: photo: RGB uint8 (n, n, 3), a headshot. rng: the numbers are drawn from it.
    """
    made = [another_moment(photo, None, KINDS, rng) for _ in range(MOMENTS)]
    for one in (photo, *made):
        yield one
        for width_px in FAR_PX:
            yield damaged(one, width_px, rng)


def described(people: Iterable[Person], rng: np.random.Generator) -> Views:
    """Histograms of all views of everybody, and of everybody's mirror image.

    Args:   people: their photos. rng: the numbers are drawn from it.
    Raises: InputError: there are fewer than two people with a face.
    """
    rows: list[Floats] = []
    photos: list[int] = []
    numbers: list[int] = []
    photo = person = 0
    with FaceDetector() as detector:
        for one in people:
            for mirrored in (False, True):
                for picture in one.photos:
                    shown = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
                    for view in views_of(shown, rng):
                        if found := seen(detector, view, 0, rng):
                            rows.append(histograms(*found))
                            photos.append(photo)
                            numbers.append(person)
                    photo += 1
                person += 1
    if len(set(numbers)) < 2:
        raise InputError("--data shows no face of two people or more")
    return Views(np.stack(rows).astype(np.float64), np.array(photos), np.array(numbers))


def discriminant(views: Views, dimensions: int = DIMENSIONS) -> tuple[Doubles, Doubles]:
    """Linear discriminant analysis, with a shrunk scatter within people.

    Args:    views: of many people. dimensions: that are kept, at most.
    Returns: mean (891,) and projection (891, dimensions).
    Source:  Fisher, "The Use of Multiple Measurements in Taxonomic Problems", 1936; shrinkage as in
             Friedman, "Regularized Discriminant Analysis", 1989.
    """
    mean = views.histograms.mean(axis=0)
    everything = np.cov(views.histograms.T)
    within = _scatter(views.histograms, views.people)
    within = (1.0 - ALL_SHARE) * within + ALL_SHARE * everything
    spread = np.trace(within) / len(within)
    values, vectors = np.linalg.eigh(within + SHRINKAGE * spread * np.eye(len(within)))
    whitened = (vectors / np.sqrt(values)) @ vectors.T
    directions = np.linalg.eigh(whitened @ everything @ whitened)[1][:, ::-1][:, :dimensions]
    return mean, whitened @ directions


def _scatter(rows: Doubles, groups: NDArray[np.int64]) -> Doubles:
    """Covariance of rows around the mean of their group."""
    order = np.argsort(groups, kind="stable")
    inside = rows[order].copy()
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    for part in np.split(inside, starts[1:]):
        part -= part.mean(axis=0)
    return inside.T @ inside / max(len(rows) - len(starts), 1)


def packed(mean: Doubles, projection: Doubles) -> bytes:
    """The file that is shipped, half precision.

    Args: mean, projection: of `discriminant`.
    """
    scale = np.abs(projection).max()
    file = io.BytesIO()
    np.savez(file, mean=mean.astype(np.float16), directions=(projection / scale).astype(np.float16))
    return file.getvalue()


def ship(data: bytes, entry: dict[str, Any], folder: Path = WEIGHTS) -> None:
    """Put the projection among the weights, and what is known of it into the manifest.

    Args:   data: of `packed`. entry: training and scores. folder: of the weights.
    Raises: OSError, WeightsError.
    """
    manifest = read_manifest(folder)
    write_whole(folder / DESCRIPTOR, data)
    files = {DESCRIPTOR: sha256(folder / DESCRIPTOR)}
    manifest["descriptors"] = {Path(DESCRIPTOR).stem: {"files": files, **entry}}
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def scores(data: bytes, held_out: list[Path]) -> list[Result]:
    """Who is known again among others, close and as in a call.

    Args:   data: of `packed`. held_out: folders or zips of people.
    Raises: InputError.
    """
    describer = HogDescriptor(Projection.read(data))
    people = sessions(held_out)
    close = [measure(people, describer, 0)]
    return close + [measure(people, describer, width, call=True) for width in CALL_WIDTHS]


def trained(data: list[Path], permit: Permit, seed: int) -> tuple[bytes, dict[str, Any]]:
    """The file to ship, and what the manifest says of its training.

    Args:   data: folders or zips of people. permit: what of them may be used. seed: of the views.
    Raises: ValueError, OSError: as `load_people`. InputError: there are too few faces.
    """
    begun_s = time.monotonic()
    people = [one for source in data for one in load_people(source, permit=permit)]
    views = described(people, np.random.default_rng(seed))
    made = packed(*discriminant(views))
    return made, {
        "method": "linear discriminant analysis of histograms of gradients",
        "people": len(people),
        "photos": sum(len(one.photos) for one in people),
        "views": len(views.people),
        "minutes": round((time.monotonic() - begun_s) / 60.0, 1),
        "device": f"{cores()} cores, {processor()}",
        "data": credits(data, [], permit),
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.descriptor_projection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=named_path, action="append", metavar="FOLDER|ZIP", help="needs --sources")
    add("--held-out", type=named_path, action="append", required=True, metavar="FOLDER|ZIP")
    add("--licences", type=licences, default=licences("open"), help="of --data (open)")
    add("--sources", type=named_path, help="CSV: file, repository, licence, author")
    add("--seed", type=whole(), default=0)
    add("--ship", action="store_true", help="replace what is in engines/weights")
    given = parser.parse_args(arguments)
    if (given.data is None) != (given.sources is None):
        parser.error("--data and --sources go together")
    try:
        if given.data is None:
            data = descriptor_file().read_bytes()
            training = read_manifest()["descriptors"][Path(DESCRIPTOR).stem]["training"]
        else:
            permit = Permit.read(given.sources, given.licences)
            data, training = trained(given.data, permit, given.seed)
        found = scores(data, given.held_out)
        if given.ship:
            ship(data, {"training": training, "scores": found})
    except (CloseupError, EngineError, ValueError, OSError) as error:
        return reported(error)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    run_program(main)
