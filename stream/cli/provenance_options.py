"""Options of provenance: what an output shows and says about having been enhanced."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream.errors import ConfigError

DEFAULTS: dict[str, Any] = {"badge": False, "c2pa_key": None, "c2pa_cert": None}


def add_arguments(add: Callable[..., None]) -> None:
    """The options of their own. Args: add: takes a name without dashes, then as `argparse`."""
    switch: Any = {"action": argparse.BooleanOptionalAction, "default": argparse.SUPPRESS}
    add("badge", **switch, help="a small mark in the picture's corner while a face is enhanced")
    add("c2pa-key", type=Path, metavar="PEM", help="sign the output (.mp4, .mov) with this key: a "
        "C2PA manifest says what was done")  # fmt: skip
    add("c2pa-cert", type=Path, metavar="PEM", help="the key's certificate, and those above it")


def check(given: argparse.Namespace, output: Path, kind: str | None) -> None:
    """Whether they go together.

    Args:   kind: FFmpeg's name of the output's container, if there is one for its ending.
    Raises: ConfigError: they do not.
    """
    if (given.c2pa_key is None) != (given.c2pa_cert is None):
        raise ConfigError("--c2pa-key and --c2pa-cert belong together; give both")
    if given.c2pa_key is not None and kind == "matroska":
        raise ConfigError(f"{output} cannot hold a C2PA signature; write a .mp4 or .mov file")
    if given.resume and shows_faces(given.report):
        raise ConfigError("a page shows a whole run: leave out --resume, or give --report x.json")


def refuse(given: argparse.Namespace) -> None:
    """Raises: ConfigError: one of them, or a page, is asked for of something else."""
    if named := [one for one in DEFAULTS if getattr(given, one)]:
        raise ConfigError(f"--{named[0].replace('_', '-')} is for recordings")
    if shows_faces(given.report):
        raise ConfigError(f"--report {given.report}: a call has only figures; give a .json file")


def shows_faces(report: Path | None) -> bool:
    """Whether a report is a folder with a page to look at, and not a file of figures."""
    return report is not None and report.suffix.lower() != ".json"
