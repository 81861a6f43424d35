"""How good the network is on people: PSNR, SSIM and HaarPSI against bicubic enlargement.

    python -m engines.hime.evaluate --data FOLDER --scale 4 --size 32 --degradation call
    python -m engines.hime.evaluate --data FOLDER --table1 --markdown table1.md

FOLDER holds a folder of square headshots for each person. The truth is one, shrunk by area to scale
x size px; the input is shrunk from it (clean), or damaged as by a call (seeded: all are alike).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engines.aligned_enhancement import ROUNDS
from engines.alignment import Image, align, best_agreeing
from engines.contract import DEFAULT_WEIGHTS
from engines.errors import WeightsError, reported, run_program
from engines.exemplar_transfer import finished
from engines.hime.cases import BANK, SLOTS, Case, make_cases
from engines.hime.checkpoint import load_network, named_weights
from engines.hime.counts import COUNTS, numbers
from engines.hime.data import load_people, to_images, to_tensor
from engines.hime.detail import FACE, Detail, detail
from engines.hime.identity import Recogniser, missing
from engines.hime.measures import gmacs, haarpsi, psnr, ssim
from engines.hime.model import Hime
from engines.hime.tables import (
    Row,
    Table,
    add_report_options,
    markdown,
    plain,
    spread,
    write_pictures,
    write_sheet,
)
from engines.option_types import named_path, whole

TABLE1 = ((4, 32), (4, 64), (8, 16))
"""(scale, side of the input in px): the settings of HIME's table 1."""
HARM = ("blank", "blurred", "mirrored")
SHEET = 8
"""Headshots on a sheet."""
IDENTITY = 48
"""Headshots that a recogniser looks at, a tenth of a second each."""
DETAIL = 0.65
"""As in the product: see `engines.exemplar_transfer.raised`."""


@torch.inference_mode()
def outputs(
    network: Hime, cases: list[Case], exemplars: int, kind: str = "own", fine: float = DETAIL
) -> Tensor:
    """The pictures of all cases, as the product shows them: (N, 3, s b, s b), 0..1.

    Exemplars that come aligned in pixels are aligned twice, as in a stream from its second frame
    on: to the crop, then to what the network has made with them. Of more than are wanted those that
    agree best are taken, as a stream does within a second.

    Args: exemplars: how many. kind: see `Case.given`. fine: how far detail is raised, 0..1.
    """
    made = []
    for start in range(0, len(cases), 16):
        part = cases[start : start + 16]
        if network.in_pixels and exemplars:
            offered = [to_images(case.offered(kind, exemplars)) for case in part]
            made.append(_aligned_outputs(network, part, offered, exemplars, fine))
        else:
            stacked = torch.stack([case.given(kind, exemplars) for case in part])
            plain = _run(network, part, stacked if exemplars else stacked[:, :0])
            images = [finished(one, network.scale, [], fine) for one in to_images(plain)]
            made.append(to_tensor(images) if network.in_pixels else plain)
    return torch.cat(made)


def _aligned_outputs(
    network: Hime, cases: list[Case], offered: list[list[Image]], count: int, fine: float
) -> Tensor:
    crops = to_images(torch.stack([case.crop for case in cases]))
    exemplars = [best_agreeing(*both, count) for both in zip(crops, offered, strict=True)]
    shown: list[Image | None] = [None] * len(cases)
    for _ in range(ROUNDS):
        aligned = [align(*three) for three in zip(crops, exemplars, shown, strict=True)]
        made = to_images(_run(network, cases, torch.stack([to_tensor(x) for x in aligned])))
        shown = list(made)
    return to_tensor(
        [finished(x, network.scale, y, fine) for x, y in zip(made, aligned, strict=True)]
    )


def _run(network: Hime, cases: list[Case], exemplars: Tensor) -> Tensor:
    device = next(network.parameters()).device
    crop = torch.stack([case.crop for case in cases]).to(device)
    validity = torch.ones(exemplars.shape[:2], device=device)
    made: Tensor = network(crop, exemplars.to(device), validity)
    return made.float().cpu().clamp(0, 1)


@torch.inference_mode()
def bicubic(network: Hime, cases: list[Case]) -> Tensor:
    """Bicubic enlargement of all cases: (N, 3, s b, s b), 0..1."""
    crops = torch.stack([c.crop for c in cases]).to(next(network.parameters()).device)
    return network.reconstruction.enlarge(crops).cpu().clamp(0, 1)


@dataclass(frozen=True)
class Gains:
    """What three exemplars bring."""

    over_bicubic: float
    """dB"""
    over_none: float
    """dB"""
    detail: Detail


