"""Train the networks of the papers on the same samples, to compare them.

    python -m engines.papers.train_network --network gwainet --data PEOPLE --val OTHERS \\
        --out runs/gwainet [--samples 100000]

All networks see the same headshots, crops and exemplars in the same order: clean bicubic shrinking,
16 px x8 (32 px x4 and, for PWAve, 8 px x16 as well), up to five exemplars. What they make of them
is their papers' (`engines.papers.recipes`, `engines.hime.train`). The folder gets checkpoint.pt and
log.csv; the same command goes on from them.

    --network hime-small --perception --init runs/hime-small/checkpoint.pt --out runs/hime-small-p

goes on with the losses of HIME_P (supplement, section A.2).
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path

import torch

from engines.errors import reported, run_program
from engines.hime import train as hime_train
from engines.hime.cases import Case, make_cases
from engines.hime.data import load_people
from engines.hime.devices import DEFAULT, device_of
from engines.hime.loader import batches
from engines.hime.measures import psnr
from engines.hime.memory import keep_memory
from engines.hime.options import parse as parse_hime
from engines.hime.paper_sizes import LARGE, SMALL
from engines.option_types import named_path, output_folder, whole
from engines.papers import recipes
from engines.papers.gwainet import Gwainet
from engines.papers.identity_encoder import load_encoder
from engines.papers.networks import GWAINET, NETWORKS, PRODUCT, PWAVE, SIDES, build, run
from engines.papers.pwave import Pwave

CASES = 24
"""Held-out headshots that are looked at on the way."""
PERCEPTION = {"correlation": 0.1, "adversarial": 0.1, "perceptual": 0.01}
"""Weights of HIME's supplement, section A.2; beside 1 for the reconstruction."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m engines.papers.train_network",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--network", choices=NETWORKS, required=True)
    p.add_argument("--data", type=named_path, action="append", required=True)
    p.add_argument("--val", type=named_path, required=True, help="people who are in no --data")
    p.add_argument(
        "--val-exemplars", type=int, default=3, help="for each headshot of --val (default 3)"
    )
    p.add_argument("--out", type=output_folder, required=True, help="the run's folder")
    p.add_argument("--samples", type=int, default=100_000)
    p.add_argument("--batch", type=int, default=16, help="samples in a step; a multiple of 4")
    p.add_argument("--scale", type=int, choices=tuple(SIDES), default=8)
    p.add_argument("--lr", type=float, help="default: the network's own")
    p.add_argument("--average", action="store_true", help="PWAve without its weights (figure 8)")
    p.add_argument(
        "--no-critic", action="store_true", help="GWAInet and PWAve without the adversarial loss"
    )
    p.add_argument("--identity", type=named_path, help="Inet for GWAInet's identity loss")
    p.add_argument("--flow", type=named_path, help="SPyNet for HIME-large to start from")
    p.add_argument("--init", type=named_path, help="HIME's weights to start from")
    p.add_argument("--perception", action="store_true", help="HIME_P; needs --init")
    p.add_argument(
        "--features",
        type=named_path,
        help="for HIME_P's perceptual loss, see engines.hime.train; left out without",
    )
    p.add_argument("--seed", type=whole(), default=1)
    p.add_argument("--save", type=float, default=240, help="seconds between checkpoints")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument(
        "--made",
        type=float,
        default=0.0,
        help="share of exemplars that are made from the photo itself; above 0, those of people "
        "with one photo all are (default 0)",
    )
    p.add_argument("--device", default=DEFAULT)
    args = p.parse_args(argv)
    if args.batch < 4 or args.batch % 4 or args.samples < args.batch:
        p.error("--batch must be a multiple of 4, and --samples at least as many")
    if args.scale == 16 and args.network != PWAVE:
        p.error("x16 is PWAve's alone")
    if args.identity and (args.network != GWAINET or args.no_critic):
        p.error("--identity is for gwainet, beside its critic")
    if args.perception and not args.init:
        p.error("--perception needs --init")
    return args


