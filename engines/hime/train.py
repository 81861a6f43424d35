"""Train HIME, on CUDA or on the CPU in bfloat16, and go on from where it stopped.

    python -m engines.hime.train --data PEOPLE [--data MORE ...] --val PEOPLE --out runs/x4

PEOPLE is a folder or a zip with a folder of square headshots for each person. Every source has
an equal share of the samples. The run folder gets checkpoint.pt (model, EMA, optimiser, step) and
log.csv; the same command continues from them. The batch of a step depends on the seed and the step
alone and the learning rate on the step alone, so a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Subset

from engines.hime.checkpoint import start_from
from engines.hime.data import Batch, Batches, Recipe, load_people
from engines.hime.evaluate import Case, make_cases, mean_psnr
from engines.hime.model import Config, Hime

MALLOC = {
    # glibc hands large blocks back to the kernel at once and gets them again page by page; to keep
    # them doubles the speed of training on a CPU
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "500000000",
    "MALLOC_ARENA_MAX": "1",
}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m engines.hime.train", description=__doc__)
    p.add_argument("--data", type=Path, action="append", required=True)
    p.add_argument("--val", type=Path, required=True, help="people who are in no --data")
    p.add_argument("--out", type=Path, required=True, help="the run's folder")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--steps", type=int, default=6000, help="length of the cosine schedule")
    p.add_argument("--init", type=Path, help="weights to start from (.pt or *.enhance.onnx)")
    p.add_argument("--lr", type=float, default=7e-4)
    p.add_argument("--warmup", type=int, default=200, help="steps")
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--clean", type=float, default=0.35, help="share of clean crops (default 0.35)")
    p.add_argument("--sizes", default="32:0.7,48:0.2,64:0.1", help="crop sides and their weights")
    p.add_argument("--batch", type=int, default=32, help="crops of 32 px in a batch")
    p.add_argument("--half", type=float, default=0.2, help="share of steps with half the sides")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--save", type=float, default=240, help="seconds between checkpoints")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return p.parse_args(argv)


def charbonnier(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean of sqrt(d^2 + eps^2), eps = 1e-3 (HIME, section 5.1)."""
    return (a - b).square().add(1e-6).sqrt().mean()


def rate(step: int, args: argparse.Namespace) -> float:
    """Learning rate: linear warm-up, then a cosine to 1 % of the top."""
    if step < args.warmup:
        return float(args.lr * (step + 1) / args.warmup)
    done = min(1.0, (step - args.warmup) / max(1, args.steps - args.warmup))
    return float(args.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))))


def save(path: Path, state: dict[str, Any]) -> None:
    """Write beside, then rename: a run that dies while saving loses nothing."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def seed_worker(_: int) -> None:
    """One thread in a loader: the training has the other cores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def as_it_is(batch: Any) -> Any:
    """A batch comes complete from the data set."""
    return batch


def validate(network: Hime, cases: dict[str, list[Case]]) -> str:
    """PSNR over bicubic and what three exemplars add, for each degradation."""
    words = []
    for name, these in cases.items():
        crops = torch.stack([c.crop for c in these])
        truth = torch.stack([c.truth for c in these])
        device = next(network.parameters()).device
        up = network.reconstruction.enlarge(crops.to(device)).cpu()
        base = float((-10 * (up.clamp(0, 1) - truth).square().mean((1, 2, 3)).log10()).mean())
        none, three = (mean_psnr(network, these, n) for n in (0, 3))
        words.append(f"{name} {three - base:+.3f} dB (3 over 0: {three - none:+.3f})")
    return ", ".join(words)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    device = torch.device(args.device)
    try:
        sizes = dict(part.split(":") for part in args.sizes.split(","))
        small = 16 if args.scale == 8 else 32
        val = load_people(args.val, small * args.scale)
        cases = {k: make_cases(val, args.scale, small, k, 48) for k in ("clean", "call")}
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    recipe = Recipe(
        scale=args.scale,
        sizes=tuple(int(s) for s in sizes),
        size_weights=tuple(float(w) for w in sizes.values()),
        half_until=round(args.steps * args.half),
        pixels=args.batch * 32 * 32,
        clean=args.clean,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    network = Hime(Config(scale=args.scale))
    if args.init:
        print("new layers:", ", ".join(start_from(network, args.init)) or "none")
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = copy.deepcopy(network).eval().requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=args.lr, betas=(0.9, 0.99))
    checkpoint = args.out / "checkpoint.pt"
    first, samples = 0, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        ema.load_state_dict(state["ema"])
        optimiser.load_state_dict(state["optimiser"])
        first, samples = state["step"], state["samples"]
        print(f"going on from step {first}, {samples} samples")
    batches = Batches(args.data, recipe, args.seed, args.steps)
    loader: DataLoader[Batch] = DataLoader(
        Subset(batches, range(first, args.steps)),
        batch_size=None,
        num_workers=args.workers,
        prefetch_factor=4 if args.workers else None,
        worker_init_fn=seed_worker,
        collate_fn=as_it_is,
        # a fork would inherit the locks of this process's thread pools, and hang
        multiprocessing_context="spawn" if args.workers else None,
    )

    def report(step: int) -> None:
        state = {"network": network.state_dict(), "ema": ema.state_dict()}
        state |= {"optimiser": optimiser.state_dict(), "step": step, "samples": samples}
        save(checkpoint, state)
        speed = (samples - since[1]) / max(1e-9, time.monotonic() - since[0])
        mean = sum(losses) / max(1, len(losses))
        line = f"step {step}/{args.steps}, {samples} samples, {speed:.0f}/s, loss {mean:.5f}, "
        line += validate(ema, cases)
        print(line, flush=True)
        with (args.out / "log.csv").open("a") as log:
            log.write(f"{step};{samples};{speed:.1f};{mean:.6f};{line.split(', ', 4)[4]}\n")

    losses: list[float] = []
    since = (time.monotonic(), samples)
    step = first
    for step, batch in enumerate(loader, start=first + 1):
        for group in optimiser.param_groups:
            group["lr"] = rate(step - 1, args)
        crop = batch.crop.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            made = network(crop, batch.exemplars.to(device), batch.validity.to(device))
        loss = charbonnier(made.float(), batch.truth.to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        samples += len(crop)
        losses.append(float(loss.detach()))
        with torch.no_grad():
            # the average of a young run should not be made of its first values
            keep = min(args.ema, (1 + step) / (10 + step))
            for mean, value in zip(ema.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        if time.monotonic() - since[0] > args.save:
            report(step)
            losses, since = [], (time.monotonic(), samples)
    report(step)
    return 0


if __name__ == "__main__":
    if sys.platform == "linux" and any(os.environ.get(k) != v for k, v in MALLOC.items()):
        os.execve(
            sys.executable,
            [sys.executable, "-m", "engines.hime.train", *sys.argv[1:]],
            os.environ | MALLOC,
        )
    sys.exit(main())
