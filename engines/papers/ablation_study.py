"""The ablation studies of HIME and its supplement, with HIME-small at 16 px x8.

    python -m engines.papers.ablation_study --study table6 --data PEOPLE --val OTHERS --out runs
    python -m engines.papers.ablation_study --study table6 --val OTHERS --out runs --measure

table2 trains without alignment, with the deformable one, and with the flow-guided one of
HIME-large; table3 with the average, the maximum and the similarity of the exemplars' features;
table4 with no exemplar, one and three, and measures with as many. supplement2 trains with people of
four photos or more, and with everybody; supplement4 mirrors nothing, crop or exemplars alone, or
both alike.
table6 trains with the reconstruction loss alone, with the correlation loss beside it, and, from
the second, with the adversarial and perceptual losses, without and with correlation. figure8 trains
with the correlation loss alone and goes on from the reconstruction loss with both, for windows of
1, 3, 5, 7 and 9 px. All see the same samples; a run that is in the folder already goes on.
--measure trains nothing and measures what is there. LPIPS cannot be had: HaarPSI and the detail's
sharpness and coherence stand for it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from engines.errors import reported, run_program
from engines.hime import train as hime_train
from engines.hime.cases import make_cases
from engines.hime.data import load_people
from engines.hime.devices import DEFAULT
from engines.hime.evaluate import scored
from engines.hime.paper_sizes import LARGE, SMALL
from engines.hime.tables import Row
from engines.option_types import named_path, output_folder
from engines.output_file import output_file
from engines.papers import networks
from engines.papers.compare import markdown, pictures
from engines.papers.train_network import PERCEPTION, for_hime
from engines.papers.train_network import parse as parse_training

WINDOWS = (1, 3, 5, 7, 9)
TITLES = ("variant", "samples", "PSNR dB", "SSIM", "HaarPSI", "sharpness", "right", "coherence")


@dataclass(frozen=True)
class Variant:
    """One training."""

    name: str
    options: tuple[str, ...]
    """Of `engines.hime.train`, after those that all share."""
    start: str | None = None
    """The variant whose weights it goes on from."""
    network: str = SMALL
    exemplars: int = 3
    """It is measured with so many."""


def _weights(**given: float) -> tuple[str, ...]:
    return tuple(word for name, value in given.items() for word in (f"--{name}", str(value)))


def table2() -> list[Variant]:
    """The three lines of table 2."""
    return [
        Variant("none", ("--alignment", "none")),
        Variant("deformable", ()),
        Variant("flow", (), network=LARGE),
    ]


def table3() -> list[Variant]:
    """The three lines of table 3."""
    return [
        Variant("average", ("--aggregation", "average")),
        Variant("maximum", ("--aggregation", "maximum")),
        Variant("deformable", ()),
    ]


def table4() -> list[Variant]:
    """The three lines of table 4."""
    return [Variant(f"exemplars-{n}", ("--slots", f"{n}:1"), exemplars=n) for n in (0, 1, 3)]


def supplement2() -> list[Variant]:
    """The thresholds of the supplement's table 2."""
    return [Variant(f"photos-{n}", ("--least-photos", str(n))) for n in (4, 1)]


def supplement4() -> list[Variant]:
    """The three lines of the supplement's table 4."""
    return [Variant(f"flip-{kind}", ("--flip", kind)) for kind in ("none", "one", "both")]


def table6(features: Path | None) -> list[Variant]:
    """The four lines of table 6.

    Args: features: for the perceptual loss; left out without.
    """
    losses = {name: PERCEPTION[name] for name in ("adversarial", "perceptual")}
    if features is None:
        del losses["perceptual"]
    more = ("--features", str(features)) if features else ()
    both = PERCEPTION["correlation"]
    return [
        Variant("rec", _weights(correlation=0)),
        Variant("rec+cor", _weights(correlation=both)),
        Variant("p-without-cor", (*_weights(correlation=0, **losses), *more), "rec+cor"),
        Variant("p-with-cor", (*_weights(correlation=both, **losses), *more), "rec+cor"),
    ]


def figure8(windows: tuple[int, ...] = WINDOWS) -> list[Variant]:
    """Both curves of figure 8, and what the second starts from.

    Args: windows: k.
    """
    both = PERCEPTION["correlation"]
    alone = [
        Variant(f"cor-{k}", (*_weights(reconstruction=0, correlation=1), "--window", str(k)))
        for k in windows
    ]
    tuned = [
        Variant(f"rec+cor-{k}", (*_weights(correlation=both), "--window", str(k)), "rec")
        for k in windows
    ]
    return [*alone, Variant("rec", _weights(correlation=0)), *tuned]