def for_hime(args: argparse.Namespace) -> list[str]:
    """The same samples as a command line of `engines.hime.train`.

    Args: args: of `parse`.
    """
    side = SIDES[args.scale]
    aligned = {PRODUCT: "pixels", LARGE: "flow"}.get(args.network, "deformable")
    # there, --batch is what fits with crops of 32 px
    words = ["--data", *[str(args.data[0])]]
    for more in args.data[1:]:
        words += ["--data", str(more)]
    words += ["--val", str(args.val), "--out", str(args.out), "--scale", str(min(args.scale, 8))]
    words += ["--steps", str(args.samples // args.batch), "--sizes", f"{side}:1"]
    words += [f"--batch={args.batch * side**2 // 32**2 or 1}", "--clean=1", f"--seed={args.seed}"]
    words += [f"--save={args.save}", f"--workers={args.workers}", f"--device={args.device}"]
    words += [f"--made={args.made}", f"--val-exemplars={args.val_exemplars}"]
    words += ["--warmup", str(min(200, args.samples // args.batch // 10))]
    words += [f"--alignment={aligned}", "--lr", str(args.lr or 7e-4)]
    if args.network in (SMALL, LARGE):
        words += ["--paper"]
    if args.flow:
        words += ["--flow", str(args.flow)]
    if args.init:
        words += ["--init", str(args.init)]
    if args.perception:
        losses = {k: v for k, v in PERCEPTION.items() if k != "perceptual" or args.features}
        words += [word for name, weight in losses.items() for word in (f"--{name}", str(weight))]
        words += ["--features", str(args.features)] if args.features else []
    elif args.network in (SMALL, LARGE):
        words += ["--correlation", str(PERCEPTION["correlation"])]
    return words


def gain(network: Gwainet | Pwave, cases: list[Case], exemplars: int) -> float:
    """PSNR over bicubic enlargement, dB.

    Args: cases: held-out ones. exemplars: how many each has.
    """
    found = []
    for case in cases:
        shown = run(network, case.crop[None], case.exemplars[None, :exemplars])
        size = case.truth.shape[-2:]
        plain = torch.nn.functional.interpolate(case.crop[None], size=size, mode="bicubic")
        found.append(psnr(shown, case.truth[None]) - psnr(plain.clamp(0, 1), case.truth[None]))
    return float(torch.cat(found).mean())


def report(duel: recipes.Duel, out: Path, cases: list[Case], losses: list[recipes.Losses]) -> None:
    """Save the checkpoint, measure, and add to the log and the screen.

    Args:   out: the run's folder. cases: held-out ones. losses: since the last report.
    Raises: ValueError: a loss is no number, the training has diverged; the last checkpoint stays.
    """
    # numbers leave the device here only: to ask for one in every step would halt it
    names = sorted({name for one in losses for name in one})
    means = {n: float(torch.stack([x[n] for x in losses if n in x]).mean()) for n in names}
    if not all(map(math.isfinite, means.values())):
        raise ValueError(f"diverged before step {duel.step}; a smaller --lr may help")
    duel.save(out / "checkpoint.pt")
    all_given, none = (gain(duel.ema, cases, n) for n in (len(cases[0].exemplars), 0))
    with (out / "log.csv").open("a", newline="") as log:
        writer = csv.writer(log)
        for name, value in {
            "clean": all_given,
            "clean_3_over_0": all_given - none,
            **means,
        }.items():
            writer.writerow([duel.step, duel.samples, name, f"{value:.6g}"])
    words = [f"step {duel.step}/{duel.steps}, {duel.samples} samples, {duel.stage}"]
    words += [f"clean {all_given:+.3f} dB, by exemplars {all_given - none:+.3f} dB"]
    print(", ".join(words + [f"{n} {v:.5f}" for n, v in means.items()]), flush=True)


def train(args: argparse.Namespace) -> None:
    """GWAInet or PWAve.

    Raises: ValueError: data, options and checkpoint do not fit together. OSError.
    """
    side, steps = SIDES[args.scale], args.samples // args.batch
    people = load_people(args.val, side * args.scale)
    cases = make_cases(people, args.scale, side, "clean", CASES, args.val_exemplars, least=8)
    torch.manual_seed(args.seed)
    device = device_of(args.device)
    network = build(args.network, args.scale, args.average)
    assert isinstance(network, Gwainet | Pwave)
    duel = recipes.begin(network.to(device), steps, not args.no_critic)
    duel.identity = load_encoder(args.identity).to(device) if args.identity else None
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        duel.load(checkpoint)
        print(f"resuming at step {duel.step}, {duel.samples} samples")
    # the schedule and the batches of HIME's training, exemplars as they are
    shared = parse_hime("", for_hime(args))
    shared.scale, shared.lr = args.scale, args.lr or recipes.RATES[args.network]
    losses: list[recipes.Losses] = []
    start = time.monotonic()
    for batch in batches(shared, duel.step):
        losses.append(recipes.learn(duel, batch, hime_train.rate(duel.step, shared)))
        if time.monotonic() - start > args.save:
            report(duel, args.out, cases, losses)
            losses, start = [], time.monotonic()
    if losses:
        report(duel, args.out, cases, losses)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    if args.network not in (GWAINET, PWAVE):
        return hime_train.main(for_hime(args))
    try:
        train(args)
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    keep_memory("engines.papers.train_network")
    run_program(main)
