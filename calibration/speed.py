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
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from statistics import median
from typing import Any

from calibration.frame_cost import rest_ms
from engines.alignment import align
from engines.benchmark import pictures, unaligned
from engines.errors import reported, run_program
from engines.machine import cores, processor
from engines.output_file import output_file
from engines.runtime import (
    BUCKETS,
    BY_NAME_ONLY,
    RUNTIMES,
    SCALES,
    EngineError,
)
from engines.runtime_candidates import (
    TURN_S,
    TURNS,
    Candidate,
    choose,
    compare,
    drop_wrong,
    open_candidates,
    turn_ms,
)
from engines.speed_profile import Choice, Profile, store
from stream.errors import CloseupError
from stream.quality_controller import TOO_MUCH

EXEMPLARS = 3
TYPICAL = {4: 48, 8: 24}
"""Side of the crop, px, at which candidates are compared."""
BUSY = 0.5
"""Of the cores, taken by other programs: what is measured beside them holds beside them alone."""


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
    """Every bucket, all in turn.

    Args:   chosen: the runtime. scale: 4 or 8. turns: of each bucket.
    Raises: EngineError.
    """
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
    """Candidates, the fastest first, in Markdown; ratio: to the fastest.

    Args: chosen: the one to mark. scale: 4 or 8.
    """
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
    """Sizes of crops and how many frames a second they leave, in Markdown.

    Args: scale: 4 or 8. rest: ms a frame of all but the network. rate: frames a second that are
          wanted.
    """
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
    parser.add_argument("--json", type=output_file, help="also write everything that was measured")
    parser.add_argument("--dry-run", action="store_true", help="measure, but keep no profile")
    parser.add_argument("--busy", action="store_true", help="keep it from a busy machine, too")
    args = parser.parse_args(argv)
    if not 1.0 <= args.rate <= 1000.0:
        parser.error("--rate must lie between 1 and 1000")
    if args.turns < 1:
        parser.error("--turns must be at least 1")
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
    """One scale: print its tables.

    Args:   scale: 4 or 8. args: of the command line. rest: ms a frame of all but the network.
            notes: gets what was not measured.
    Raises: EngineError: nothing runs here.
    """
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
        return reported(error)
    except KeyboardInterrupt:
        print("stopped; nothing was kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    run_program(main)
