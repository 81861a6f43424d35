"""What a close-up is worth when time has passed: HIME's table 5, on recordings of one talking head.

    python -m engines.hime.temporal --clip CLIP [--clip MORE ...] --intervals 1,30,60,120

The middle square of the picture is the headshot, as in recordings where a head fills it. Every
frame that is measured is given one earlier frame, `interval` frames before, or a blank picture.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
import torch
from av.error import FFmpegError
from torch import Tensor

from engines.errors import reported, run_program
from engines.hime import degrade
from engines.hime.cases import SEED, Case
from engines.hime.checkpoint import load_network
from engines.hime.data import Image, cut, shrink_bicubic, to_tensor
from engines.hime.evaluate import bicubic, outputs
from engines.hime.measures import psnr, ssim
from engines.hime.model import Hime
from engines.option_types import named_path
from engines.output_file import output_file
from engines.weights.manifest import best_weights

INTERVALS = (1, 30, 60, 120)
MEASURED = 24
"""Frames of a clip that are measured, evenly over what is left after the longest interval."""


@dataclass(frozen=True)
class Gap:
    """One line of the table, averaged over all frames."""

    given: str
    psnr: float
    ssim: float


def read_squares(clip: Path, side: int) -> list[Image]:
    """The middle square of every picture, shrunk to side x side px.

    Raises: ValueError: it is no video, or the pictures are smaller than that.
    """
    squares = []
    try:
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                height, width = image.shape[:2]
                full = min(height, width)
                if full < side:
                    raise ValueError(f"{clip}: pictures of {full} px, {side} are needed")
                top, left = (height - full) // 2, (width - full) // 2
                middle = image[top : top + full, left : left + full]
                squares.append(cut(middle, side, 1.0, (0.0, 0.0)))
    except (FFmpegError, IndexError) as error:
        raise ValueError(f"{clip}: no video that can be read") from error
    return squares


def cases(squares: list[Image], intervals: tuple[int, ...], scale: int, kind: str) -> list[Case]:
    """The same frames for every interval; the close-ups of a case are in order of `intervals`.

    Args:   squares: frames of a clip, cropped to the face. intervals: frames. scale: 4 or 8. kind:
            "call" or "clean".
    Raises: ValueError: the clip is shorter than the longest interval.
    """
    first = max(intervals)
    if len(squares) <= first:
        raise ValueError(f"{len(squares)} frames are too few for an interval of {first}")
    made = []
    for index in np.unique(np.linspace(first, len(squares) - 1, MEASURED).round().astype(int)):
        truth = squares[index]
        earlier = [squares[index - gap] for gap in intervals]
        if kind == "call":
            rng = np.random.default_rng([SEED, int(index)])
            crop = to_tensor(degrade.call([truth], scale, rng))[0]
            earlier = [degrade.close_up(image, rng) for image in earlier]
        else:
            crop = shrink_bicubic(to_tensor([truth]), scale)[0]
        known = to_tensor(earlier)
        made.append(Case(crop, to_tensor([truth])[0], known, torch.full_like(known, 0.5)))
    return made


def gaps(network: Hime, these: list[Case], intervals: tuple[int, ...]) -> list[Gap]:
    """The table: bicubic, nothing, each interval, a blank picture.

    Args: these: cases as `cases` makes them. intervals: of their close-ups, frames.
    """
    truth = torch.stack([c.truth for c in these])

    def line(given: str, pictures: Tensor) -> Gap:
        similar = [ssim(x, y) for x, y in zip(pictures, truth, strict=True)]
        return Gap(given, float(psnr(pictures, truth).mean()), float(np.mean(similar)))

    lines = [line("bicubic", bicubic(network, these)), line("none", outputs(network, these, 0))]
    for place, interval in enumerate(intervals):
        one = [
            Case(c.crop, c.truth, c.exemplars[place : place + 1], c.strangers[:1]) for c in these
        ]
        lines.append(line(f"{interval} frames ago", outputs(network, one, 1)))
    lines.append(line("blank", outputs(network, these, 1, "blank")))
    return lines


def whole_numbers(text: str) -> tuple[int, ...]:
    """ "1,30,60" -> (1, 30, 60); for argparse."""
    numbers = tuple(int(word) for word in text.split(","))
    if min(numbers) < 1:
        raise ValueError
    return numbers


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m engines.hime.temporal", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--clip", type=named_path, action="append", required=True)
    p.add_argument("--intervals", type=whole_numbers, default=INTERVALS, help="frames; 1,30,60,120")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--size", type=int, default=32, help="side of the input, px (default 32)")
    p.add_argument("--degradation", choices=("clean", "call"), default="clean")
    p.add_argument("--weights", type=named_path, help="a checkpoint or *.enhance.onnx file")
    p.add_argument("--json", type=output_file, help="write the table here")
    args = p.parse_args(argv)
    try:
        network = load_network(args.weights or best_weights(args.scale, args.degradation))
        if network.config.scale != args.scale:
            raise ValueError(f"the weights enlarge {network.config.scale} times, not {args.scale}")
        these: list[Case] = []
        for clip in args.clip:
            squares = read_squares(clip, args.scale * args.size)
            these += cases(squares, args.intervals, args.scale, args.degradation)
        table = gaps(network, these, args.intervals)
        print(f"{len(these)} frames, {args.size} px x{args.scale}, {args.degradation}")
        print(f"{'close-up':<18}{'PSNR dB':>10}{'SSIM':>10}")
        for gap in table:
            print(f"{gap.given:<18}{gap.psnr:>10.2f}{gap.ssim:>10.4f}")
        if args.json:
            args.json.write_text(json.dumps([asdict(gap) for gap in table], indent=1) + "\n")
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
