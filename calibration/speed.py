"""Speed: what runs the network fastest on this machine; kept for `--runtime auto`.

    python -m calibration.speed [--rate 30] [--scales 4 8] [--runtimes ...] [--json F]

Every runtime, precision and number of threads that works here is measured; then the fastest at
every size of crop, and the rest of a frame (finding faces, framing, drawing) beside it. A frame is
one in which the face has moved: its exemplars are aligned and encoded anew. Other
programs slow some measurements down and not others, so: all candidates are open at once and take
turns, each turn gives a median, the median of the turns counts, and who is close to the fastest
takes more turns. On a machine that is busy with something else nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from calibration.frame_cost import rest_ms
from engines.alignment import align
from engines.benchmark import pictures, unaligned
from engines.machine import cores, processor
from engines.runtime import (
    BUCKETS,
    BY_NAME_ONLY,
    RUNTIMES,
    SCALES,
    EngineError,
    Image,
    Runtime,
    WeightsError,
    runtime_class,
)
from engines.speed_profile import Choice, Profile, store
from stream.errors import CloseupError
from stream.quality_controller import TOO_MUCH

EXEMPLARS = 3
TYPICAL = {4: 48, 8: 24}
"""Side of the crop, px, at which candidates are compared."""
MOST_THREADS = 8
TURNS, TURN_S = 7, 0.2
"""Turns of each candidate, and about how long one lasts."""
CLOSE = 1.15
"""A candidate that takes no longer than this much of the fastest one's time takes more turns."""
ALIKE = 1.05
"""Nearer than this, the one with fewer threads is taken: they are left for the video."""


MOST_ERROR = 65.0
"""Mean squared difference to float32 in 8-bit levels, 30 dB: INT8 as it should be is far nearer."""
BUSY = 0.5
"""Of the cores, taken by other programs: what is measured beside them holds beside them alone."""


@dataclass
class Candidate:
    """One way to run the network, and what it took."""

    name: str
    precision: str
    threads: int | None
    runtime: Runtime
    turns_ms: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        """Median of the turns."""
        return median(self.turns_ms)


def turn_ms(call: Callable[[], object], seconds: float = TURN_S) -> float:
    """Median time of calls that are repeated for about so long, at least three times."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    return median(taken)


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... and all cores, at most 8."""
    most = min(most, MOST_THREADS)
    return sorted({n for n in (1, 2, 4, 8) if n <= most} | {most})


def open_candidates(
    scale: int, names: Iterable[str], opened: ExitStack, missing: Callable[[str], None]
) -> list[Candidate]:
    """Open every runtime in every precision with every number of threads.

    Args:   opened: closes them. missing: gets a line for each that cannot run here.
    Raises: WeightsError.
    """
    found = []
    for name in names:
        kind = runtime_class(name)
        counts: list[int | None] = [*thread_counts(cores())] if name.endswith("-cpu") else [None]
        for precision in kind.precisions:
            try:
                for count in counts:
                    given = {} if count is None else {"threads": count}
                    runtime = opened.enter_context(kind(scale, precision, **given))
                    found.append(Candidate(name, precision, count, runtime))
            except WeightsError:  # the same files for all
                raise
            except EngineError as error:
                missing(f"{name} {precision}: {error}")
    return found


def drop_wrong(
    candidates: list[Candidate], crop: Image, exemplars: list[Image], missing: Callable[[str], None]
) -> list[Candidate]:
    """Leave out who gives another picture: INT8 overflows on processors that are not made for it.

    Args:   missing: gets a line for each that is left out.
    Raises: EngineError.
    """
    made = [one.runtime.enhance(crop, one.runtime.encode(exemplars)) for one in candidates]
    exact = [p for one, p in zip(candidates, made, strict=True) if one.precision == "fp32"]
    kept = []
    for one, picture in zip(candidates, made, strict=True):
        error = np.square(picture.astype(np.float64) - exact[0]).mean() if exact else 0.0
        if error <= MOST_ERROR:
            kept.append(one)
        else:
            missing(f"{one.name} {one.precision}: its pictures are wrong on this processor")
    return kept


