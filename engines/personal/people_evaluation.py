"""What learning a person brings, on pictures of the same person that were never learnt from.

    python -m engines.personal.people_evaluation --data PEOPLE --scale 8 --minutes 3

PEOPLE is a folder or a zip with a folder of square headshots for each person, named in the order of
time. The first two thirds are learnt from, the rest is judged: in the face, as shown but for
back-projection, with and without exemplars, before and after; and, as a control, somebody else with
the same weights. Minutes are of learning, without judging. What to train, how fast, from how many
close-ups, and with which share of other people's pairs (`--general PEOPLE`) may be several, with
commas between: every combination is learnt, has rows of its own, and a line in `--plot`.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import product
from statistics import fmean

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from engines.diagram import panel, save
from engines.errors import EngineError, reported, run_program
from engines.files import write_whole
from engines.hime.cases import Case
from engines.hime.checkpoint import load_network
from engines.hime.model import Hime
from engines.hime.people import Person, load_people
from engines.option_types import named_path
from engines.output_file import output_file
from engines.personal.close_ups import LEAST_CLOSE_UPS, SIDES, CloseUp, split
from engines.personal.gain import Scores
from engines.personal.held_out import make_cases, score
from engines.personal.learner import Learner, batch_size, steps_within
from engines.personal.learning_process import with_allocator
from engines.personal.method import CHANGED, PART, RATE, TRAINED, Method
from engines.personal.training_pairs import CROP_PX
from engines.runtimes.cpu import default_threads
from engines.weights.manifest import weights_files

LEARNT = 2 / 3
"""Share of a person's photos that is learnt from."""
LEAST_PHOTOS = 9
LEAST_PAIRS = 64
MARKS = (0.25, 0.5, 1.0)
"""Parts of the minutes after which is judged."""
CASES = 24
WITHOUT = 0
"""Exemplars."""


@dataclass(frozen=True)
class Row:
    """One person after so many minutes; 0 is the shipped network."""

    person: str
    close_ups: int
    minutes: float
    samples: int
    scores: Scores
    """With three exemplars, aligned in pixels."""
    alone: Scores
    """Without."""
    in_use: Scores
    """Of the weights that the held-out close-ups let be used: the best ones so far, or the shipped
    ones; with three exemplars."""
    used: bool
    """Whether they are personal."""
    setting: str = ""
    """How it was learnt; see `Setting`."""
    control: float = 0.0
    """What another person gains by the weights, dB."""


@dataclass(frozen=True)
class Setting:
    """How people are learnt."""

    minutes: float = 3.0
    pairs: int | None = None
    """Instead of the minutes."""
    close_ups: int = 36
    """To learn from at most."""
    method: Method = field(default_factory=Method)
    parts: tuple[float, ...] = MARKS
    """Of the minutes after which is judged."""
    side: int | None = None
    """Of the crops, px, that are learnt from and judged; None: `CROP_PX`."""

    def __str__(self) -> str:
        rate, share = f"{self.method.rate:g}", f"{100 * self.method.share:.0f} %"
        usual = Method()
        more = [
            f", {100 * self.method.changed:.0f} % changed" * (self.method.changed != usual.changed),
            f", {self.method.part:g} of the way" * (self.method.part != usual.part),
        ]
        start = f"{self.method.train}, {rate}, {share} general, {self.close_ups} close-ups"
        return start + "".join(more)


def evaluate(person: Person, other: Person, network: Hime, setting: Setting) -> list[Row]:
    """Learn one person and judge: a row for each part of the minutes.

    Args: other: the control.
    """
    count = round(LEARNT * len(person.photos))
    learnt = _close_ups(person)[:count]
    most = min(setting.close_ups, count)
    learnt = [learnt[int(k)] for k in np.unique(np.linspace(0, count - 1, most).round())]
    kept = split(learnt)[0]
    made = partial(make_cases, scale=network.config.scale, most=CASES, crop_px=setting.side)
    cases = made(_close_ups(person)[count:], kept)
    control = made(_close_ups(other)[:4], _close_ups(other)[4:])
    unlearnt = score(network, control).psnr
    rows = [_row(person.name, len(learnt), 0.0, 0, network, cases)]
    method = setting.method
    if setting.pairs is None:
        steps = steps_within(
            network, learnt, setting.minutes, judged=False, method=method, side=setting.side
        )
    else:
        steps = round(setting.pairs / batch_size(network.config.scale, setting.side))
    learner = Learner(network, learnt, steps, method=method, side=setting.side)
    spent_s, began_s = 0.0, time.monotonic()
    marks = [max(1, round(part * learner.steps)) for part in setting.parts]
    for progress in learner.steps_made(judged=False):
        if progress.step not in marks:
            continue
        spent_s += time.monotonic() - began_s
        learner.judge()
        samples = progress.step * batch_size(learner.scale, setting.side)
        row = _row(person.name, len(learnt), spent_s / 60.0, samples, learner.mean, cases)
        in_use = score(_in_use(network, learner), cases)
        lost = score(learner.mean, control).psnr - unlearnt
        rows.append(replace(row, in_use=in_use, used=learner.best is not None, control=lost))
        began_s = time.monotonic()
    return [replace(row, setting=str(setting)) for row in rows]


