"""How well people are known again, measured on photos of known people: where thresholds come from.

    python -m calibration.reidentification --people FOLDER --people MORE.zip

Each holds a folder for each person with headshots in it (`PERSON/SESSION_NUMBER.jpg`; what comes
before the last `_` is the session). Two halves of one session are somebody who has left and come
back; any two people are a chance for a false merge. One half is seen at --width, as from far away,
with a camera's noise, and its keypoints are found again there; the other half is close.

    python -m calibration.reidentification --people FOLDER --call

is how a call knows people again: each photo of the half far away is seen twice, damaged as by a
call, the other half is seen from afar, too, and what counts is the second best look.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import reported, run_program
from engines.hime import degrade
from engines.install import install_command
from engines.option_types import named_path, whole
from stream.errors import CloseupError, InputError
from stream.frame import Face, Floats, Image
from stream.stages.exemplars.dlib_descriptor import Describer, DlibDescriptor
from stream.stages.exemplars.hog_descriptor import HogDescriptor, usable
from stream.stages.exemplars.returning_people import FAR_SAME, SURE_TIMES
from stream.stages.tracking.face_detector import FaceDetector

VIEWS = 8
"""Photos of each half, evenly over it."""
NOISE = 2.0
"""Standard deviation, grey levels, of far faces."""
WIDTHS = (0, 64, 40, 28)
CALL_WIDTHS = (40, 28)
LEAST_FAR_PX, MOST_FAR_PX = 16, 128
"""Of far faces; photos show no more of wider ones."""
DAMAGE_SCALE = 4
"""A headshot is damaged where it is shrunk, by so much."""

Half = list[Floats]
"""Descriptions of some views."""


class Result(TypedDict):
    """What one way of describing faces does at one distance."""

    describer: str
    width_px: int
    """Of the far half's face; 0: as close as the other."""
    same: float
    """The threshold in use."""
    returns: int
    """Sessions in two halves."""
    recognised: int
    """Of them: at least `same`."""
    strangers: int
    """Pairs of two people."""
    merged: int
    """Of them, wrongly: at least `same`."""
    most_alike: list[float]
    """The three pairs of two people who are most alike."""
    returns_likeness: list[float]
    """1st, 10th and 50th percentile of those who come back."""


class Photo(NamedTuple):
    """A file of a photo."""

    person: str
    session: str
    name: str
    data: bytes


