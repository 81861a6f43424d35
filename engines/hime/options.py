"""Options of training: the command line, and a TOML file with the same names."""

from __future__ import annotations

import argparse
import difflib
import sys
import tomllib
from collections.abc import Callable

from engines.hime.devices import DEFAULT
from engines.hime.licences import licence_list
from engines.hime.model import AGGREGATIONS, ALIGNMENTS
from engines.hime.network_sizes import FULL, SIZES
from engines.hime.variations import VARIATIONS
from engines.option_types import named_path, number, output_folder, whole

LEAST_SIDE = 8
"""Of crops, px: smaller ones show nothing."""


def weighted(least: int) -> Callable[[str], dict[int, float]]:
    """Numbers and how often each is drawn: "32:0.7,48:0.3". Args: least: of the numbers."""

    def read(text: str) -> dict[int, float]:
        pairs = [part.partition(":") for part in text.split(",")]
        drawn = {whole(least)(one): number()(weight) for one, _, weight in pairs}
        if not sum(drawn.values()) > 0.0:
            raise argparse.ArgumentTypeError(f"{text}: nothing is ever drawn")
        return drawn

    return read


def variation_list(text: str) -> tuple[str, ...]:
    """Kinds of variations: "moved,lit"; "none"."""
    names = () if text == "none" else tuple(text.split(","))
    if not set(names) <= set(VARIATIONS):
        raise argparse.ArgumentTypeError(f"must be some of {','.join(VARIATIONS)}, not {text}")
    return names