def compare(candidates: list[Candidate], crop: Image, exemplars: list[Image], turns: int) -> None:
    """Let candidates take turns, and the close ones twice as many more. Raises: EngineError."""
    calls = []
    for one in candidates:
        call = partial(run, one.runtime, crop, exemplars)
        call()
        calls.append((one, call))
    for more in range(3):
        fastest = min((one.ms for one in candidates if one.turns_ms), default=0.0)
        for _ in range(turns):
            for one, call in calls:
                if not more or one.ms <= CLOSE * fastest:
                    one.turns_ms.append(turn_ms(call))


def run(runtime: Runtime, crop: Image, exemplars: list[Image]) -> Image:
    """What a frame needs of the network where the face has moved. Raises: EngineError."""
    return runtime.enhance(crop, runtime.encode(exemplars))


def choose(candidates: list[Candidate]) -> Candidate:
    """The fastest; of those that are as fast, the one with the fewest threads."""
    fastest = min(one.ms for one in candidates)
    alike = [one for one in candidates if one.ms <= ALIKE * fastest]
    return min(alike, key=lambda one: (one.threads or 0, one.ms))


@dataclass(frozen=True)
class Size:
    """One size of crop with the chosen candidate; ms."""

    bucket: int
    align_ms: float
    """Of the exemplars, before the network."""
    encode_ms: float
    enhance_ms: float

    @property
    def frame_ms(self) -> float:
        """All that a frame needs where the face has moved."""
        return self.align_ms + self.encode_ms + self.enhance_ms


def measure_sizes(chosen: Candidate, scale: int, turns: int) -> list[Size]:
    """Every bucket, all in turn. Raises: EngineError."""
    calls: dict[int, tuple[Callable[[], object], ...]] = {}
    for bucket in BUCKETS[scale]:
        crop, moved = unaligned(bucket, scale, EXEMPLARS)
        exemplars = align(crop, moved)
        features = chosen.runtime.encode(exemplars)
        chosen.runtime.enhance(crop, features)
        calls[bucket] = (
            partial(align, crop, moved),
            partial(chosen.runtime.encode, exemplars),
            partial(chosen.runtime.enhance, crop, features),
        )
    taken: dict[int, list[list[float]]] = {bucket: [] for bucket in calls}
    for _ in range(turns):
        for bucket, parts in calls.items():
            taken[bucket].append([turn_ms(part, TURN_S / len(parts)) for part in parts])
    return [
        Size(bucket, *(median(part) for part in zip(*times, strict=True)))
        for bucket, times in taken.items()
    ]


def largest(sizes: list[Size], room_ms: float) -> int:
    """Side of the largest crop whose frame takes no more than this; 0: none."""
    return max((size.bucket for size in sizes if size.frame_ms <= room_ms), default=0)


def table(candidates: list[Candidate], chosen: Candidate, scale: int) -> str:
    """Candidates, the fastest first, in Markdown; ratio: to the fastest."""
    lines = [
        f"| runtime, {TYPICAL[scale]} px x{scale} | precision | threads | network ms | ratio |",
        "|---|---|---|---|---|",
    ]
    ordered = sorted(candidates, key=lambda one: one.ms)
    for one in ordered:
        mark = "**" if one is chosen else ""
        cells = (f"{mark}{one.name}{mark}", one.precision, one.threads or "–", f"{one.ms:.1f}")
        lines.append(f"| {' | '.join(map(str, cells))} | {one.ms / ordered[0].ms:.2f} |")
    return "\n".join(lines)


