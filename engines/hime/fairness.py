"""Fairness: how much people of different looks gain, as far as the data allows.

    python -m engines.hime.fairness --data PEOPLE [--data OTHERS] --labels LABELS.csv

Scores are made as `engines.hime.evaluate` makes them, call damage, as the product shows pictures:
exemplars aligned, the best of a bank, detail raised. A person counts once, whatever number of
headshots there are. Groups are of skin tone, estimated from the pictures
(`engines.hime.skin_tone`), and of every column of the labels: a CSV with `person` and, for example,
`glasses`, `beard`, `age`. `person` is the folder's name, or the first 16 digits of its SHA-256, so
that a table names nobody.

Data sets differ in how hard they are, and looks are not spread evenly over them. So a person's
difference to the mean of the same data set is what groups are compared by; scores themselves are
told for each data set. Intervals are of 95 %, by resampling people (percentile bootstrap).
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engines.contract import DEFAULT_WEIGHTS
from engines.errors import WeightsError, reported, run_program
from engines.hime.cases import BANK, SLOTS, Case, make_cases
from engines.hime.checkpoint import load_network, named_weights
from engines.hime.data import load_people
from engines.hime.evaluate import bicubic, details, outputs
from engines.hime.measures import psnr
from engines.hime.model import Hime
from engines.hime.people import Person
from engines.hime.skin_tone import GROUPS, skin_tone
from engines.option_types import named_path, whole
from engines.output_file import output_file

FEW = 8
"""A group of fewer people than this says little: one of them may decide, and the interval is too
narrow."""
RESAMPLES, SEED = 4000, 5
TONE = "skin tone (ITA)"
DIGITS = 16


@dataclass(frozen=True)
class Score:
    """One person."""

    person: str
    headshots: int
    gain: float
    """PSNR over bicubic enlargement, dB, a mean over the headshots."""
    coherence: float
    """Of the fine detail of all headshots together, see `engines.hime.detail`."""
    looks: dict[str, str]
    """What they are grouped by: column → value."""


@dataclass(frozen=True)
class Group:
    """People who are alike in one way; differences are to the mean of their data sets."""

    column: str
    value: str
    people: int
    headshots: int
    gain: float
    gain_interval: tuple[float, float] | None
    """None: of one person."""
    coherence: float
    coherence_interval: tuple[float, float] | None
    few: bool = False


@dataclass
class Fairness:
    """What is told of one network."""

    weights: str
    scale: int
    size: int
    sets: dict[str, list[Group]] = field(default_factory=dict)
    """Scores by data set; the first group is everybody."""
    close_ups: dict[str, int] = field(default_factory=dict)
    differences: list[Group] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)


def labels_of(path: Path) -> dict[str, dict[str, str]]:
    """Labels by person, as the file names people.

    Raises: ValueError: no column `person`, no other, or a person twice. OSError.
    """
    found: dict[str, dict[str, str]] = {}
    with path.open(newline="", encoding="utf-8") as text:
        rows = csv.DictReader(text)
        columns = [name for name in rows.fieldnames or () if name != "person"]
        if not columns or "person" not in (rows.fieldnames or ()):
            raise ValueError(f"{path}: needs a column person, and others")
        for row in rows:
            if row["person"] in found:
                raise ValueError(f"{path}: {row['person']} stands twice")
            found[row["person"]] = {name: row[name] for name in columns if row[name]}
    return found


def disguised(person: str) -> str:
    """What stands for a person in a table that names nobody."""
    return hashlib.sha256(person.encode()).hexdigest()[:DIGITS]


def scored(
    network: Hime, people: list[Person], cases: list[Case], labels: dict[str, dict[str, str]]
) -> list[Score]:
    """The people whose headshots these are, in order.

    Args: network: is judged. people: of the data set. cases: with call damage.
          labels: from `labels_of`.
    """
    slots = len(cases[0].exemplars)
    truth = torch.stack([case.truth for case in cases])
    made, base = outputs(network, cases, slots), bicubic(network, cases)
    gains = (psnr(made, truth) - psnr(base, truth)).tolist()
    photos = {one.name: one.photos for one in people}
    found = []
    for person in dict.fromkeys(case.person for case in cases):
        own = [k for k, case in enumerate(cases) if case.person == person]
        tone = skin_tone(photos[person])
        looks = {} if tone is None else {TONE: tone}
        looks |= labels.get(person) or labels.get(disguised(person)) or {}
        coherence = details(made[own], truth[own], network.config.scale).coherence
        gain = float(np.mean([gains[k] for k in own]))
        found.append(Score(person, len(own), gain, coherence, looks))
    return found


def interval(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % of the means of resampled values, (N,), one for each person; None of a single one."""
    if len(values) < 2:
        return None
    rng = np.random.default_rng(SEED)
    means = rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def groups(scores: list[Score], everybody: bool = True) -> list[Group]:
    """Everybody, where wanted, then every value of every column, in order.

    Args: scores: of people; gains and coherences may be differences.
    """

    def group(column: str, value: str, some: list[Score]) -> Group:
        gain = np.array([one.gain for one in some])
        coherence = np.array([one.coherence for one in some])
        return Group(
            *(column, value, len(some), sum(one.headshots for one in some)),
            gain=float(gain.mean()),
            gain_interval=interval(gain),
            coherence=float(coherence.mean()),
            coherence_interval=interval(coherence),
            few=len(some) < FEW,
        )

    made = [group("everybody", "", scores)] if everybody else []
    for column in dict.fromkeys(name for one in scores for name in one.looks):
        values = {one.looks[column] for one in scores if column in one.looks}
        for value in sorted(values, key=lambda one: (one in GROUPS and GROUPS.index(one), one)):
            some = [one for one in scores if one.looks.get(column) == value]
            made.append(group(column, value, some))
    return made


