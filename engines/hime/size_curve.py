"""Quality against milliseconds: networks of different sizes, on the same people and processor.

    python -m engines.hime.size_curve --weights FILE [FILE ...] --val PEOPLE --markdown curve.md

FILE is a checkpoint (.pt), an exported `*.enhance.onnx` or a name of shipped weights, x4 or x8, all
of one scale. Quality is of headshots as a call damages them, with three exemplars aligned as in a
stream, as the network makes them (without what `engines.exemplar_transfer` adds). Time is of
`encode` and `enhance` for one face and three exemplars, the median of turns that all networks take
one after the other, so that load drift affects all.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from engines.benchmark import pictures
from engines.errors import EngineError, reported, run_program
from engines.files import replacing
from engines.hime.cases import SLOTS, make_cases
from engines.hime.checkpoint import load_network, named_weights
from engines.hime.data import load_people
from engines.hime.evaluate import Gains, gains
from engines.hime.export import export
from engines.hime.measures import gmacs
from engines.hime.model import Hime
from engines.option_types import named_path
from engines.output_file import output_file
from engines.runtime import ON_CPU, SCALES, Image, Runtime, runtime_class

SIDES = {4: (48, 80, 112), 8: (16, 24, 32)}
"""Crops that are timed, px, by scale."""
SCORED = {4: 32, 8: 16}
"""Side of the crops whose quality is measured, px, by scale (HIME, table 1)."""
HEADSHOTS = 48
EXPORTED = ".enhance.onnx"


@dataclass(frozen=True)
class Point:
    """One network on the curve."""

    name: str
    scale: int
    parameters: int
    gmacs: float
    """For a crop of the middle side and three exemplars."""
    ms: tuple[float, ...]
    """Of encode and enhance together, for each runtime and side."""
    quality: Gains


def measure(
    given: dict[str, Path], val: Path, runtimes: list[str], threads: int | None, turns: int
) -> list[Point]:
    """All points of the curve.

    Args:   given: name → file, all of one scale. val: people who were not trained on.
            runtimes: of `engines.runtime.ON_CPU`. threads: None for their own choice. turns: of
            each network, for each runtime and side.
    Raises: ValueError: not one scale, no people, or a network that cannot be exported.
            EngineError: the runtime cannot run here. OSError.
    """
    networks = {name: load_network(path) for name, path in given.items()}
    scales = {network.scale for network in networks.values()}
    if len(scales) != 1:
        raise ValueError(f"networks of one scale are compared, not of {sorted(scales)}")
    (scale,) = scales
    side = SCORED[scale]
    cases = make_cases(load_people(val, scale * side), scale, side, "call", limit=HEADSHOTS)
    ms: dict[str, list[float]] = {name: [] for name in networks}
    with tempfile.TemporaryDirectory() as folder:
        halves = {name: _halves(path, networks[name], Path(folder)) for name, path in given.items()}
        for runtime in runtimes:
            with ExitStack() as opened:
                running = {}
                for name, files in halves.items():
                    one = runtime_class(runtime)(scale, None, threads=threads, files=files)
                    running[name] = opened.enter_context(one)
                for px in SIDES[scale]:
                    crop, exemplars = pictures(px, scale, SLOTS)
                    for name, taken in _in_turns(running, crop, exemplars, turns).items():
                        ms[name].append(taken)
    middle = SIDES[scale][1]
    return [
        Point(
            name,
            scale,
            sum(p.numel() for p in network.parameters()),
            gmacs(network, middle, SLOTS),
            tuple(ms[name]),
            gains(network, cases),
        )
        for name, network in networks.items()
    ]


def _halves(path: Path, network: Hime, folder: Path) -> tuple[Path, Path]:
    """The exported network: the given one where it is that, else made in a folder."""
    if path.name.endswith(EXPORTED):
        return path.with_name(path.name.replace(".enhance.", ".encode.")), path
    return export(network, folder, f"network_{len(list(folder.iterdir()))}")


def _in_turns(
    runtimes: dict[str, Runtime], crop: Image, exemplars: list[Image], turns: int
) -> dict[str, float]:
    """Median ms of a face, by network; the first turn, which compiles, does not count."""
    taken: dict[str, list[float]] = {name: [] for name in runtimes}
    for turn in range(turns + 1):
        for name, runtime in runtimes.items():
            started_s = time.perf_counter()
            runtime.enhance(crop, runtime.encode(exemplars))
            if turn:
                taken[name].append(1e3 * (time.perf_counter() - started_s))
    return {name: median(times) for name, times in taken.items()}


def table(points: list[Point], runtimes: list[str]) -> str:
    """The curve as a Markdown table."""
    sides = SIDES[points[0].scale]
    head = [
        "network",
        "parameters",
        f"GMACs, {sides[1]} px",
        *(f"{runtime} ms, {side} px" for runtime in runtimes for side in sides),
        "over bicubic, dB",
        "over no exemplars, dB",
        "sharpness",
        "right",
        "coherence",
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for one in points:
        detail = one.quality.detail
        cells = [
            one.name,
            f"{one.parameters:,}",
            f"{one.gmacs:.2f}",
            *(f"{ms:.1f}" for ms in one.ms),
            f"{one.quality.over_bicubic:+.2f}",
            f"{one.quality.over_none:+.2f}",
            *(f"{x:.3f}" for x in (detail.sharpness, detail.right, detail.coherence)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m engines.hime.size_curve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", nargs="+", required=True, help="networks: files, or names of shipped weights")
    add("--scale", type=int, choices=SCALES, default=SCALES[0], help="of shipped weights")
    add("--val", type=named_path, required=True, help="people who were not trained on")
    add("--runtimes", nargs="+", choices=ON_CPU, default=[ON_CPU[0]], help="(%(default)s)")
    add("--threads", type=int, help="of the runtimes (default: their own choice)")
    add("--turns", type=int, default=20, help="of each network, for each side (%(default)s)")
    add("--markdown", type=output_file, help="write the table to this file, too")
    args = parser.parse_args(argv)
    try:
        if args.turns < 1 or (args.threads is not None and args.threads < 1):
            raise ValueError("--turns and --threads must be 1 or more")
        files = [named_weights(one, args.scale) for one in args.weights]
        short = [path.name.removesuffix(EXPORTED) for path in files]
        names = short if len(set(short)) == len(short) else [str(path) for path in files]
        given = dict(zip(names, files, strict=True))
        points = measure(given, args.val, args.runtimes, args.threads, args.turns)
        text = table(points, args.runtimes)
        print(text)
        if args.markdown:
            with replacing(args.markdown) as part:
                part.write_text(text + "\n", encoding="utf-8")
    except (OSError, ValueError, EngineError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
