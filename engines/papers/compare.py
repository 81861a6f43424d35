"""Compare the networks of the papers, on the same headshots, in one table.

    python -m engines.papers.compare --sizes [--json sizes.json]
    python -m engines.papers.compare --data PEOPLE --runs runs [--json F] [--sheet faces.png]

--runs has a folder with checkpoint.pt for each network that was trained, as
`engines.papers.train_network` writes them: gwainet, pwave, hime-small-rec, hime-small-p,
hime-large-rec, hime-large-p, product. What is not there is left out and named. "shipped" is the
product's network as it is delivered, trained on damaged crops, for longer and from other weights.
Milliseconds are for one headshot with its exemplars, in PyTorch, float32, on this CPU; alignment in
pixels counts for the networks that need it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.alignment import align
from engines.errors import reported, run_program
from engines.hime.cases import Case, make_cases
from engines.hime.counts import numbers
from engines.hime.data import load_people, to_images, to_tensor
from engines.hime.evaluate import outputs, scored
from engines.hime.identity import Recogniser, missing
from engines.hime.measures import gmacs
from engines.hime.model import Hime
from engines.hime.tables import Row, add_report_options, spread, write_sheet
from engines.option_types import named_path
from engines.papers import networks
from engines.papers.networks import SIDES, Network, Trained
from engines.weights.manifest import best_weights, network_name, read_manifest

RUNS = (
    *("gwainet", "pwave", "hime-small-rec", "hime-small-p", "hime-large-rec", "hime-large-p"),
    "product",
)
"""Folders of --runs, in the order of the table."""
SHIPPED = "shipped"
ROUNDS = 5
"""Each network's time is the median of so many."""
SHEET = 6
TITLES = (
    *("network", "exemplars", "PSNR dB", "SSIM", "HaarPSI", "sharpness", "right", "coherence"),
    *("identity", "params M", "GMACs", "ms", "samples"),
)


@dataclass(frozen=True)
class Compared:
    """One line: a network with a number of exemplars."""

    network: str
    exemplars: int
    psnr: float
    ssim: float
    haarpsi: float
    sharpness: float
    right: float
    coherence: float
    identity: float | None
    parameters: int | None
    gmacs: float | None
    ms: float | None
    samples: int | None
    """Of training; None: no network, or its file does not say."""

    def cells(self) -> tuple[str, ...]:
        """Text, in the order of TITLES."""
        measured = (self.ssim, self.haarpsi, self.sharpness, self.right, self.coherence)
        return (
            *(self.network, str(self.exemplars), f"{self.psnr:.2f}"),
            *(f"{value:.4f}" for value in measured[:2]),
            *(f"{value:.3f}" for value in measured[2:]),
            "-" if self.identity is None else f"{self.identity:.4f}",
            "-" if self.parameters is None else f"{self.parameters / 1e6:.2f}",
            "-" if self.gmacs is None else f"{self.gmacs:.2f}",
            "-" if self.ms is None else f"{self.ms:.1f}",
            "-" if self.samples is None else f"{self.samples:,}",
        )