def differences(sets: Iterable[list[Score]]) -> list[Score]:
    """All people, each with the difference to the mean of the own data set."""
    found = []
    for scores in sets:
        gain = float(np.mean([one.gain for one in scores]))
        coherence = float(np.mean([one.coherence for one in scores]))
        found += [
            Score(s.person, s.headshots, s.gain - gain, s.coherence - coherence, s.looks)
            for s in scores
        ]
    return found


def measure(
    network: Hime,
    sources: list[Path],
    labels: dict[str, dict[str, str]],
    size: int,
    *,
    bank: int = BANK,
    limit: int | None = None,
) -> Fairness:
    """Everything, for all data sets.

    Args:   sources: of people. labels: from `labels_of`. size: side of the input, px.
            bank: see `make_cases`. limit: of headshots, in each data set.
    Raises: ValueError: a data set cannot be used. OSError.
    """
    scale = network.config.scale
    result, sets = Fairness("", scale, size), []
    for source in sources:
        people = [p for p in load_people(source, scale * size) if len(p.photos) > 1]
        # as many close-ups as everybody has: nobody is left out, and all have the same
        slots = min([SLOTS, *(len(one.photos) - 1 for one in people)])
        cases = make_cases(people, scale, size, "call", limit, slots, bank=bank)
        scores = scored(network, people, cases, labels)
        sets.append(scores)
        result.sets[source.stem] = groups(scores)
        result.close_ups[source.stem] = slots
        result.unlabelled += [one.person for one in scores if not one.looks.keys() - {TONE}]
    result.differences = groups(differences(sets), everybody=False)
    return result


def cells(group: Group, form: str) -> tuple[str, ...]:
    """A line of a table. Args: form: of dB and coherence, as in "+.2f"."""

    def told(value: float, between: tuple[float, float] | None, form: str) -> str:
        ends = "-" if between is None else " to ".join(f"{end:{form}}" for end in between)
        return f"{value:{form}} ({ends})"

    return (
        group.column,
        group.value,
        f"{group.people}{' (few)' if group.few else ''}",
        str(group.headshots),
        told(group.gain, group.gain_interval, "+.2f"),
        told(group.coherence, group.coherence_interval, form),
    )


def _grid(lines: list[tuple[str, ...]]) -> str:
    head, *rest = lines
    rule = ("---", "---", *("---:" for _ in head[2:]))
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rest))


def report(found: Fairness) -> str:
    """The tables, as Markdown."""
    head = ("looks", "", "people", "headshots", "gain over bicubic, dB", "coherence")
    parts = []
    for name, some in found.sets.items():
        title = f"{name}: {found.size} px x{found.scale}, call, {found.weights}, close-ups: "
        table = _grid([head, *(cells(one, ".3f") for one in some)])
        parts.append(f"{title}{found.close_ups[name]}\n\n{table}")
    table = _grid([head, *(cells(one, "+.3f") for one in found.differences)])
    parts.append(f"all, difference to the mean of the own data set\n\n{table}")
    return "\n\n".join(parts) + "\n"


def warnings_of(found: Fairness) -> list[str]:
    """What to know before anything is concluded from it."""
    lines = []
    few = [f"{g.column} {g.value} ({g.people})" for g in found.differences if g.few]
    if few:
        lines.append(f"fewer than {FEW} people, which says little: {', '.join(few)}")
    if found.unlabelled:
        lines.append(f"{len(found.unlabelled)} people have no labels, and are in no such group")
    return lines


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(
        prog="python -m engines.hime.fairness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--data", type=named_path, action="append", required=True, help="a folder, or zip"
    )
    p.add_argument("--labels", type=named_path, required=True, help="a CSV: person, glasses, ...")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--size", type=int, help="side of the input, px (default 32 for x4, 16 for x8)")
    p.add_argument(
        "--weights", default=DEFAULT_WEIGHTS, help="as of engines.hime.evaluate (%(default)s)"
    )
    p.add_argument(
        "--bank", type=whole(1), default=BANK, help="close-ups to choose from (%(default)s)"
    )
    p.add_argument("--limit", type=int, help="use about this many headshots of each --data")
    p.add_argument("--json", type=output_file, help="write the figures here; it names nobody")
    args = p.parse_args(argv)
    try:
        weights = named_weights(args.weights, args.scale)
        network = load_network(weights)
        if network.config.scale != args.scale:
            raise ValueError(
                f"{weights.name} enlarges {network.config.scale} times, not {args.scale}"
            )
        size = args.size or 128 // args.scale
        found = measure(
            network, args.data, labels_of(args.labels), size, bank=args.bank, limit=args.limit
        )
        found.weights = weights.name
        print(report(found), end="")
        if args.json:
            told = asdict(found) | {"unlabelled": len(found.unlabelled)}
            args.json.write_text(json.dumps(told, indent=1) + "\n")
    except (OSError, ValueError, WeightsError) as error:
        return reported(error)
    for line in warnings_of(found):
        print(f"warning: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_program(main)
