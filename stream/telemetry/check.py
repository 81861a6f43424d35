"""Check: what a comparison of an output with its input found, and that in one line."""

from __future__ import annotations

from typing import TypedDict


class Check(TypedDict):
    """What was compared; times in seconds, None where a file does not say."""

    same: bool
    differences: list[str]
    """One line each; nothing when all is the same."""
    pictures: tuple[int, int]
    """In the input and in the output; likewise below."""
    duration_s: tuple[float | None, float | None]
    """From the first picture to the last one; to its end, where both files say when that is."""
    tracks: tuple[int, int]
    """Of every kind, covers and attachments included."""
    sound_begins_s: tuple[float | None, float | None]
    """The first packet of the first sound after the first picture."""
    sound_ends_s: tuple[float | None, float | None]
    """The last packet of the first sound after the last picture."""


def format_check(check: Check) -> str:
    """One line, without a line break."""
    if check["differences"]:
        return "checked, the output differs from the input: " + "; ".join(check["differences"])
    duration_s = check["duration_s"][1]
    lasting = "" if duration_s is None else f", {duration_s:.3f} s"
    tracks = check["tracks"][1]
    in_step = ", sound in step" if check["sound_begins_s"][1] is not None else ""
    return (
        f"checked: as in the input, {check['pictures'][1]} pictures{lasting}, "
        f"{tracks} track{'s' if tracks > 1 else ''}{in_step}"
    )