def gains(network: Hime, cases: list[Case]) -> Gains:
    """All exemplars, three by default, against bicubic enlargement and against none."""
    truth = torch.stack([c.truth for c in cases])
    pictures = (
        bicubic(network, cases),
        *(outputs(network, cases, n, fine=0.0) for n in (0, len(cases[0].exemplars))),
    )
    base, none, three = (float(psnr(x, truth).mean()) for x in pictures)
    return Gains(three - base, three - none, details(pictures[-1], truth, network.config.scale))


def details(pictures: Tensor, truth: Tensor, scale: int, part: float = 1.0) -> Detail:
    """Fine detail of all pictures together, (N, 3, s b, s b), 0..1; see `engines.hime.detail`.

    Args: scale: 4 or 8. part: as of `engines.hime.detail.detail`.
    """
    pairs = zip(to_images(pictures), to_images(truth), strict=True)
    return sum((detail(x, y, scale, part) for x, y in pairs), Detail(0.0, 0.0, 0.0))


def evaluate(
    network: Hime,
    cases: list[Case],
    counts: tuple[int, ...] = COUNTS,
    harm: bool = False,
    recogniser: Recogniser | None = None,
    folder: Path | None = None,
) -> list[Row]:
    """Rows of the table: bicubic, numbers of exemplars, and exemplars that should do no harm.

    Args: harm: blank, blurred and mirrored ones too, not only another person's.
          recogniser: asked whether the faces are still the same people.
          folder: gets every picture, as METHOD/NNNN.png.
    Raises: ValueError: a picture cannot be written there. OSError.
    """
    truth = torch.stack([c.truth for c in cases])
    side = cases[0].crop.shape[-1]
    parameters = sum(p.numel() for p in network.parameters())
    if folder is not None:
        write_pictures(folder / "truth", truth)
        write_pictures(folder / "input", torch.stack([c.crop for c in cases]))

    def row(method: str, count: int, pictures: Tensor) -> Row:
        if folder is not None:
            name = method if method == "bicubic" else f"{method}-{count}"
            write_pictures(folder / name, pictures)
        made = scored(Row(method, count), pictures, truth, network.scale, recogniser)
        if method == "bicubic":
            return made
        return replace(made, parameters=parameters, gmacs=round(gmacs(network, side, count), 3))

    slots = min(SLOTS, len(cases[0].exemplars))
    rows = [row("bicubic", 0, bicubic(network, cases))]
    rows += [row("hime", n, outputs(network, cases, n)) for n in counts]
    for kind in ("wrong", *(HARM if harm else ())):
        rows.append(row(f"hime-{kind}", slots, outputs(network, cases, slots, kind)))
    return rows


def scored(
    row: Row, pictures: Tensor, truth: Tensor, scale: int, recogniser: Recogniser | None = None
) -> Row:
    """The row with what pictures are worth.

    Args: row: of a method. pictures, truth: (N, 3, s b, s b), 0..1. scale: s.
          recogniser: see `evaluate`.
    """
    similar = [ssim(x, y) for x, y in zip(pictures, truth, strict=True)]
    whole, inner = (details(pictures, truth, scale, k) for k in (1.0, FACE))
    some = spread(len(pictures), IDENTITY)
    return replace(
        row,
        psnr=float(psnr(pictures, truth).mean()),
        ssim=sum(similar) / len(similar),
        haarpsi=float(haarpsi(pictures, truth).mean()),
        sharpness=whole.sharpness,
        right=whole.right,
        coherence=whole.coherence,
        face_psnr=float(psnr(face(pictures), face(truth)).mean()),
        face_sharpness=inner.sharpness,
        face_right=inner.right,
        face_coherence=inner.coherence,
        identity=recogniser.alike(pictures[some], truth[some]) if recogniser else None,
    )


def face(pictures: Tensor) -> Tensor:
    """The inner half of headshots: (N, 3, H, W) -> (N, 3, H/2, W/2)."""
    edge = pictures.shape[-1] // 4
    return pictures[..., edge : pictures.shape[-2] - edge, edge : pictures.shape[-1] - edge]


