"""Ship a trained network: export it, score it, and write both into the manifest.

    python -m engines.hime.release --run runs/x4 --val PEOPLE --note notes.json

The scores are measured on the exported files, so the manifest cannot speak of other weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from engines.hime.cases import BANK, make_cases
from engines.hime.checkpoint import load_network
from engines.hime.data import load_people
from engines.hime.evaluate import evaluate
from engines.hime.export import export
from engines.hime.state_files import read_state
from engines.hime.tables import Table, plain
from engines.weights.manifest import MANIFEST, WEIGHTS, network_name, sha256

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


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engines.hime.release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a training run")
    parser.add_argument("--val", type=Path, required=True, help="people who were not trained on")
    parser.add_argument("--note", type=Path, required=True, help="JSON: data, licences, time")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument(
        "--kind", choices=("call", "clean"), default="call", help="the damage that it is made for"
    )
    args = parser.parse_args(argv)
    try:
        checkpoint = args.run / "checkpoint.pt"
        samples = read_state(checkpoint)["samples"]
        network = load_network(checkpoint)
        name = network_name(network.config.scale, args.kind)
        note = json.loads(args.note.read_text())
        paths = export(network, args.out, name)
        entry = {
            "files": {path.name: sha256(path) for path in paths},
            "parameters": sum(p.numel() for p in network.parameters()),
            "training": note | {"samples": samples},
            "scores": scores(paths[1], args.val),
        }
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    manifest = args.out / MANIFEST
    old = json.loads(manifest.read_text()) if manifest.exists() else {"networks": {}}
    networks = {**old["networks"], name: entry}
    new = {**old, "networks": networks}
    manifest.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
