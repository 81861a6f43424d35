"""Option types: numbers within bounds, names and paths that are named, for `type=` of argparse.

What argparse makes of `float` and `int` takes nan, inf and -1, which end a program after an hour,
or never; an empty path is the current folder to it.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path


def number(least: float = 0.0, most: float = math.inf) -> Callable[[str], float]:
    """A finite number from `least` to `most`.

    Raises: argparse.ArgumentTypeError: the text is none.
    """

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            raise argparse.ArgumentTypeError(_refused("number", text, least, most))
        return value

    return read


def whole(least: int = 0, most: float = math.inf) -> Callable[[str], int]:
    """A whole number from `least` to `most`.

    Raises: argparse.ArgumentTypeError: the text is none.
    """

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(_refused("whole number", text, least, most))
        return value

    return read


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """One of these names; unlike argparse's `choices` also where none may be given.

    Raises: argparse.ArgumentTypeError: it is none of them.
    """
    known = tuple(names)

    def read(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"there is no {text!r}; there are {', '.join(known)}")
        return text

    return read


def named_path(text: str) -> Path:
    """A path that is not empty.

    Raises: argparse.ArgumentTypeError: it is.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


def output_folder(text: str) -> Path:
    """A folder that is there and may be written to, or can be made.

    Raises: argparse.ArgumentTypeError: it cannot, or the path is empty.
    """
    path = named_path(text)
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is a file, not a folder")
    if not os.access(there, os.W_OK):
        raise argparse.ArgumentTypeError(f"the folder {there} is closed for writing")
    return path


def _refused(kind: str, text: str, least: float, most: float) -> str:
    upper = " or more" if math.isinf(most) else f" to {most:g}"
    return f"{text!r} is no {kind} in the range; give {least:g}{upper}"
