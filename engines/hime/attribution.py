"""Credit in the model card: who made the pictures that open weights were trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

BEGIN, END = "<!-- attribution: begin -->", "<!-- attribution: end -->"
"""What lies between them in the model card is written by `engines.hime.release`."""
HEAD = (
    "| source | authors, as they are stated | licence | people | photos | sure |\n"
    "|---|---|---|---|---|---|\n"
)


def attribution(rows: Iterable[dict[str, Any]]) -> str:
    """A Markdown table of `licences.Credits.rows`. People who are shown are named nowhere."""
    lines = [
        f"| {cell(row['source'])} | {cell(row['authors'])} | {row['licence']} "
        f"| {row['people'] or '-'} | {row['photos']} | {row['tier'] or '-'} |"
        for row in rows
    ]
    return HEAD + "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text that stays in its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def credited(card: str, rows: Iterable[dict[str, Any]]) -> str:
    """The model card with the table in its place.

    Args:   card: its text. rows: of all open networks.
    Raises: ValueError: the card has no place for it.
    """
    before, begin, rest = card.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the model card has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{attribution(rows)}{END}{after}"
