"""Thresholds file: the limits with what speaks for them, as TOML; what ships, and what changed."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from calibration.thresholds.limits import Choice, Margin, Worth

SHIPPED = Path(__file__).with_name("thresholds.toml")
Tables = dict[str, dict[str, float | int | str]]
"""By "module:CONSTANT"."""


def table_of(one: Choice | Worth | Margin, source: str) -> dict[str, float | int | str]:
    """What speaks for one limit. Args: source: the data, by name and number of people."""
    table: dict[str, float | int | str] = {}
    if isinstance(one, Choice):
        table |= {
            "value": one.chosen.limit,
            "precision": round(one.held_out.precision, 4),
            "recall": round(one.held_out.recall, 4),
            "rule": one.rule,
            "good": one.good,
            "bad": one.bad,
            "labels": one.labels,
        }
        if one.chosen != one.today:
            table["before"] = (
                f"{one.today.limit:g}: precision {one.today.precision:.4f}, "
                f"recall {one.today.recall:.4f} where it was chosen"
            )
    elif isinstance(one, Worth):
        table |= {"value": one.chosen[0], "worth": round(one.held_out, 3)}
        table["wanted_worth"] = one.wanted
        if one.chosen != one.today:
            table["before"] = f"{one.today[0]:g}: worth {one.today[1]:.3f}"
    else:
        table |= {"value": one.chosen[0], "covers": round(one.held_out, 3)}
        table |= {"wanted_cover": one.wanted, "beside": one.first}
        if one.chosen != one.today:
            table["before"] = f"{one.today[0]:g}: covers {one.today[1]:.3f}"
    return table | {"source": source}


def format_tables(tables: Tables) -> str:
    """TOML: a table for each limit."""
    lines = [
        "# Limits, and what speaks for them. Written by python -m calibration.thresholds; a test",
        "# holds the code to these values. Chosen on every other person, figures of the rest; the",
        "# source says where not.",
    ]
    for name, table in tables.items():
        lines += ["", f'["{name}"]']
        for key, value in table.items():
            lines.append(f"{key} = {value:g}" if key == "value" else f"{key} = {_written(value)}")
    return "\n".join(lines) + "\n"


def read_tables(path: Path) -> Tables:
    """What such a file says. Raises: OSError, ValueError: it is none."""
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    if not all(isinstance(one, dict) and "value" in one for one in read.values()):
        raise ValueError(f"{path} is no file of limits")
    return read


def merged(before: Tables, tables: Sequence[tuple[str, dict[str, float | int | str]]]) -> Tables:
    """The same with some tables replaced, in their old places; new ones at the end."""
    return before | dict(tables)


def shipped() -> dict[str, float]:
    """The values of the file that ships, by "module:CONSTANT"."""
    return {name: float(one["value"]) for name, one in read_tables(SHIPPED).items()}


def _written(value: float | int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