def licences(text: str) -> tuple[str, ...]:
    """Normalised licences, with a message of its own where one is unknown."""
    try:
        return licence_list(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def options(description: str) -> argparse.ArgumentParser:
    """Every option there is; `--config` takes the same names."""
    p = argparse.ArgumentParser(
        prog="python -m engines.hime.train",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--config", type=named_path, help="a TOML file of these options")
    p.add_argument("--data", type=named_path, action="append", required=True)
    p.add_argument(
        "--photographs", type=named_path, action="append", help="a folder or zip without people"
    )
    p.add_argument(
        "--photograph-share",
        type=number(0.0, 1.0),
        default=0.15,
        help="of the samples, with --photographs",
    )
    p.add_argument(
        "--licences",
        type=licences,
        help="use pictures of these licences alone, as in CC0-1.0,CC-BY-4.0; open: all that the "
        "shipped open weights were trained on; needs --sources",
    )
    p.add_argument("--sources", type=named_path, help="a CSV: file, repository, licence, author")
    p.add_argument("--val", type=named_path, required=True, help="people who are in no --data")
    p.add_argument(
        "--val-exemplars", type=whole(), default=3, help="for each headshot of --val (default 3)"
    )
    p.add_argument("--out", type=output_folder, required=True, help="the run's folder")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--alignment", choices=ALIGNMENTS, default=ALIGNMENTS[0], help="table 2")
    p.add_argument("--aggregation", choices=AGGREGATIONS, default=AGGREGATIONS[0], help="table 3")
    p.add_argument(
        "--size",
        choices=SIZES,
        default=FULL,
        help="of the network: engines.hime.network_sizes (default %(default)s)",
    )
    p.add_argument(
        "--paper",
        action="store_true",
        help="layers of the paper's sizes (table 1), not the product's; needs another --alignment "
        'than pixels; with "flow" it is HIME-large, else HIME-small',
    )
    p.add_argument(
        "--flow", type=named_path, help="SPyNet to start from (engines.hime.flow_training)"
    )
    p.add_argument("--steps", type=whole(1), default=6000, help="length of the cosine schedule")
    p.add_argument("--init", type=named_path, help="weights to start from (.pt or *.enhance.onnx)")
    p.add_argument("--lr", type=number(), default=7e-4)
    p.add_argument("--warmup", type=whole(), default=200, help="steps")
    p.add_argument("--ema", type=number(0.0, 1.0), default=0.999)
    p.add_argument(
        "--correlation", type=number(), default=0.0, help="weight of the correlation loss"
    )
    p.add_argument(
        "--window", type=int, choices=(1, 3, 5, 7, 9), default=3, help="k of --correlation"
    )
    p.add_argument("--dilation", type=int, choices=(1, 2, 3), default=1, help="d of --correlation")
    p.add_argument("--adversarial", type=number(), default=0.0, help="weight; the paper's is 0.1")
    p.add_argument("--perceptual", type=number(), default=0.0, help="weight; the paper's is 0.01")
    p.add_argument(
        "--features",
        type=named_path,
        help="of --perceptual: VGG-19 of torchvision, or O-Net (facenet_pytorch/data/onet.pt)",
    )
    p.add_argument(
        "--reconstruction", type=number(), default=1.0, help="weight of the Charbonnier loss"
    )
    p.add_argument(
        "--clean", type=number(0.0, 1.0), default=0.35, help="share of clean crops (default 0.35)"
    )
    p.add_argument(
        "--sharpened",
        type=number(0.0, 1.0),
        default=0.0,
        help="share of the other crops that a cheap camera has sharpened; validation has none",
    )
    p.add_argument(
        "--blurred",
        type=number(0.0, 1.0),
        default=0.04,
        help="share of exemplars that are out of focus",
    )
    p.add_argument(
        "--strange",
        type=number(0.0, 1.0),
        default=0.0,
        help="share of samples all of whose exemplars are of one other person",
    )
    p.add_argument(
        "--changed",
        type=number(0.0, 1.0),
        default=0.0,
        help="share of samples of which a part is otherwise in all exemplars than in the truth",
    )
    p.add_argument(
        "--guide",
        type=named_path,
        help="weights of a finished network (.pt or *.enhance.onnx): exemplars are aligned a "
        "second time, to what it makes with them, as a stream does; with --alignment pixels",
    )
    p.add_argument(
        "--made",
        type=number(0.0, 1.0),
        default=0.0,
        help="share of exemplars that are made from the photo itself; above 0, those of people "
        "with one photo and of --photographs all are",
    )
    p.add_argument(
        "--variations",
        type=variation_list,
        default=",".join(VARIATIONS),
        help="how made exemplars differ from the photo, or none (default: %(default)s)",
    )
    p.add_argument(
        "--flip",
        choices=("both", "none", "one"),
        default="both",
        help="mirror crop and exemplars alike, nothing, or one of the two (supplement, table 4)",
    )
    p.add_argument(
        "--least-photos",
        type=whole(1),
        default=1,
        help="leave out people with fewer (supplement, table 2)",
    )
    sizes, slots = "32:0.7,48:0.2,64:0.1", "0:0.06,1:0.14,2:0.1,3:0.5,4:0.1,5:0.1"
    p.add_argument(
        "--sizes", type=weighted(LEAST_SIDE), default=sizes, help="crop sides and their weights"
    )
    p.add_argument("--slots", type=weighted(0), default=slots, help="exemplar counts and weights")
    p.add_argument("--batch", type=whole(1), default=32, help="crops of 32 px in a batch")
    p.add_argument(
        "--half", type=number(0.0, 1.0), default=0.0, help="share of steps with half the sides"
    )
    p.add_argument("--seed", type=whole(), default=1)
    p.add_argument("--save", type=number(), default=240, help="seconds between checkpoints")
    p.add_argument(
        "--workers",
        type=whole(),
        default=1,
        help="makers of batches; each holds all photos in memory",
    )
    p.add_argument("--device", default=DEFAULT)
    return p


def parse(description: str, argv: list[str] | None) -> argparse.Namespace:
    """The command line, after the file of --config; exits with a message when one is wrong."""
    argv = sys.argv[1:] if argv is None else argv
    parser = options(description)
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=named_path)
    finder.add_argument("--data", action="append")
    found, _ = finder.parse_known_args(argv)
    if not found.config:
        return parser.parse_args(argv)
    try:
        given = tomllib.loads(found.config.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        parser.error(f"{found.config}: {error}")
    known = vars(parser.parse_args(["--data", ".", "--val", ".", "--out", "."])).keys() - {"config"}
    words: list[str] = []
    for given_name, value in given.items():
        name = given_name.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            parser.error(f"{found.config}: no option {name}{hint}")
        # options on the command line come later and win; sources would add up, so they replace
        if name != "data" or not found.data:
            option = f"--{name.replace('_', '-')}"
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, bool):
                    words += [option] * item
                else:
                    words.append(f"{option}={item}")
    return parser.parse_args([*words, *argv])