def size_table(sizes: list[Size], scale: int, rest: float, rate: float) -> str:
    """Sizes of crops and how many frames a second they leave, in Markdown."""
    lines = [
        f"| crop x{scale} | align ms | encode ms | enhance ms | frames a second | holds {rate:g} |",
        "|---|---|---|---|---|---|",
    ]
    for size in sizes:
        per_s = 1e3 * TOO_MUCH / (size.frame_ms + rest)
        holds = "yes" if per_s >= rate else "no"
        parts = (size.align_ms, size.encode_ms, size.enhance_ms)
        cells = (f"{size.bucket} px", *(f"{part:.1f}" for part in parts))
        lines.append(f"| {' | '.join(cells)} | {per_s:.0f} | {holds} |")
    return "\n".join(lines)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Command line options."""
    parser = argparse.ArgumentParser(prog="python -m calibration.speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [name for name, _ in RUNTIMES if name not in BY_NAME_ONLY]
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second to hold (30)")
    parser.add_argument("--scales", nargs="+", type=int, choices=SCALES, default=list(SCALES))
    parser.add_argument("--runtimes", nargs="+", choices=names, default=names)
    parser.add_argument("--turns", type=int, default=TURNS, help=f"of each candidate ({TURNS})")
    parser.add_argument("--json", type=Path, help="also write everything that was measured")
    parser.add_argument("--dry-run", action="store_true", help="measure, but keep no profile")
    parser.add_argument("--busy", action="store_true", help="keep it from a busy machine, too")
    args = parser.parse_args(argv)
    if not 1.0 <= args.rate <= 1000.0:
        parser.error("--rate must lie between 1 and 1000")
    if args.turns < 1:
        parser.error("--turns must be at least 1")
    if args.json and not args.json.parent.is_dir():
        parser.error(f"--json: no folder {args.json.parent}")
    return args


def busy() -> str | None:
    """How busy other programs keep this machine, if it matters; call it before all work."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load <= BUSY * cores():
        return None
    return f"other programs keep this machine busy (load {load:.1f} on {cores()} cores)"


def measure(
    scale: int, args: argparse.Namespace, rest: float, notes: dict[str, None]
) -> tuple[Choice, dict[str, Any]]:
    """One scale: print its tables. Raises: EngineError: nothing runs here."""
    with ExitStack() as opened:
        candidates = open_candidates(scale, args.runtimes, opened, notes.setdefault)
        if not candidates:
            raise EngineError("no runtime can run here; " + "; ".join(notes))
        crop, exemplars = pictures(TYPICAL[scale], scale, EXEMPLARS)
        candidates = drop_wrong(candidates, crop, exemplars, notes.setdefault)
        compare(candidates, crop, exemplars, args.turns)
        chosen = choose(candidates)
        sizes = measure_sizes(chosen, scale, args.turns)
    room_ms = 1e3 * TOO_MUCH / args.rate - rest
    choice = Choice(chosen.name, chosen.precision, chosen.threads, largest(sizes, room_ms))
    print(table(candidates, chosen, scale), end="\n\n")
    print(size_table(sizes, scale, rest, args.rate), end="\n\n", flush=True)
    rows = [
        {"runtime": c.name, "precision": c.precision, "threads": c.threads, "turns_ms": c.turns_ms}
        for c in candidates
    ]
    return choice, {"candidates": rows, "sizes": [asdict(s) for s in sizes]} | asdict(choice)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    notes: dict[str, None] = {}
    choices: dict[int, Choice] = {}
    result: dict[str, Any] = {"processor": processor(), "cores": cores(), "rate": args.rate}
    others = busy()
    if others:
        print(f"note: {others}; these figures hold beside them alone", file=sys.stderr)
    try:
        rest = rest_ms()
        result["rest_ms"] = rest
        for scale in args.scales:
            choices[scale], result[f"x{scale}"] = measure(scale, args, rest, notes)
        if args.json:
            text = json.dumps(result | {"not_measured": list(notes)}, indent=1)
            args.json.write_text(text + "\n")
        print(f"{processor()}, {cores()} cores; all but the network takes {rest:.1f} ms a frame")
        for note in notes:
            print(f"not measured: {note}")
        for scale, choice in choices.items():
            print(f"x{scale}: {choice}, at {args.rate:g} frames a second")
        if others and not args.busy:
            print(f"no profile was kept: {others}; --busy keeps one nevertheless")
        elif not args.dry_run:
            path = store(Profile(date.today().isoformat(), args.rate, choices))
            print(f"{path} written; --runtime auto follows it until something changes")
    except (EngineError, CloseupError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