def sheet(network: Hime, cases: list[Case], path: Path) -> None:
    """Save some faces, evenly over all people: see `tables.write_sheet`.

    Args: cases: of all people, in order. path: .png or .jpg.
    """
    some = [cases[int(i)] for i in spread(len(cases), SHEET)]
    slots = min(SLOTS, len(some[0].exemplars))
    columns = {
        "input": torch.stack([c.crop for c in some]),
        "bicubic": bicubic(network, some),
        "no close-ups": outputs(network, some, 0),
        f"{slots} close-ups": outputs(network, some, slots),
        "truth": torch.stack([c.truth for c in some]),
    }
    write_sheet(path, columns)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m engines.hime.evaluate", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--data", type=named_path, required=True, help="a folder for each person")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--size", type=int, default=32, help="side of the input, px (default 32)")
    p.add_argument(
        "--table1",
        action="store_true",
        help="32 px x4, 64 px x4 and 16 px x8 instead of --scale and --size: those that the "
        "photos are large enough for and that --weights, where given, are made for",
    )
    p.add_argument("--degradation", choices=("clean", "call"), default="clean")
    p.add_argument(
        "--weights",
        default=DEFAULT_WEIGHTS,
        help="research or open, the shipped ones, or a checkpoint or *.enhance.onnx file (default "
        "%(default)s)",
    )
    p.add_argument(
        "--close-ups",
        type=int,
        default=SLOTS,
        help="drawn for each headshot; people with fewer other photos are left out (%(default)s)",
    )
    p.add_argument("--counts", help="numbers of exemplars, as in 0,1,2,3,4,5 (default 0,1,3)")
    p.add_argument(
        "--bank",
        type=whole(1),
        default=BANK,
        metavar="N",
        help="close-ups of a person, as far as there are so many, of which those that agree best "
        f"with the crop are given to the network, as in a call (default {BANK}; 0: as drawn)",
    )
    p.add_argument(
        "--harm", action="store_true", help="blank, blurred and mirrored exemplars besides wrong"
    )
    p.add_argument("--limit", type=int, help="use about this many headshots")
    p.add_argument(
        "--pictures",
        type=named_path,
        help="write every picture here, as METHOD/NNNN.png: truth, input, bicubic, hime-0, ...",
    )
    add_report_options(p)
    return p.parse_args(argv)


def measure(
    args: argparse.Namespace, scale: int, size: int, counts: tuple[int, ...]
) -> tuple[Table, Hime, list[Case]]:
    """One setting: its table, and the network and cases that it was made with.

    Args:   args: of the command line. scale: 4 or 8. size: side of the input, px. counts: numbers
            of close-ups.
    Raises: ValueError: the photos or the weights do not serve it. OSError.
    """
    weights = named_weights(args.weights, scale)
    network = load_network(weights)
    if network.config.scale != scale:
        raise ValueError(f"{weights.name} enlarges {network.config.scale} times, not {scale}")
    people = load_people(args.data, scale * size)
    slots = max(args.close_ups, *counts)
    cases = make_cases(people, scale, size, args.degradation, args.limit, slots, bank=args.bank)
    recogniser = Recogniser() if args.identity else None
    folder = args.pictures
    if folder is not None and args.table1:
        folder = folder / f"{size}px_x{scale}"
    rows = evaluate(network, cases, counts, args.harm, recogniser, folder)
    used = sum(len(p.photos) > slots for p in people)
    table = Table(scale, size, args.degradation, len(cases), used, weights.name, rows)
    print(table.title())
    print(plain(table), flush=True)
    return table, network, cases


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    settings = TABLE1 if args.table1 else ((args.scale, args.size),)
    done: list[tuple[Table, Hime, list[Case]]] = []
    try:
        if args.identity and (reason := missing()):
            raise ValueError(reason)
        counts = numbers(args.counts, args.close_ups)
        for scale, size in settings:
            try:
                done.append(measure(args, scale, size, counts))
            except ValueError as error:
                if not args.table1:
                    raise
                print(f"{size} px x{scale}: left out: {error}")
        if not done:
            raise ValueError("nothing could be measured")
        tables = [table for table, _, _ in done]
        if args.json:
            forms = [asdict(table) for table in tables]
            data = {"tables": forms} if args.table1 else forms[0]
            args.json.write_text(json.dumps(data, indent=1) + "\n")
        if args.markdown:
            args.markdown.write_text(markdown(tables))
        if args.sheet:
            for (_, network, cases), path in zip(done, sheets(args.sheet, tables), strict=True):
                sheet(network, cases, path)
    except (OSError, ValueError, WeightsError) as error:
        return reported(error)
    return 0


def sheets(path: Path, tables: list[Table]) -> list[Path]:
    """A file for each table: `path` for one, with the setting in its name for several."""
    if len(tables) == 1:
        return [path]
    return [path.with_stem(f"{path.stem}_{t.size}px_x{t.scale}") for t in tables]


if __name__ == "__main__":
    run_program(main)
