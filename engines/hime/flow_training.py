"""Train SPyNet on photos that a program has moved, so that HIME-large starts with a flow.

    python -m engines.hime.flow_training --data PEOPLE --scale 8 --size 16 --samples 20000 \\
        --out spynet.pt

The published weights were trained on rendered chairs and films. Here every sample is a headshot,
turned, scaled, shifted and bent by a smooth random flow, which is so known exactly; both pictures
are then shrunk to what HIME's flow sees, the grid of the crop. The loss is the mean end-point error
of all levels, each in its own pixels (Ranjan and Black 2017, section 3).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.errors import reported, run_program
from engines.files import replacing
from engines.hime.data import Rng, shrink_bicubic, to_tensor
from engines.hime.devices import DEFAULT, device_of, mixed_precision
from engines.hime.people import Person, cut, load_people
from engines.hime.spynet import SIDE, SpyNet, warp
from engines.option_types import named_path, whole
from engines.output_file import output_file

SHIFT, TURN, ZOOM, BEND = 0.06, 0.1, 0.05, 0.03
"""Spread of the motion: shift and bend as shares of the side, radians, and a share."""
KNOTS = 4
"""The bend is this many random vectors a side, interpolated."""
BATCH = 16
RATE = 3e-4
"""Falls to a tenth in the last third of the samples."""


def motion(count: int, side: int, rng: Rng, device: torch.device | None = None) -> Tensor:
    """Smooth random flows: (count, 2, side, side), px, (x, y).

    Args: count: how many. side: px. rng: decides. device: where they are made.
    """
    middle = (side - 1) / 2
    y, x = np.mgrid[:side, :side] - middle
    flows = np.empty((count, 2, side, side), np.float32)
    for flow in flows:
        angle, zoom = rng.normal(0, TURN), np.exp(rng.normal(0, ZOOM))
        c, s = zoom * np.cos(angle), zoom * np.sin(angle)
        dx, dy = rng.normal(0, SHIFT, 2) * side
        flow[0] = c * x - s * y - x + dx
        flow[1] = s * x + c * y - y + dy
    knots = rng.normal(0, BEND * side, (count, 2, KNOTS, KNOTS)).astype(np.float32)
    bend = F.interpolate(
        torch.from_numpy(knots).to(device), size=(side, side), mode="bicubic", align_corners=True
    )
    return torch.from_numpy(flows).to(device) + bend


def pairs(
    people: list[Person],
    count: int,
    scale: int,
    size: int,
    rng: Rng,
    device: torch.device | None = None,
) -> tuple[Tensor, ...]:
    """Crops, moved pictures (count, 3, size, size), and the flow in px of `SIDE`.

    Args: people: whose photos. count: how many. scale, size: of the crops. rng: decides.
          device: where they are made; only the photos are cut on the CPU.
    """
    big = scale * size
    photos = []
    for _ in range(count):
        own = people[int(rng.integers(len(people)))].photos
        photos.append(cut(own[int(rng.integers(len(own)))], big, 1.0, (0.0, 0.0)))
    still = to_tensor(photos).to(device)
    flow = motion(count, big, rng, device)
    # warped, it shows at p what the photo has at p + flow(p): the photo is the exemplar
    crop = shrink_bicubic(warp(still, flow), scale)
    light = torch.from_numpy(rng.normal(1, 0.06, (count, 1, 1, 1)).astype(np.float32)).to(device)
    shrunk = F.avg_pool2d((still * light).clamp(0, 1), scale)
    seen = F.interpolate(flow, size=(SIDE, SIDE), mode="area") * (SIDE / big)
    return crop, shrunk, seen


def end_point_error(flows: list[Tensor], truth: Tensor) -> Tensor:
    """Mean end-point error of the levels, each in its own px.

    Args: flows: see `SpyNet.pyramid`. truth: (N, 2, SIDE, SIDE), px.
    """
    errors = []
    for flow in flows:
        side = flow.shape[-1]
        wanted = F.adaptive_avg_pool2d(truth, side) * (side / truth.shape[-1])
        errors.append(((flow - wanted).square().sum(dim=1) + 1e-6).sqrt().mean())
    return torch.stack(errors).mean()


def learn(
    network: SpyNet, people: list[Person], samples: int, scale: int, size: int, seed: int
) -> tuple[float, float]:
    """Train in place, on the device of the network.

    Args:    samples: how many. scale, size: of the crops. seed: of the motions.
    Returns: end-point error of the last level over the last tenth of the samples, and what it
             would be for a flow of zero; px of `SIDE`.
    """
    rng = np.random.default_rng(seed)
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    steps = max(1, samples // BATCH)
    found: list[Tensor] = []
    still: list[Tensor] = []
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = RATE * (0.1 if step > steps * 2 // 3 else 1.0)
        crop, moved, truth = pairs(people, BATCH, scale, size, rng, device)
        with mixed_precision(device):
            flows = network.pyramid(crop, moved)
        loss = end_point_error(flows, truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if step >= steps * 9 // 10:
            # numbers leave the device at the end only: to ask for one would halt it
            found.append((flows[-1].detach() - truth).norm(dim=1).mean())
            still.append(truth.norm(dim=1).mean())
    return float(torch.stack(found).mean()), float(torch.stack(still).mean())


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m engines.hime.flow_training", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument(
        "--data", type=named_path, required=True, help="a folder for each person, or a zip"
    )
    p.add_argument("--out", type=output_file, required=True, help="the weights (.pt)")
    p.add_argument("--scale", type=int, choices=(4, 8), default=8)
    p.add_argument("--size", type=int, default=16, help="side of the crops, px (default 16)")
    p.add_argument("--samples", type=int, default=20_000)
    p.add_argument("--seed", type=whole(), default=1)
    p.add_argument("--device", default=DEFAULT)
    args = p.parse_args(argv)
    try:
        if args.samples < BATCH or args.size < 8:
            raise ValueError(f"--samples must be {BATCH} or more, --size 8 or more")
        people = load_people(args.data, args.scale * args.size)
        torch.manual_seed(args.seed)
        network = SpyNet().to(device_of(args.device))
        start = time.monotonic()
        found, still = learn(network, people, args.samples, args.scale, args.size, args.seed)
        with replacing(args.out) as part:
            torch.save({"spynet": network.state_dict(), "samples": args.samples}, part)
    except (OSError, ValueError) as error:
        return reported(error)
    took = time.monotonic() - start
    print(
        f"{args.samples} samples in {took:.0f} s: end-point error {found:.2f} px of {SIDE}, "
        f"{still:.2f} px if nothing moved"
    )
    return 0


if __name__ == "__main__":
    run_program(main)