def bicubic(cases: list[Case]) -> Tensor:
    """Bicubic enlargement of all cases: (N, 3, s b, s b), 0..1."""
    crops = torch.stack([case.crop for case in cases])
    size = cases[0].truth.shape[-2:]
    return F.interpolate(crops, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def pictures(network: Network, cases: list[Case], exemplars: int) -> Tensor:
    """What a network makes of all cases, no detail raised: (N, 3, s b, s b), 0..1.

    Args: exemplars: how many each case has.
    """
    if isinstance(network, Hime):
        return outputs(network, cases, exemplars, fine=0.0)
    parts = []
    for start in range(0, len(cases), 16):
        some = cases[start : start + 16]
        crop = torch.stack([case.crop for case in some])
        known = torch.stack([case.given("own", exemplars) for case in some])
        parts.append(networks.run(network, crop, known))
    return torch.cat(parts)


def once(network: Network, case: Case, exemplars: int) -> float:
    """Milliseconds for one headshot.

    Args: exemplars: how many it has.
    """
    given = case.given("own", exemplars)
    start = time.perf_counter()
    if isinstance(network, Hime) and network.in_pixels and exemplars:
        aligned = align(to_images(case.crop[None])[0], to_images(given))
        given = to_tensor(aligned)
    networks.run(network, case.crop[None], given[None])
    return (time.perf_counter() - start) * 1e3


def times(found: dict[str, Trained], case: Case, exemplars: int) -> dict[str, float]:
    """Milliseconds of each network; interleaved, so that load drift affects all.

    Args: found: by name. case: the headshot. exemplars: how many it has.
    """
    took: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(ROUNDS + 1):
        for name, trained in found.items():
            took[name].append(once(trained.network, case, exemplars))
    return {name: statistics.median(each[1:]) for name, each in took.items()}  # one warms up


def available(
    runs: Path | None, given: list[str], scale: int
) -> tuple[dict[str, Trained], dict[str, str]]:
    """The networks that were trained, in the order of the table, and why others are left out.

    Args:   runs: see above. given: NAME=FILE, instead of a folder's. scale: of the networks.
    Raises: ValueError: a file holds something else, or an unknown name. OSError.
    """
    paths: dict[str, Path] = {}
    if runs is not None:
        paths = {name: runs / name / "checkpoint.pt" for name in RUNS}
    paths[SHIPPED] = best_weights(scale, "call")
    for one in given:
        name, _, file = one.partition("=")
        if name not in (*RUNS, SHIPPED) or not file:
            raise ValueError(f"--weights takes NAME=FILE, NAME one of {', '.join(RUNS)}")
        paths[name] = Path(file)
    found: dict[str, Trained] = {}
    absent: dict[str, str] = {}
    for name in (*RUNS, SHIPPED):
        path = paths.get(name)
        if path is None or not path.exists():
            absent[name] = "not trained" if path is None else f"not trained: no {path}"
            continue
        trained = networks.load(path)
        if trained.network.scale != scale:
            absent[name] = f"{path} enlarges {trained.network.scale} times, not {scale}"
            continue
        if path == best_weights(scale, "call"):
            entry = read_manifest()["networks"][network_name(scale)]
            trained = replace(trained, samples=entry["training"]["samples"])
        found[name] = trained
    return found, absent


def compare(
    found: dict[str, Trained],
    cases: list[Case],
    counts: tuple[int, ...],
    recogniser: Recogniser | None = None,
) -> list[Compared]:
    """The table: bicubic enlargement, then every network with every number of exemplars.

    Args: found: by name. cases: headshots. counts: numbers of exemplars.
          recogniser: asked whether the faces are still the same people.
    """
    truth = torch.stack([case.truth for case in cases])
    scale = truth.shape[-1] // cases[0].crop.shape[-1]

    def row(name: str, count: int, made: Tensor) -> Compared:
        got = scored(Row(name, count), made, truth, scale, recogniser)
        shared = {k: getattr(got, k) for k in ("psnr", "ssim", "haarpsi", "sharpness")}
        shared |= {k: getattr(got, k) for k in ("right", "coherence", "identity")}
        return Compared(name, count, **shared, parameters=None, gmacs=None, ms=None, samples=None)

    rows = [row("bicubic", 0, bicubic(cases))]
    for count in counts:
        ms = times(found, cases[0], count)
        for name, trained in found.items():
            network = trained.network
            made = row(name, count, pictures(network, cases, count))
            cost = gmacs(network, cases[0].crop.shape[-1], count)
            rows.append(
                replace(
                    made,
                    parameters=networks.parameters(network),
                    gmacs=round(cost, 3),
                    ms=round(ms[name], 2),
                    samples=trained.samples,
                )
            )
    return rows


def markdown(rows: list[tuple[str, ...]], titles: tuple[str, ...]) -> str:
    """A table.

    Args: rows: of text. titles: of the columns.
    """
    lines = [titles, ("---",) + ("---:",) * (len(titles) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def sheet(found: dict[str, Trained], cases: list[Case], exemplars: int, path: Path) -> None:
    """Save some faces, evenly over all people, a column for each network.

    Args: found: by name. cases: headshots. exemplars: how many each has. path: .png or .jpg.
    """
    some = [cases[int(i)] for i in spread(len(cases), SHEET)]
    columns = {"input": torch.stack([case.crop for case in some]), "bicubic": bicubic(some)}
    columns |= {n: pictures(trained.network, some, exemplars) for n, trained in found.items()}
    write_sheet(path, columns | {"truth": torch.stack([case.truth for case in some])})


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m engines.papers.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--sizes", action="store_true", help="parameters and GMACs alone, without data")
    p.add_argument("--data", type=named_path, help="a folder for each person")
    p.add_argument("--runs", type=named_path, help="a folder with a run for each network")
    p.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FILE", help="one network's"
    )
    p.add_argument("--scale", type=int, choices=tuple(SIDES), default=8)
    p.add_argument("--counts", help="numbers of exemplars, as in 0,1,3 (default 3)", default="3")
    p.add_argument("--limit", type=int, help="use about this many headshots")
    add_report_options(p)
    args = p.parse_args(argv)
    if args.sizes == (args.data is not None):
        p.error("either --sizes, or --data with people")
    return args


def tell_sizes(args: argparse.Namespace) -> None:
    """Print and save what the networks cost. Raises: OSError."""
    rows = networks.sizes()
    text: list[tuple[str, ...]] = [
        (r["network"], f"x{r['scale']}", f"{r['parameters'] / 1e6:.2f}", f"{r['gmacs']:.2f}")
        for r in rows
    ]
    table = markdown(text, ("network", "scale", "params M", "GMACs"))
    print(table, end="")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text(table)


def tell_quality(args: argparse.Namespace) -> None:
    """Print and save what the networks make. Raises: ValueError, OSError."""
    if args.identity and (reason := missing()):
        raise ValueError(reason)
    side, counts = SIDES[args.scale], numbers(args.counts)
    found, absent = available(args.runs, args.weights, args.scale)
    people = load_people(args.data, side * args.scale)
    cases = make_cases(people, args.scale, side, "clean", args.limit, max(counts), least=8)
    rows = compare(found, cases, counts, Recogniser() if args.identity else None)
    title = f"{len(cases)} headshots, {side} px x{args.scale}, clean"
    table = markdown([row.cells() for row in rows], TITLES)
    left_out = "".join(f"{name}: left out, {why}\n" for name, why in absent.items())
    print(f"{title}\n\n{table}\n{left_out}", end="")
    if args.json:
        told = {"headshots": len(cases), "scale": args.scale, "size": side, "left_out": absent}
        args.json.write_text(
            json.dumps(told | {"rows": [asdict(r) for r in rows]}, indent=1) + "\n"
        )
    if args.markdown:
        args.markdown.write_text(f"### {title}\n\n{table}\n{left_out}")
    if args.sheet:
        sheet(found, cases, max(counts), args.sheet)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    try:
        if args.sizes:
            tell_sizes(args)
        else:
            tell_quality(args)
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
