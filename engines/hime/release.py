"""Ship a trained network: export it, score it, and write both into the manifest.

    python -m engines.hime.release --run runs/x4 --val PEOPLE --note notes.json

The scores are measured on the exported files, so the manifest cannot speak of other weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engines.contract import FULL, OPEN, RESEARCH, SMALL
from engines.contract import WEIGHTS as CHOICES
from engines.errors import reported, run_program
from engines.files import replacing
from engines.hime.attribution import credited
from engines.hime.cases import BANK, make_cases
from engines.hime.checkpoint import load_network, origins_of
from engines.hime.data import load_people
from engines.hime.evaluate import evaluate
from engines.hime.export import export
from engines.hime.licences import CC_BY_4, merged, refused
from engines.hime.licences import OPEN as ALLOWED
from engines.hime.model import Config
from engines.hime.network_sizes import SHIPPED_SMALL, sized_config
from engines.hime.state_files import read_state
from engines.hime.tables import Table, plain
from engines.option_types import named_path, output_folder
from engines.weights.manifest import MANIFEST, WEIGHTS, network_name, sha256

CARD = "README.md"
LICENCE = CC_BY_4
"""Of open weights: some of their pictures ask for attribution, none for more."""
SIZES = {4: 32, 8: 16}
"""Crop side at which a scale is scored, px (HIME, table 1)."""


def scores(weights: Path, val: Path) -> dict[str, Any]:
    """PSNR and SSIM on people who were not trained on, clean and call."""
    network = load_network(weights)
    scale = network.config.scale
    people = load_people(val, scale * SIZES[scale])
    result: dict[str, Any] = {}
    for degradation in ("clean", "call"):
        cases = make_cases(people, scale, SIZES[scale], degradation, bank=BANK)
        rows = evaluate(network, cases)
        table = Table(scale, SIZES[scale], degradation, len(cases), len(people), weights.name, rows)
        print(table.title())
        print(plain(table))
        result[degradation] = {
            "size": SIZES[scale],
            "headshots": len(cases),
            "people": len(people),
            "bank": BANK,
            "rows": [
                {
                    "method": row.method,
                    "exemplars": row.exemplars,
                    "psnr": round(row.psnr, 3),
                    "ssim": round(row.ssim, 4),
                    "haarpsi": round(row.haarpsi, 4),
                    "sharpness": round(row.sharpness, 3),
                    "right": round(row.right, 3),
                    "coherence": round(row.coherence, 3),
                }
                for row in rows
            ],
        }
    return result


def size_of(config: Config) -> str:
    """Under which of `engines.contract.NETWORKS` a network is shipped.

    Raises: ValueError: it has neither size.
    """
    known = {FULL: Config(config.scale), SMALL: sized_config(Config(config.scale), SHIPPED_SMALL)}
    for name, one in known.items():
        if config == one:
            return name
    raise ValueError(
        f"shipped are networks of the sizes {FULL} and {SHIPPED_SMALL} of "
        "engines.hime.network_sizes, not this one"
    )


def open_data(checkpoint: Path) -> list[dict[str, Any]]:
    """What a run used, as `licences.Credits.rows`.

    Raises: ValueError: it does not say, or it is not all openly licensed.
    """
    rows = origins_of(checkpoint)
    if rows is None:
        raise ValueError(f"{checkpoint} does not say what it was trained on: train with --licences")
    if wrong := refused(rows, ALLOWED):
        raise ValueError(f"{checkpoint} was trained on what is not open: {', '.join(wrong)}")
    return rows


def credit(card: Path, networks: dict[str, Any]) -> str:
    """The model card, with what all open networks were trained on.

    Raises: ValueError: it has no place for that. OSError.
    """
    endings = (f"_{OPEN}", f"_{OPEN}_{SMALL}")
    data = [one["training"]["data"] for name, one in networks.items() if name.endswith(endings)]
    return credited(card.read_text(encoding="utf-8"), merged(*data))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engines.hime.release", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--run", type=named_path, required=True, help="folder of a training run")
    parser.add_argument(
        "--val", type=named_path, required=True, help="people who were not trained on"
    )
    parser.add_argument("--note", type=named_path, required=True, help="JSON: data, licences, time")
    parser.add_argument(
        "--out",
        type=output_folder,
        default=WEIGHTS,
        help="folder of the files (default: the shipped ones)",
    )
    parser.add_argument(
        "--weights",
        choices=CHOICES,
        default=RESEARCH,
        help="name and licence of the files (default %(default)s); open: the run must have had "
        "--licences, and the model card credits what it used",
    )
    parser.add_argument(
        "--kind", choices=("call", "clean"), default="call", help="the damage that it is made for"
    )
    args = parser.parse_args(argv)
    try:
        checkpoint = args.run / "checkpoint.pt"
        samples = read_state(checkpoint)["samples"]
        network = load_network(checkpoint)
        name = network_name(network.config.scale, args.kind, args.weights, size_of(network.config))
        manifest = args.out / MANIFEST
        old = json.loads(manifest.read_text()) if manifest.exists() else {"networks": {}}
        note, card = json.loads(args.note.read_text()), ""
        if args.weights == OPEN:
            note |= {"data": open_data(checkpoint), "licence": LICENCE}
            card = credit(args.out / CARD, old["networks"] | {name: {"training": note}})
        paths = export(network, args.out, name)
        entry = {
            "files": {path.name: sha256(path) for path in paths},
            "parameters": sum(p.numel() for p in network.parameters()),
            "training": note | {"samples": samples},
            "scores": scores(paths[1], args.val),
        }
    except (OSError, ValueError) as error:
        return reported(error)
    networks = {**old["networks"], name: entry}
    new = {**old, "networks": networks}
    manifest.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n")
    if card:
        with replacing(args.out / CARD) as part:
            part.write_text(card, encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_program(main)
