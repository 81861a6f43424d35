"""What a training run may use, and what it and the weights that it starts from were trained on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from engines.hime.checkpoint import origins_of
from engines.hime.licences import Permit, merged, refused
from engines.hime.people import credits


def permit_of(args: argparse.Namespace) -> Permit | None:
    """What --licences and --sources allow; None: everything.

    Raises: ValueError: one without the other, or a wrong sources file. OSError.
    """
    if (args.licences is None) != (args.sources is None):
        raise ValueError("--licences and --sources need each other")
    return Permit.read(args.sources, args.licences) if args.licences else None


def allowed_origins(
    people: list[Path], photographs: list[Path], init: Path | None, permit: Permit | None
) -> list[dict[str, Any]] | None:
    """What the run and the weights that it starts from are trained on: `licences.Credits.rows`.

    Args:    people, photographs: sources of pictures. init: weights to start from.
             permit: None: nobody asks; then nothing is known.
    Raises:  ValueError: a picture without a licence, or weights to start from that were trained on
             other pictures or do not say on which. OSError.
    """
    if permit is None:
        return None
    found = credits(people, photographs, permit)
    if not init:
        return found
    before = origins_of(init)
    if before is None:
        raise ValueError(f"{init} does not say what it was trained on: no start for --licences")
    if wrong := refused(before, permit.licences):
        raise ValueError(f"{init} was trained on other licences, too: {', '.join(wrong)}")
    return merged(found, before)
