"""What learning a person brings, on pictures of the same person that were never learnt from.

    python -m engines.personal.people_evaluation --data PEOPLE --scale 8 --minutes 3

PEOPLE is a folder or a zip with a folder of square headshots for each person, named in the order of
time. The first two thirds are learnt from, the rest is judged: in the face, as the product would
show it, with and without exemplars, before and after; and, as a control, somebody else with the
same weights. Minutes are those of learning, without judging.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from engines.errors import EngineError, reported
from engines.files import write_whole
from engines.hime.cases import Case
from engines.hime.checkpoint import load_network
from engines.hime.model import Hime
from engines.hime.people import Person, load_people
from engines.personal.close_ups import LEAST_CLOSE_UPS, CloseUp, split
from engines.personal.gain import Scores
from engines.personal.held_out import make_cases, score
from engines.personal.learner import BATCH, Learner, steps_within
from engines.personal.learning_process import ALLOCATOR
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


def evaluate(
    person: Person,
    other: Person,
    network: Hime,
    minutes: float,
    most: int,
    pairs: int | None = None,
) -> tuple[list[Row], float]:
    """Learn one person and judge.

    Args:    other: the control. most: close-ups to learn from. pairs: instead of minutes.
    Returns: a row for each part of the minutes, and what the control has lost by the weights, dB.
    """
    count = round(LEARNT * len(person.photos))
    learnt = _close_ups(person)[:count]
    learnt = [learnt[int(k)] for k in np.unique(np.linspace(0, count - 1, min(most, count)))]
    kept = split(learnt)[0]
    cases = make_cases(_close_ups(person)[count:], kept, network.config.scale, CASES)
    control = make_cases(_close_ups(other)[:4], _close_ups(other)[4:], network.config.scale, CASES)
    rows = [_row(person.name, len(learnt), 0.0, 0, network, cases)]
    if pairs is None:
        steps = steps_within(network, learnt, minutes, judged=False)
    else:
        steps = round(pairs / BATCH[network.config.scale])
    learner = Learner(network, learnt, steps)
    spent_s, began_s = 0.0, time.monotonic()
    marks = [max(1, round(part * learner.steps)) for part in MARKS]
    for progress in learner.steps_made(judged=False):
        if progress.step not in marks:
            continue
        spent_s += time.monotonic() - began_s
        learner.judge()
        samples = progress.step * BATCH[learner.scale]
        row = _row(person.name, len(learnt), spent_s / 60.0, samples, learner.mean, cases)
        in_use = score(_in_use(network, learner), cases)
        rows.append(replace(row, in_use=in_use, used=learner.best is not None))
        began_s = time.monotonic()
    lost = score(learner.mean, control).psnr - score(network, control).psnr
    return rows, lost


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
    """Of all people and their mean, in Markdown."""
    lines = [
        "| person | close-ups | minutes | pairs | PSNR in the face | coherence | sharpness "
        "| without exemplars | PSNR of what is used | used |",
        "|" + "---|" * 10,
    ]
    marks: dict[int, list[tuple[Row, Row]]] = {}
    first = {row.person: row for row in rows if row.minutes == 0.0}
    places = dict.fromkeys(first, 0)
    for row in rows:
        marks.setdefault(places[row.person], []).append((first[row.person], row))
        places[row.person] += 1
        lines.append(_line(row.person, [(first[row.person], row)]))
    lines += [_line(f"mean of {len(first)}", pairs) for pairs in marks.values()]
    return "\n".join(lines)


def _line(name: str, pairs: Sequence[tuple[Row, Row]]) -> str:
    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    def change(before: Sequence[float], after: Sequence[float], digits: int) -> str:
        return f"{mean(after):.{digits}f} ({mean(after) - mean(before):+.{digits}f})"

    was, now = [a for a, _ in pairs], [b for _, b in pairs]
    cells = [
        name,
        f"{mean([x.close_ups for x in now]):.0f}",
        f"{mean([x.minutes for x in now]):.1f}",
        f"{mean([x.samples for x in now]):.0f}",
        change([x.scores.psnr for x in was], [x.scores.psnr for x in now], 2),
        change([x.scores.coherence for x in was], [x.scores.coherence for x in now], 3),
        change([x.scores.sharpness for x in was], [x.scores.sharpness for x in now], 2),
        change([x.alone.psnr for x in was], [x.alone.psnr for x in now], 2),
        change([x.in_use.psnr for x in was], [x.in_use.psnr for x in now], 2),
        f"{sum(x.used for x in now)} of {len(now)}",
    ]
    return "| " + " | ".join(cells) + " |"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m engines.personal.people_evaluation", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="PEOPLE", help="a folder or zip of people")
    add("--scale", type=int, choices=tuple(CROP_PX), default=8)
    add("--minutes", type=float, default=3.0, help="of learning, for each person (3)")
    add("--pairs", type=int, metavar="N", help="to learn from, whatever time it takes")
    add("--close-ups", type=int, default=36, metavar="N", help="to learn from at most (36)")
    add("--people", default="", metavar="A,B", help="of the folder; all when left out")
    add("--json", type=Path, metavar="FILE", help="writes every row")
    args = parser.parse_args(argv)
    try:
        if args.minutes <= 0.0 or args.close_ups < LEAST_CLOSE_UPS:
            raise ValueError(f"--minutes above 0, --close-ups {LEAST_CLOSE_UPS} or more")
        if args.pairs is not None and args.pairs < LEAST_PAIRS:
            raise ValueError(f"--pairs {LEAST_PAIRS} or more")
        side = CROP_PX[args.scale] * args.scale
        people = [p for p in load_people(args.data, side) if len(p.photos) >= LEAST_PHOTOS]
        wanted = [name for name in args.people.split(",") if name]
        chosen = [p for p in people if not wanted or p.name in wanted]
        if not chosen or len(people) < 2:
            raise ValueError(f"{args.data}: needs two people of {LEAST_PHOTOS} photos or more")
        network = load_network(weights_files(args.scale)[1])
    except (OSError, ValueError, EngineError) as error:
        return reported(error)
    rows: list[Row] = []
    for person in chosen:
        other = people[(people.index(person) + 1) % len(people)]
        found, lost = evaluate(person, other, network, args.minutes, args.close_ups, args.pairs)
        rows += found
        print(table(found).splitlines()[-1], f"control {lost:+.2f} dB", file=sys.stderr, flush=True)
    print(table(rows))
    if args.json is not None:
        write_whole(args.json, json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    if sys.platform == "linux" and any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        os.execve(
            sys.executable,
            [sys.executable, "-m", "engines.personal.people_evaluation", *sys.argv[1:]],
            os.environ | ALLOCATOR,
        )
    torch.set_num_threads(default_threads())
    sys.exit(main())
