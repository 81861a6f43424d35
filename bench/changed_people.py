"""Whether personal weights show what a person has no more: glasses off, beard shaved, another cut
of hair, closed eyes, an open mouth, after learning.

    python -m bench.changed_people --data PEOPLE --people ada --pairs 1024

PEOPLE is a folder or a zip with a folder of square headshots for each person. Changes are drawn,
so that the truth is known: what is gone on the close-ups, what is new on the far faces. Real ones
are measured, too: `--labels FILE.csv` has the columns person, photo (its place in the order of
names, from 0) and change ("closed eyes" or "open mouth"); these photos are not learnt from.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np

from bench.scenes.drawn_changes import CHANGES, FaceAxes, eyes_and_mouth
from engines.diagram import save
from engines.errors import EngineError, reported, run_program
from engines.files import write_whole
from engines.hime.cases import SLOTS
from engines.hime.checkpoint import load_network
from engines.hime.model import Hime
from engines.hime.people import load_people
from engines.option_types import named_path
from engines.output_file import output_file
from engines.personal.changed_cases import ChangedCases, Look, Shown
from engines.personal.close_ups import CloseUp, split
from engines.personal.learner import BATCH, Learner
from engines.personal.learning_process import with_allocator
from engines.personal.training_pairs import CROP_PX
from engines.weights.manifest import weights_files
from stream.errors import CloseupError
from stream.frame import Image
from stream.stages.tracking.face_detector import FaceDetector

LEARNT = 2 / 3
"""Share of the photos, the first ones, that is learnt from."""
LEAST_PHOTOS = 9
LEAST_PAIRS = 64
MOST_LEARNT = 36
CASES = 12
"""Faces of each change."""
SHEET_ROWS = 3
"""Faces of each change on the sheet."""
LABELLED = ("closed eyes", "open mouth")

Labels = dict[str, dict[int, str]]
"""Person -> place of a photo -> what has changed in it."""


@dataclass(frozen=True)
class Row:
    """One change of one person."""

    person: str
    change: str
    faces: int
    shipped: Shown
    personal: Shown
    """Both with exemplars, which show the learnt look."""
    shipped_alone: Shown
    personal_alone: Shown
    """Without exemplars: what the weights do by themselves."""
    used: bool
    """The held-out close-ups let these weights be used; else these are the newest ones."""


@dataclass(frozen=True)
class Photo:
    """A headshot in which the face was found."""

    picture: Image
    face: FaceAxes
    label: str = ""
    """What has changed in it, where somebody said so."""


def read_labels(path: Path) -> Labels:
    """See `--labels`. Raises: ValueError: another table. OSError."""
    found: Labels = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            person, photo, change = (row.get(k) for k in ("person", "photo", "change"))
            if not person or change not in LABELLED or not (photo or "").isdecimal():
                raise ValueError(
                    f"{path}, line {line}: needs person, photo (a number), change "
                    f"({' or '.join(LABELLED)})"
                )
            found.setdefault(person, {})[int(photo or "")] = change
    return found


def find_faces(pictures: Sequence[Image], labels: dict[int, str]) -> list[Photo]:
    """Headshots in which a face is found, in their order.

    Raises: ModelError: the detector's models cannot be had.
    """
    found = []
    detector = FaceDetector()
    try:
        for place, picture in enumerate(pictures):
            # with room around it: the detector knows heads in a picture, not pictures of a head
            room = picture.shape[0] // 2
            around = (room, room, room, room)
            framed = cv2.copyMakeBorder(picture, *around, cv2.BORDER_REFLECT)
            faces = detector.detect(np.asarray(framed, np.uint8))
            middle = [np.hypot(*(one.keypoints.mean(axis=0) - 2 * room)) for one in faces]
            if faces:
                points = faces[int(np.argmin(middle))].keypoints - np.float32(room)
                found.append(Photo(picture, FaceAxes.of(points), labels.get(place, "")))
    finally:
        detector.close()
    return found


def _with(photo: Photo, names: Sequence[str]) -> Image:
    picture = photo.picture
    for name in names:
        picture = CHANGES[name].draw(picture, photo.face)
    return picture


def looks_of(photos: Sequence[Photo], name: str) -> list[Look]:
    """Every face as it is now, with this one drawn change.

    What is gone is gone alone: the other things that the close-ups show are still there.
    """
    gone = [one for one, change in CHANGES.items() if change.gone]
    if CHANGES[name].gone:
        rest = [one for one in gone if one != name]
        return [Look(_with(one, rest), _with(one, gone)) for one in photos]
    return [Look(_with(one, [name]), one.picture) for one in photos]


def evaluate(
    name: str, photos: Sequence[Photo], network: Hime, pairs: int
) -> tuple[list[Row], dict[str, list[Image]]]:
    """Learn one person twice, with and without what is gone now, and judge every change.

    Args:    name: whose they are. photos: in the order of time. network: with the shipped weights.
             pairs: so many are learnt from each time.
    Returns: rows, and the columns of a sheet.
    Raises:  ValueError: too few photos.
    """
    scale = network.config.scale
    plain = [one for one in photos if not one.label]
    if len(plain) < LEAST_PHOTOS:
        raise ValueError(f"{name}: {len(plain)} photos with a face, {LEAST_PHOTOS} are needed")
    count = round(LEARNT * len(plain))
    first, rest = plain[: min(count, MOST_LEARNT)], plain[count:]
    gone = [one for one, change in CHANGES.items() if change.gone]
    rows: list[Row] = []
    sheet: dict[str, list[Image]] = {}
    for worn in (gone, []):
        learnt = [CloseUp(_with(one, worn), float(k)) for k, one in enumerate(first)]
        learner = Learner(network, learnt, round(pairs / BATCH[scale]))
        for _ in learner.steps_made():
            pass
        personal, used = learner.mean, learner.best is not None
        if learner.best is not None:
            personal = copy.deepcopy(network)
            personal.load_state_dict(learner.best, strict=False)
        looks = {one: looks_of(rest, one) for one in CHANGES if (one in gone) == bool(worn)}
        if not worn:
            looks |= real_looks(photos)
        for change, changed in looks.items():
            cases = ChangedCases(changed, split(learnt)[0], scale, max(CASES, len(changed)))
            figures, made = _compared(cases, network, personal)
            rows.append(Row(name, change, len(changed), *figures, used))
            for title, pictures in (cases.sheet() | made).items():
                sheet.setdefault(title, []).extend(pictures[:SHEET_ROWS])
    return rows, sheet


def real_looks(photos: Sequence[Photo]) -> dict[str, list[Look]]:
    """Those that somebody has labelled, as `real ...`."""
    found: dict[str, list[Look]] = {}
    for one in photos:
        if one.label:
            where = eyes_and_mouth(one.picture, one.face)[one.label]
            found.setdefault(f"real {one.label}", []).append(Look(one.picture, None, where))
    return found


def _compared(
    cases: ChangedCases, shipped: Hime, personal: Hime
) -> tuple[tuple[Shown, Shown, Shown, Shown], dict[str, list[Image]]]:
    before, before_made = cases.shown(shipped, SLOTS)
    after, after_made = cases.shown(personal, SLOTS)
    figures = (before, after, cases.shown(shipped, 0)[0], cases.shown(personal, 0)[0])
    return figures, {"shipped": before_made, "personal": after_made}


def table(rows: Sequence[Row]) -> str:
    """Of all people and the mean of each change, in Markdown."""
    lines = [
        "| person | change | faces | PSNR there | learnt look shown | PSNR in the rest of the face "
        "| without exemplars: PSNR there | learnt look shown | used |",
        "|" + "---|" * 9,
    ]
    lines += [_line(row.person, [row]) for row in rows]
    for change in dict.fromkeys(row.change for row in rows):
        same = [row for row in rows if row.change == change]
        lines.append(_line(f"mean of {len(same)}", same))
    return "\n".join(lines)


def _line(name: str, rows: Sequence[Row]) -> str:
    def change(before: Sequence[float], after: Sequence[float], digits: int) -> str:
        return f"{fmean(after):.{digits}f} ({fmean(after) - fmean(before):+.{digits}f})"

    pairs = [(row.shipped, row.personal) for row in rows]
    alone = [(row.shipped_alone, row.personal_alone) for row in rows]
    cells = [
        name,
        rows[0].change,
        str(sum(row.faces for row in rows)),
        change([a.psnr for a, _ in pairs], [b.psnr for _, b in pairs], 2),
        change([a.shown for a, _ in pairs], [b.shown for _, b in pairs], 3),
        change([a.elsewhere for a, _ in pairs], [b.elsewhere for _, b in pairs], 2),
        change([a.psnr for a, _ in alone], [b.psnr for _, b in alone], 2),
        change([a.shown for a, _ in alone], [b.shown for _, b in alone], 3),
        f"{sum(row.used for row in rows)} of {len(rows)}",
    ]
    return "| " + " | ".join(cells) + " |"


def draw_sheet(columns: dict[str, list[Image]]) -> Image:
    """Faces side by side, a row for each, under no title: far, now, learnt, shipped, personal."""
    side = max(one.shape[0] for one in columns["now"])
    strips = []
    for pictures in columns.values():
        large = [cv2.resize(one, (side, side), interpolation=cv2.INTER_NEAREST) for one in pictures]
        strips.append(np.concatenate(large))
    return np.concatenate(strips, axis=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.changed_people",
        description=" ".join(__doc__.split("\n\n")[0].split()),
    )
    add = parser.add_argument
    add(
        "--data", type=named_path, required=True, metavar="PEOPLE", help="a folder or zip of people"
    )
    add("--scale", type=int, choices=tuple(CROP_PX), default=8)
    add("--pairs", type=int, default=1024, metavar="N", help="to learn from, each time (1024)")
    add("--people", default="", metavar="A,B", help="of the folder; all when left out")
    add(
        "--labels",
        type=named_path,
        metavar="FILE.csv",
        help="photos in which eyes or mouth changed",
    )
    add("--sheet", type=output_file, metavar="FILE.png", help="far, now, learnt, shipped, personal")
    add("--json", type=output_file, metavar="FILE", help="writes every row")
    args = parser.parse_args(argv)
    rows: list[Row] = []
    sheet: dict[str, list[Image]] = {}
    try:
        if args.pairs < LEAST_PAIRS:
            raise ValueError(f"--pairs {LEAST_PAIRS} or more")
        if args.sheet is not None and not cv2.haveImageWriter(str(args.sheet)):
            raise ValueError(f"--sheet {args.sheet}: a name with .png or .jpg")
        labels = {} if args.labels is None else read_labels(args.labels)
        people = load_people(args.data, CROP_PX[args.scale] * args.scale)
        wanted = [name for name in args.people.split(",") if name]
        unknown = {*wanted, *labels} - {one.name for one in people}
        if unknown:
            raise ValueError(f"{args.data}: nobody is called {', '.join(sorted(unknown))}")
        chosen = [one for one in people if not wanted or one.name in wanted]
        network = load_network(weights_files(args.scale)[1])
        for person in chosen:
            photos = find_faces(person.photos, labels.get(person.name, {}))
            found, columns = evaluate(person.name, photos, network, args.pairs)
            rows += found
            for title, pictures in columns.items():
                sheet.setdefault(title, []).extend(pictures)
            print(f"{person.name}: {len(photos)} photos with a face", file=sys.stderr, flush=True)
        print(table(rows))
        if args.json is not None:
            write_whole(args.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        if args.sheet is not None:
            save(args.sheet, draw_sheet(sheet))
    except (OSError, ValueError, EngineError, CloseupError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    with_allocator("bench.changed_people")
    run_program(main)