def photos(source: Path) -> Iterator[Photo]:
    """Each photo, in order.

    Raises: InputError: there is no folder of people, or a damaged zip.
    """
    if source.is_dir():
        files = sorted(source.glob("*/*.jpg")) + sorted(source.glob("*/*.png"))
        for path in files:
            yield _photo(path, path.read_bytes())
    elif zipfile.is_zipfile(source):
        try:
            with zipfile.ZipFile(source) as packed:
                for name in sorted(packed.namelist()):
                    if Path(name).suffix in (".jpg", ".png"):
                        yield _photo(Path(name), packed.read(name))
        except (zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{source}: damaged ({error})") from error
    else:
        raise InputError(f"{source} is no folder and no zip file of people")


def _photo(path: Path, data: bytes) -> Photo:
    return Photo(path.parent.name, path.stem.rpartition("_")[0], str(path), data)


def _decoded(photo: Photo) -> Image:
    # OpenCV has an error of its own for no data at all.
    data = np.frombuffer(photo.data, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if photo.data else None
    if picture is None:
        raise InputError(f"{photo.name} is no picture that can be read; remove it")
    return np.ascontiguousarray(picture[:, :, ::-1], np.uint8)


def sessions(sources: list[Path]) -> dict[tuple[str, str], list[Image]]:
    """Up to twice VIEWS photos of each (person, session), evenly over it.

    Raises: InputError: as `photos`, or a photo that cannot be read.
    """
    found: dict[tuple[str, str], list[Photo]] = {}
    for source in sources:
        for photo in photos(source):
            found.setdefault((photo.person, photo.session), []).append(photo)
    chosen: dict[tuple[str, str], list[Image]] = {}
    for key, files in found.items():
        places = np.unique(np.linspace(0, len(files) - 1, min(2 * VIEWS, len(files))).round())
        chosen[key] = [_decoded(files[int(place)]) for place in places]
    return chosen


def seen(
    detector: FaceDetector, picture: Image, width_px: int, rng: np.random.Generator
) -> tuple[Image, Face] | None:
    """A headshot from `width_px` away (0: as it is) and the face in it; None: none to compare.

    Args: picture: RGB uint8 (s, s, 3), a headshot. width_px: of the face in the camera's picture.
          rng: of the camera's noise.
    """
    if width_px:
        side = 2 * width_px
        far = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        noisy = far + rng.normal(0.0, NOISE, far.shape)
        picture = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    middle = picture.shape[1] / 2.0
    for one in detector.detect(picture):
        face = Face(1, one.box, one.keypoints, one.score)
        if abs(face.center[0] - middle) < 0.15 * picture.shape[1] and usable(face):
            return picture, face
    return None


def damaged(picture: Image, width_px: int, rng: np.random.Generator) -> Image:
    """A headshot from `width_px` away as a call shows it.

    Args: picture: RGB uint8 (s, s, 3). width_px: of the face. rng: of the damage.
    """
    side = 2 * width_px * DAMAGE_SCALE
    how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
    large = np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
    return np.ascontiguousarray(degrade.call([large], DAMAGE_SCALE, rng)[0])


def likeness(one: Half, other: Half, rank: int = 1) -> float:
    """Of two sets of views: of the two that are most alike, as the person index has it.

    Args: one: what is asked about. other: what is known. rank: 2: of its second best view.
    """
    return float(np.sort((np.stack(one) @ np.stack(other).T).max(axis=1))[-rank])


class Likenesses(NamedTuple):
    """How much faces are alike, 0..1."""

    returns: NDArray[np.float64]
    """Two halves of one session."""
    strangers: NDArray[np.float64]
    """Two people."""
    trembles: NDArray[np.float64]
    """By how much that of two people changes with the views that were taken."""


def likenesses(
    people: dict[tuple[str, str], list[Image]],
    describer: Describer,
    width_px: int,
    call: bool = False,
) -> Likenesses:
    """Everybody with everybody.

    Args:   people: photos by (person, session). width_px: of the far half's faces; 0: close.
            call: as a call knows people again, from afar.
    Raises: InputError: too few photos.
    """
    rank = SURE_TIMES if call else 1
    rng = np.random.default_rng(0)
    far: dict[tuple[str, str], Half] = {}
    close: dict[tuple[str, str], Half] = {}
    whole: set[tuple[str, str]] = set()
    with FaceDetector() as detector:
        for key, pictures in people.items():
            middle = (len(pictures) + 1) // 2
            both = len(pictures) >= 4
            first = pictures[:middle] if both else pictures
            second = pictures[middle:] if both else pictures
            if call:
                afar = [damaged(one, width_px, rng) for one in first for _ in range(rank)]
                looks = [seen(detector, one, 0, rng) for one in afar]
                again = [damaged(one, width_px, rng) for one in second]
                known = [seen(detector, one, 0, rng) for one in (*second, *again)]
            else:
                looks = [seen(detector, one, width_px, rng) for one in first]
                known = [seen(detector, one, 0, rng) for one in second]
            for half, views in ((far, looks), (close, known)):
                half[key] = [describer.describe(*view) for view in views if view]
            if both and len(far[key]) >= rank and close[key]:
                whole.add(key)
    returns = [likeness(far[key], close[key], rank) for key in sorted(whole)]
    pairs = [
        (one, other)
        for a, one in far.items()
        for b, other in close.items()
        if a[0] != b[0] and len(one) >= rank and other
    ]
    if not returns or not pairs:
        raise InputError("too few photos: two people, and one with four photos of a session")
    strangers = [likeness(one, other, rank) for one, other in pairs]
    trembles = [
        likeness(one[::2], other) - likeness(one[1::2], other) for one, other in pairs if one[1:]
    ]
    return Likenesses(np.array(returns), np.array(strangers), np.array(trembles))


def measure(
    people: dict[tuple[str, str], list[Image]],
    describer: Describer,
    width_px: int,
    call: bool = False,
) -> Result:
    """What a way of describing faces does.

    Args:   people: headshots by person and session. describer: what is measured. width_px: of the
            far faces. call: see `likenesses`.
    Raises: InputError: too few photos.
    """
    returns, strangers, _ = likenesses(people, describer, width_px, call)
    same = FAR_SAME if call else describer.same
    return Result(
        describer=describer.name,
        width_px=width_px,
        same=same,
        returns=len(returns),
        recognised=int((returns >= same).sum()),
        strangers=len(strangers),
        merged=int((strangers >= same).sum()),
        most_alike=[round(float(x), 4) for x in np.sort(strangers)[::-1][:3]],
        returns_likeness=[round(float(x), 4) for x in np.percentile(returns, (1, 10, 50))],
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.reidentification",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--people", type=named_path, action="append", required=True, metavar="FOLDER|ZIP")
    add(
        "--width", type=_width, action="append", help="px of the far face; 0: close (0, 64, 40, 28)"
    )
    add("--describer", choices=("gradients", "dlib"), default="gradients")
    add("--call", action="store_true", help="as calls know people again; widths 40 and 28 px")
    add("--json", action="store_true", help="the results as JSON on stdout")
    given = parser.parse_args(arguments)
    results = []
    try:
        describer: Describer = (
            HogDescriptor() if given.describer == "gradients" else DlibDescriptor()
        )
        if given.call and (given.describer != "gradients" or 0 in (given.width or ())):
            parser.error("--call is for gradients, and for faces far away")
        people = sessions(given.people)
        for width in given.width or (CALL_WIDTHS if given.call else WIDTHS):
            results.append(measure(people, describer, width, given.call))
            print(_line(results[-1]), file=sys.stderr, flush=True)
    except (CloseupError, OSError) as error:
        return reported(error)
    except ImportError as error:
        print(f"error: {error}; {install_command('identity')}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(results))
    return 0


def _width(text: str) -> int:
    if text == "0":
        return 0
    return whole(LEAST_FAR_PX, MOST_FAR_PX)(text)


def _line(result: Result) -> str:
    width = f"{result['width_px']} px" if result["width_px"] else "close"
    return (
        f"{result['describer']} {width}: {result['recognised']} of {result['returns']} recognised, "
        f"{result['merged']} of {result['strangers']} strangers merged at {result['same']}; "
        f"most alike {result['most_alike']}, returns {result['returns_likeness']}"
    )


if __name__ == "__main__":
    run_program(main)
