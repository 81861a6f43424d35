"""Output file: an option of programs that measure or train for long and write at the end."""

from __future__ import annotations

import argparse
from pathlib import Path


def output_file(text: str) -> Path:
    """A path whose folder is there before the work begins, for `type=` of argparse.

    Raises: argparse.ArgumentTypeError: there is no such folder, or the path is a folder itself.
    """
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder")
    return path