def _close_ups(person: Person) -> list[CloseUp]:
    return [CloseUp(photo, float(place)) for place, photo in enumerate(person.photos)]


def _row(
    name: str,
    close_ups: int,
    minutes: float,
    samples: int,
    network: Hime,
    cases: list[Case],
) -> Row:
    none = [Case(one.crop, one.truth, one.exemplars[:WITHOUT], one.strangers) for one in cases]
    found, alone = score(network, cases), score(network, none)
    return Row(name, close_ups, minutes, samples, found, alone, found, used=False)


def _in_use(network: Hime, learner: Learner) -> Hime:
    """What the product would run now."""
    if learner.best is None:
        return network
    personal = copy.deepcopy(network)
    personal.load_state_dict(learner.best, strict=False)
    return personal


def table(rows: Sequence[Row]) -> str:
    """Of all people and their mean, one setting after the other, in Markdown."""
    settings = list(dict.fromkeys(row.setting for row in rows))
    parts = []
    for setting in settings:
        title = [f"**{setting}**", ""] if len(settings) > 1 else []
        parts.append("\n".join([*title, *_lines([r for r in rows if r.setting == setting])]))
    return "\n\n".join(parts)


def _lines(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| person | close-ups | minutes | pairs | PSNR in the face | coherence | sharpness "
        "| without exemplars | PSNR of what is used | used | another person, dB |",
        "|" + "---|" * 11,
    ]
    lines += [_line(pair[1].person, [pair]) for pair in _pairs(rows)]
    return lines + [_line(f"mean of {len(pairs)}", pairs) for pairs in _by_mark(rows)]


def _pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Each with the shipped network's row of the same person."""
    first = {row.person: row for row in rows if row.minutes == 0.0}
    return [(first[row.person], row) for row in rows]


def _by_mark(rows: Sequence[Row]) -> list[list[tuple[Row, Row]]]:
    """Of all people after each part of the minutes, `rows` being of one setting."""
    places: dict[str, int] = {}
    found: dict[int, list[tuple[Row, Row]]] = {}
    for pair in _pairs(rows):
        place = places.get(pair[1].person, 0)
        places[pair[1].person] = place + 1
        found.setdefault(place, []).append(pair)
    return list(found.values())


def curves(rows: Sequence[Row]) -> NDArray[np.uint8]:
    """Gains over minutes, a line for each setting: RGB uint8 (H, W, 3)."""
    psnr: dict[str, list[tuple[float, float]]] = {}
    coherence: dict[str, list[tuple[float, float]]] = {}
    control: dict[str, list[tuple[float, float]]] = {}
    for setting in dict.fromkeys(row.setting for row in rows):
        for pairs in _by_mark([row for row in rows if row.setting == setting]):
            minutes = fmean(b.minutes for _, b in pairs)
            gained = fmean(b.scores.psnr - a.scores.psnr for a, b in pairs)
            agreed = fmean(b.scores.coherence - a.scores.coherence for a, b in pairs)
            psnr.setdefault(setting, []).append((minutes, gained))
            coherence.setdefault(setting, []).append((minutes, agreed))
            lost = fmean(b.control for _, b in pairs)
            control.setdefault(setting, []).append((minutes, lost))
    titles = ("PSNR in the face, gain in dB", "coherence, gain", "another person, gain in dB")
    drawn = zip(titles, (psnr, coherence, control), strict=True)
    return np.concatenate([panel(title, series, "minutes") for title, series in drawn])


