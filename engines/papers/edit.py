"""Edit a face by close-ups that show something else: PWAve's section 4.5, on still pictures.

    python -m engines.papers.edit --crop small.png --exemplars smiling.jpg other.jpg \\
        --weights runs/pwave/checkpoint.pt --out face.edited.png

The crop leaves open what eyes, mouth and skin look like up close; the network takes that from the
close-ups, whoever's they are. So the result is no enlargement of what the camera saw: it says so in
a band below it, in its file name and in its metadata. No call and no recording can reach this.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import Tensor

from engines.errors import reported, run_program
from engines.hime.data import shrink_bicubic, to_images, to_tensor
from engines.hime.people import cut, read_photo
from engines.option_types import named_path
from engines.output_file import output_file
from engines.papers import edited_picture, networks
from engines.papers.networks import SIDES, Network

MOST = 5
"""Close-ups; the network was trained with so many at most."""


def crop_of(path: Path, side: int) -> Tensor:
    """A square headshot as the network's input, (1, 3, side, side); a larger one is shrunk.

    Args:   side: px.
    Raises: ValueError: it is no square picture, or smaller. OSError.
    """
    photo = read_photo(path)
    if photo.shape[0] < side:
        raise ValueError(f"{path}: {photo.shape[0]} px, needs {side} or more")
    if photo.shape[0] == side:
        return to_tensor([photo])
    # by way of a whole multiple, as the training's crops are made
    times = -(-photo.shape[0] // side)
    return shrink_bicubic(to_tensor([cut(photo, times * side, 1.0, (0.0, 0.0))]), times)


def edit(network: Network, crop: Tensor, exemplars: list[Path]) -> Tensor:
    """The edited picture, (1, 3, s h, s w), 0..1.

    Args:   crop: (1, 3, h, w), 0..1. exemplars: square headshots.
    Raises: ValueError: no square pictures, or too many or none. OSError.
    """
    if not 1 <= len(exemplars) <= MOST:
        raise ValueError(f"--exemplars takes 1 to {MOST} pictures, not {len(exemplars)}")
    big = network.scale * crop.shape[-1]
    photos = [cut(read_photo(path), big, 1.0, (0.0, 0.0)) for path in exemplars]
    return networks.run(network, crop, to_tensor(photos)[None])


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(
        prog="python -m engines.papers.edit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--crop", type=named_path, required=True, help="a square headshot; shrunk if large"
    )
    p.add_argument(
        "--exemplars", type=named_path, nargs="+", required=True, help="square headshots, 1 to 5"
    )
    p.add_argument(
        "--weights", type=named_path, required=True, help="a checkpoint of PWAve (or another)"
    )
    p.add_argument(
        "--out", type=output_file, help="default: the crop's name, ending in .edited.png"
    )
    args = p.parse_args(argv)
    out = args.out or args.crop.with_name(args.crop.stem + edited_picture.ENDING)
    try:
        network = networks.load(args.weights).network
        if network.inputs != 3:
            raise ValueError(f"{args.weights} carries detail over and cannot edit; PWAve can")
        made = edit(network, crop_of(args.crop, SIDES[network.scale]), args.exemplars)
        edited_picture.write(out, to_images(made)[0])
    except (OSError, ValueError) as error:
        return reported(error)
    print(f"{out}: edited")
    return 0


if __name__ == "__main__":
    run_program(main)