STUDIES: dict[str, Callable[[argparse.Namespace], list[Variant]]] = {
    "table2": lambda args: table2(),
    "table3": lambda args: table3(),
    "table4": lambda args: table4(),
    "table6": lambda args: table6(args.features),
    "figure8": lambda args: figure8(),
    "supplement2": lambda args: supplement2(),
    "supplement4": lambda args: supplement4(),
}


def checkpoint(variant: Variant, args: argparse.Namespace) -> Path:
    """What its training writes.

    Args: args: of the program.
    """
    path: Path = args.out / variant.name / "checkpoint.pt"
    return path


def command(variant: Variant, args: argparse.Namespace) -> list[str]:
    """The command line of its training.

    Args: args: of the program.
    """
    words = [
        "--network",
        variant.network,
        "--val",
        str(args.val),
        "--out",
        str(args.out / variant.name),
    ]
    for source in args.data:
        words += ["--data", str(source)]
    words += ["--samples", str(args.samples), "--batch", str(args.batch), "--made", str(args.made)]
    words += ["--workers", str(args.workers), "--device", args.device]
    if variant.start:
        words += ["--init", str(args.out / variant.start / "checkpoint.pt"), "--lr", "1e-4"]
    # what is given last counts
    return [*for_hime(parse_training(words)), *variant.options]


def measure(variants: list[Variant], args: argparse.Namespace) -> list[tuple[Row, int | None]]:
    """Every variant's row, and samples of training.

    Args:   variants: trained already. args: of the program.
    Raises: ValueError: people or checkpoints do not serve. OSError.
    """
    people = load_people(args.val, 128)
    cases = make_cases(people, 8, 16, "clean", args.limit)
    truth = torch.stack([case.truth for case in cases])
    rows = []
    for variant in variants:
        trained = networks.load(checkpoint(variant, args))
        made = pictures(trained.network, cases, variant.exemplars)
        rows.append((scored(Row(variant.name, variant.exemplars), made, truth, 8), trained.samples))
    return rows


def cells(row: Row, samples: int | None) -> tuple[str, ...]:
    """Text, in the order of TITLES."""
    fine = (row.sharpness, row.right, row.coherence)
    return (
        *(row.method, f"{samples:,}" if samples else "-", f"{row.psnr:.2f}"),
        *(f"{row.ssim:.4f}", f"{row.haarpsi:.4f}", *(f"{value:.3f}" for value in fine)),
    )


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m engines.papers.ablation_study",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--study", choices=tuple(STUDIES), required=True)
    p.add_argument("--data", type=named_path, action="append", help="a folder for each person")
    p.add_argument("--val", type=named_path, required=True, help="people who are in no --data")
    p.add_argument("--out", type=output_folder, required=True, help="gets a run for each variant")
    p.add_argument("--measure", action="store_true", help="train nothing, measure what is there")
    p.add_argument("--samples", type=int, default=100_000, help="of each training")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument(
        "--features", type=named_path, help="for the perceptual loss, see engines.hime.train"
    )
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--made", type=float, default=0.0, help="see engines.papers.train_network")
    p.add_argument("--device", default=DEFAULT)
    p.add_argument("--limit", type=int, help="measure on about this many headshots")
    p.add_argument("--json", type=output_file, help="write the rows here")
    args = p.parse_args(argv)
    if not args.measure and not args.data:
        p.error("--data is needed, or --measure")
    return args


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    variants = STUDIES[args.study](args)
    for variant in () if args.measure else variants:
        print(f"== {variant.name}", flush=True)
        if status := hime_train.main(command(variant, args)):
            return status
    try:
        there = [v for v in variants if checkpoint(v, args).exists()]
        absent = [v.name for v in variants if v not in there]
        if not there:
            raise ValueError(f"{args.out} has no run of {', '.join(absent)}")
        rows = measure(there, args)
        print(markdown([cells(*row) for row in rows], TITLES), end="")
        if absent:
            print(f"left out, not trained: {', '.join(absent)}")
        if args.json:
            told = [asdict(row) | {"samples": samples} for row, samples in rows]
            args.json.write_text(json.dumps(told, indent=1) + "\n")
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
