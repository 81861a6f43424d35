"""Quantisation: the network in INT8 from real material, and whether it pays.

    python -m calibration.quantisation --data PEOPLE --held-out OTHERS
    python -m calibration.quantisation --data call.mp4 PEOPLE --quick
    python -m calibration.quantisation --weights open --sources SOURCES.csv --data PEOPLE.zip --ship

--data: folders (or zips) that hold a folder of square headshots for each person, and recordings.
Without --held-out every third person is kept for the judgement. Ranges, layers and their order are
measured on the first people alone; what the report says of pictures is measured on the others. INT8
pays for a runtime where it is faster than all its other precisions and loses no more than 0.05 dB
to the truth; --ship puts it into engines/weights where it does, for every scale asked for. What
is shipped with the open weights is derived from openly licensed pictures: they need --sources, and
other pictures of --data are left out. Whoever judges them may be anybody.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.quantisation import int8_speed, layers, material
from calibration.quantisation.int8_report import Report, markdown
from calibration.quantisation.layers import Exact, Files, Measured
from engines.contract import DEFAULT_WEIGHTS, OPEN
from engines.contract import WEIGHTS as CHOICES
from engines.errors import reported, run_program
from engines.files import write_whole
from engines.hime.licences import OPEN as ALLOWED
from engines.hime.licences import Permit
from engines.hime.people import Person
from engines.machine import cores, processor
from engines.option_types import named_path, number, output_folder
from engines.runtime import SCALES, EngineError
from engines.weights.manifest import (
    HALVES,
    MANIFEST,
    QUANTISED,
    WEIGHTS,
    network_name,
    read_manifest,
    sha256,
    weights_files,
)
from stream.errors import CloseupError

ALLOWED_DB = 0.05
"""Truth-PSNR that INT8 may lose on people who were held out ..."""
MARGIN_DB = 0.02
"""... and on those that layers are chosen with: others lose up to twice as much, and what is no
face more: with 0.03 up to 20 levels in stripes of strong colours."""


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    samples: int
    scanned: int
    """Samples on which each layer alone is measured."""
    held_out: int
    turns: int


FULL, QUICK = Effort(48, 8, 96, 9), Effort(16, 3, 24, 5)


@dataclass(frozen=True)
class Work:
    """What is done for each scale."""

    people: list[Person]
    held_out: list[Person]
    seen: dict[int, list[material.Sample]]
    effort: Effort
    folder: Path
    weights: str
    """Which of the shipped ones, of `engines.contract.WEIGHTS`."""


def say(line: str) -> None:
    """Progress, for people."""
    print(line, file=sys.stderr, flush=True)


def quantise(scale: int, work: Work, into: Path) -> Report:
    """One scale: choose, write, judge.

    Args:   scale: 4 or 8. work: material and effort. into: folder for the files.
    Raises: EngineError, ValueError.
    """
    start = time.monotonic()
    files, effort = weights_files(scale, weights=work.weights), work.effort
    samples = material.make_samples(work.people, scale, effort.samples, seed=1)
    samples += work.seen.get(scale, []) + material.make_patterns(scale)
    exact = Exact.of(scale, files, samples)
    all_layers = [
        layer
        for half, path in zip(HALVES, files, strict=True)
        for layer in layers.convolutions(path, half, scale)
    ]
    say(f"x{scale}: {len(exact.samples)} samples, {len(all_layers)} convolutions")
    few = exact.some(effort.scanned)
    first = layers.Quantiser(exact, work.folder, layers.PERCENTILES[0])
    measured: list[Measured] = []
    for one in layers.scan(few, first, all_layers):
        measured.append(one)
        if len(measured) % 20 == 0:
            say(f"x{scale}: {len(measured)} of {len(all_layers)} layers measured alone")
    quantiser = layers.best_ranges(exact, first, measured, say)
    chosen, loss = layers.choose(exact, quantiser, measured, MARGIN_DB)
    say(f"x{scale}: {len(chosen)} layers in INT8, {loss:.3f} dB of the truth")
    made = _keep(quantiser.files(chosen), network_name(scale, weights=work.weights), into)
    report = evaluate(scale, files, made, work)
    report.layers = [
        {**asdict(one.layer), "alone_db": layers.decibel(one.mse), "int8": one.layer in chosen}
        for one in measured
    ]
    report.ranges_of_percent = quantiser.percentile or 100.0
    report.samples, report.loss_db_chosen_with = len(exact.samples), loss
    report.minutes = (time.monotonic() - start) / 60
    return report


def _keep(files: Files, name: str, into: Path) -> Files:
    """The chosen files under the names under which they are shipped, for a network's name."""
    kept = []
    for half, path in zip(HALVES, files, strict=True):
        kept.append(into / f"{name}.{QUANTISED}.{half}.onnx")
        shutil.copyfile(path, kept[-1])
    return kept[0], kept[1]