def _line(name: str, pairs: Sequence[tuple[Row, Row]]) -> str:
    def change(before: Sequence[float], after: Sequence[float], digits: int) -> str:
        return f"{fmean(after):.{digits}f} ({fmean(after) - fmean(before):+.{digits}f})"

    was, now = [a for a, _ in pairs], [b for _, b in pairs]
    cells = [
        name,
        f"{fmean([x.close_ups for x in now]):.0f}",
        f"{fmean([x.minutes for x in now]):.1f}",
        f"{fmean([x.samples for x in now]):.0f}",
        change([x.scores.psnr for x in was], [x.scores.psnr for x in now], 2),
        change([x.scores.coherence for x in was], [x.scores.coherence for x in now], 3),
        change([x.scores.sharpness for x in was], [x.scores.sharpness for x in now], 2),
        change([x.alone.psnr for x in was], [x.alone.psnr for x in now], 2),
        change([x.in_use.psnr for x in was], [x.in_use.psnr for x in now], 2),
        f"{sum(x.used for x in now)} of {len(now)}",
        f"{fmean([x.control for x in now]):+.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def numbers(text: str) -> list[float]:
    """What stands between commas. Raises: ValueError: something is no finite number."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{text!r}: expected numbers with commas between them")
    return found


def settings_of(args: argparse.Namespace) -> list[Setting]:
    """Every combination that was asked for. Raises: ValueError: one cannot be. OSError."""
    parts, counts, shares = map(numbers, (args.parts, args.close_ups, args.general_share))
    few = min(counts) < LEAST_CLOSE_UPS or not all(map(float.is_integer, counts))
    if few or not 0.0 < args.minutes <= 10_000.0:
        raise ValueError(f"--minutes above 0, --close-ups {LEAST_CLOSE_UPS} or more, whole numbers")
    if args.pairs is not None and args.pairs < LEAST_PAIRS:
        raise ValueError(f"--pairs {LEAST_PAIRS} or more")
    if not all(0.0 < part <= 1.0 for part in parts):
        raise ValueError("--parts above 0, up to 1")
    if args.size is not None and args.size not in SIDES[args.scale]:
        sides = ", ".join(map(str, SIDES[args.scale]))
        raise ValueError(f"--size {args.size}: at x{args.scale} one of {sides}")
    if (args.general is not None) != any(shares):
        raise ValueError("--general and --general-share need each other")
    general: tuple[Person, ...] = ()
    if args.general is not None:
        general = tuple(load_people(args.general, (args.size or CROP_PX[args.scale]) * args.scale))
    found = []
    ways = map(numbers, (args.changed, args.part))
    combined = product(args.train.split(","), numbers(args.rate), shares, counts, *ways)
    for train, rate, share, count, changed, part in combined:
        method = Method(train, rate, general if share else (), share, changed, part)
        marks = tuple(sorted({*parts, 1.0}))
        found.append(Setting(args.minutes, args.pairs, int(count), method, marks, args.size))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engines.personal.people_evaluation", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--data", type=named_path, required=True, metavar="PEOPLE", help="a folder or zip")
    add("--scale", type=int, choices=tuple(CROP_PX), default=8)
    add("--size", type=int, metavar="PX", help="side of the crops (32 at x4, 16 at x8)")
    add("--minutes", type=float, default=3.0, help="of learning, for each person (3)")
    add("--parts", default=",".join(map(str, MARKS)), help="of them, after which is judged")
    add("--pairs", type=int, metavar="N", help="to learn from, whatever time it takes")
    add("--close-ups", default="36", metavar="N,...", help="to learn from at most (36)")
    add("--train", default="enhance", help=f"{', '.join(TRAINED)}, or several (enhance)")
    add("--rate", default=f"{RATE:g}", metavar="R,...", help=f"of learning ({RATE:g})")
    add("--general", type=named_path, metavar="PEOPLE", help="others, whose pairs are mixed in")
    add("--general-share", default="0", metavar="S,...", help="of all pairs, 0 to 1 (0)")
    add("--changed", default=f"{CHANGED:g}", metavar="S,...", help="share of changed pairs, 0 to 1")
    add("--part", default=f"{PART:g}", metavar="P,...", help="of the way to what is learnt, to 1")
    add("--people", default="", metavar="A,B", help="of the folder; all when left out")
    add("--json", type=output_file, metavar="FILE", help="writes every row")
    add("--plot", type=output_file, metavar="FILE.png", help="draws the gains over the minutes")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = _parser().parse_args(argv)
    rows: list[Row] = []
    try:
        settings = settings_of(args)
        if args.plot is not None and not cv2.haveImageWriter(str(args.plot)):
            raise ValueError(f"--plot {args.plot}: a name with .png or .jpg")
        side = (args.size or CROP_PX[args.scale]) * args.scale
        people = [p for p in load_people(args.data, side) if len(p.photos) >= LEAST_PHOTOS]
        wanted = [name for name in args.people.split(",") if name]
        chosen = [p for p in people if not wanted or p.name in wanted]
        if len(people) < 2 or not {p.name for p in chosen} >= set(wanted):
            least = f"two people of {LEAST_PHOTOS} photos or more"
            raise ValueError(f"{args.data}: needs {least}, and --people as many")
        network = load_network(weights_files(args.scale)[1])
        for setting, person in product(settings, chosen):
            other = people[(people.index(person) + 1) % len(people)]
            rows += evaluate(person, other, network, setting)
            line = _line(person.name, _pairs(rows)[-1:])
            print(f"{setting}: {line}", file=sys.stderr, flush=True)
            if args.json is not None:  # after each one: hours are not lost by an interruption
                write_whole(args.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        print(table(rows))
        if args.plot is not None:
            save(args.plot, curves(rows))
    except (OSError, ValueError, EngineError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    with_allocator("engines.personal.people_evaluation")
    torch.set_num_threads(default_threads())
    run_program(main)
