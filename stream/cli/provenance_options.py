"""Options of what an output shows and says about having been enhanced: which go together."""

from __future__ import annotations

from pathlib import Path

from stream.declared_option import OptionValues
from stream.errors import ConfigError
from stream.option_table import C2PA_CERT, C2PA_KEY, REPORT, RESUME


def check(given: OptionValues, output: Path, kind: str | None) -> None:
    """Whether they go together.

    Args:   kind: FFmpeg's name of the output's container, if there is one for its ending.
    Raises: ConfigError: they do not.
    """
    if given.has(C2PA_KEY) != given.has(C2PA_CERT):
        raise ConfigError("--c2pa-key and --c2pa-cert belong together; give both")
    if given.has(C2PA_KEY) and kind == "matroska":
        raise ConfigError(f"{output} cannot hold a C2PA signature; write a .mp4 or .mov file")
    if given[RESUME] and shows_faces(given[REPORT]):
        raise ConfigError("a page shows a whole run: leave out --resume, or give --report x.json")


def refuse_page(given: OptionValues) -> None:
    """Raises: ConfigError: a page is asked for of a call."""
    if shows_faces(given[REPORT]):
        raise ConfigError(f"--report {given[REPORT]}: a call has only figures; give a .json file")


def shows_faces(report: Path | None) -> bool:
    """Whether a report is a folder with a page to look at, and not a file of figures."""
    return report is not None and report.suffix.lower() != ".json"
