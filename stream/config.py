"""Config: what the command line asked for, checked as far as it can be without the input."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from engines.runtime import RUNTIMES
from stream.errors import ConfigError

DESCRIPTION = "Make the far-away faces of a recording sharp with the same person's close-ups."
DEMO = "demo"
DEMO_OUTPUT = Path("out/demo.mp4")
MAX_SIDE_PX = 4096
"""Of the output: what H.264 players take, and what fits into memory."""
ENLARGED_UP_TO_PX = 720
"""A recording whose shorter side is at most this is enlarged twice by default."""


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    input: Path | None
    """None: the demo."""
    output: Path
    overwrite: bool
    framing: Literal["auto", "fixed"]
    scale: float | None
    """None: as `chosen_scale` says."""
    strength: float
    report: Path | None
    runtime: str = "auto"
    """What runs the network: "auto" or a name of `engines.runtime.RUNTIMES`."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for every other error."""
        raise ConfigError(f"{message} (--help shows all options)")


def parse(arguments: Sequence[str] | None) -> Options:
    """Command line → options that make sense together.

    Raises: ConfigError: an option is missing, unknown, out of range or contradicts another.
    """
    parser = _Parser(prog="run_pipeline.py", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add("--input", required=True, metavar="FILE", help=f'a recording, or "{DEMO}"')
    add("--output", type=Path, metavar="FILE", help="the recording to write (.mp4, .mov, .mkv)")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--framing", choices=("auto", "fixed"), help="auto: a virtual camera follows the people "
        "(default of the demo); fixed: the whole picture (default of recordings)")  # fmt: skip
    add("--scale", type=float, help="with fixed framing: canvas 1 to 4 times larger (default: 2 "
        f"for pictures of up to {ENLARGED_UP_TO_PX} lines, otherwise 1)")  # fmt: skip
    add("--strength", type=float, default=1.0, help="of the enhancement, 0 to 1 (default 1)")
    add("--report", type=Path, metavar="FILE", help="write what was done as JSON")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto",
        help="what runs the network (default auto: the best that this machine has)")  # fmt: skip
    given = parser.parse_args(arguments)
    demo = given.input == DEMO
    framing: Literal["auto", "fixed"] = given.framing or ("auto" if demo else "fixed")
    if given.output is None and not demo:
        raise ConfigError("--output is missing; name the recording to write")
    if not 0.0 <= given.strength <= 1.0:
        raise ConfigError(f"--strength {given.strength:g} is out of range; give 0 to 1")
    if given.scale is not None and not 1.0 <= given.scale <= 4.0:
        raise ConfigError(f"--scale {given.scale:g} is out of range; give 1 to 4")
    if given.scale is not None and framing == "auto":
        raise ConfigError("--scale needs --framing fixed; auto framing keeps the picture's size")
    return Options(
        input=None if demo else Path(given.input),
        output=given.output or DEMO_OUTPUT,
        # The demo may replace what an earlier demo left in its own folder.
        overwrite=given.overwrite or (demo and given.output is None),
        framing=framing,
        scale=given.scale,
        strength=given.strength,
        report=given.report,
        runtime=given.runtime,
    )


def chosen_scale(size: tuple[int, int], options: Options) -> float:
    """How much larger the canvas is than the picture of `size`, (width, height) px.

    Raises: ConfigError: the canvas would be too large.
    """
    scale = options.scale
    if scale is None:
        small = min(size) <= ENLARGED_UP_TO_PX and 2 * max(size) <= MAX_SIDE_PX
        scale = 2.0 if small and options.framing == "fixed" else 1.0
    width, height = round(size[0] * scale), round(size[1] * scale)
    if max(width, height) > MAX_SIDE_PX:
        most = int(100 * MAX_SIDE_PX / max(size)) / 100
        way_out = f"use --scale {most:g} or less" if most >= 1.0 else "make a smaller copy first"
        raise ConfigError(
            f"the output would be {width}x{height}, its sides may have {MAX_SIDE_PX}; {way_out}"
        )
    return scale