def evaluate(scale: int, exact_files: Files, made: Files, work: Work) -> Report:
    """Pictures of people who were held out, and speed.

    Args:   scale: 4 or 8. exact_files: in float32. made: with the chosen layers in INT8. work:
            material and effort.
    Raises: EngineError, ValueError.
    """
    samples = material.make_samples(work.held_out, scale, work.effort.held_out, seed=2)
    exact = Exact.of(scale, exact_files, samples)
    answers = exact.answers(made)
    before = np.array(layers.truth_psnr(exact.pictures, samples))
    after = np.array(layers.truth_psnr(answers, samples))
    same = [
        layers.decibel(float(np.square(a - b).mean()))
        for a, b in zip(answers, exact.pictures, strict=True)
    ]
    notes: list[str] = []
    ways = int8_speed.measure(
        *(scale, layers.TYPICAL_PX[scale], exact_files, made, work.effort.turns), notes.append
    )
    return Report(
        scale=scale,
        weights=work.weights,
        files={path.name: sha256(path) for path in made},
        of={path.name: sha256(path) for path in exact_files},
        megabytes=(_megabytes(exact_files), _megabytes(made)),
        held_out_people=len(work.held_out),
        held_out_samples=len(samples),
        db_to_float32=float(np.mean(same)),
        truth_db_float32=float(before.mean()),
        truth_db_int8=float(after.mean()),
        truth_loss_db_worst=float((before - after).max()),
        ways=ways,
        tensorrt=try_tensorrt(made, scale),
        notes=notes,
        allowed_db=ALLOWED_DB,
    )


def _megabytes(files: Files) -> float:
    return sum(path.stat().st_size for path in files) / 1e6


def try_tensorrt(files: Files, scale: int) -> str:
    """Whether NVIDIA's own parser and builder take the files; needs no card."""
    from engines.onnx_variants.variants import OnnxVariant, make_variant
    from engines.tensorrt.build import build, load_api

    try:
        api = load_api("tensorrt-rtx")
        for half, path in zip(HALVES, files, strict=True):
            for precision in ("fp32", "fp16"):
                variant = OnnxVariant(half, scale, layers.TYPICAL_PX[scale], precision=precision)
                build(api, make_variant(path, variant))
    except (EngineError, ValueError) as error:
        return f"not built: {error}"
    return f"built by {api.name} {api.module.__version__}, never run on a card"


def ship(reports: list[Report], folder: Path, weights: Path = WEIGHTS) -> None:
    """Put the files beside the float32 ones, and into the manifest.

    Args:   reports: of the scales to ship. folder: where the files are. weights: where they go.
    Raises: OSError, WeightsError.
    """
    manifest = read_manifest(weights)
    for report in reports:
        name = network_name(report.scale, weights=report.weights)
        for path in report.files:
            shutil.copyfile(folder / path, weights / path)
        manifest.setdefault("quantised", {})[name] = {
            "of": report.of,
            "files": report.files,
            "measured": report.summary(),
        }
    write_whole(weights / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Command line options."""
    parser = argparse.ArgumentParser(prog="python -m calibration.quantisation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--data", type=named_path, nargs="+", required=True, help="people, recordings"
    )
    parser.add_argument(
        "--held-out", type=named_path, nargs="+", default=[], help="people to judge by"
    )
    parser.add_argument("--scales", nargs="+", type=int, choices=SCALES, default=list(SCALES))
    parser.add_argument(
        "--weights", choices=CHOICES, default=DEFAULT_WEIGHTS, help="of the network (%(default)s)"
    )
    parser.add_argument(
        "--sources",
        type=named_path,
        help="a CSV: file, repository, licence, author; for open weights",
    )
    parser.add_argument(
        "--out", type=output_folder, default=Path("out/int8"), help="folder (out/int8)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples, some minutes")
    parser.add_argument(
        "--seconds", type=number(0.1, 3600.0), default=20.0, help="of each recording (20)"
    )
    parser.add_argument("--ship", action="store_true", help="into engines/weights, if it pays")
    args = parser.parse_args(argv)
    for path in (*args.data, *args.held_out):
        if not path.exists():
            parser.error(f"{path} does not exist")
    if args.ship and args.weights == OPEN and args.sources is None:
        parser.error(
            f"--ship with --weights {OPEN} needs --sources, which tells the licences of --data"
        )
    return args


def run(args: argparse.Namespace) -> list[Report]:
    """Everything. Raises: CloseupError, EngineError, ValueError, OSError."""
    for scale in args.scales:
        weights_files(scale, weights=args.weights)  # before anything takes time
    permit = Permit.read(args.sources, ALLOWED) if args.sources else None
    found = material.gather(args.data, args.seconds, permit)
    if args.held_out:
        people, held_out = found.people, material.gather(args.held_out, args.seconds).people
    else:
        people, held_out = material.split(found.people)
    say(f"{len(people)} people to calibrate with, {len(held_out)} held out")
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="closeup") as folder:
        effort = QUICK if args.quick else FULL
        work = Work(people, held_out, found.seen, effort, Path(folder), args.weights)
        return [quantise(scale, work, args.out) for scale in args.scales]


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    try:
        reports = run(args)
        machine = f"{processor()}, {cores()} cores"
        text = "\n\n".join(markdown(one) for one in reports) + f"\n\n{machine}\n"
        result: dict[str, Any] = {"machine": machine, "reports": [asdict(one) for one in reports]}
        (args.out / "report.md").write_text(text)
        (args.out / "report.json").write_text(json.dumps(result, indent=1) + "\n")
        print(text, end="")
        if args.ship:
            paying = [one for one in reports if one.pays()]
            ship(paying, args.out)
            names = ", ".join(f"x{one.scale}" for one in paying) or "none"
            print(f"shipped in {WEIGHTS}: {names}")
    except (CloseupError, EngineError, ValueError, OSError) as error:
        return reported(error)
    except KeyboardInterrupt:
        print("stopped; nothing was shipped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    run_program(main)
