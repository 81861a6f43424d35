"""Outcome: what became of a recording, and what its owner should know, as values."""

from __future__ import annotations

from dataclasses import dataclass

from stream.telemetry.report import Report


@dataclass(frozen=True)
class Note:
    """Something that a person should know of a recording."""

    text: str
    """One line."""
    is_result: bool = False
    """It says what became of the recording, not what is unusual about it."""


@dataclass(frozen=True)
class Outcome:
    """A recording that was worked on."""

    report: Report
    notes: tuple[Note, ...] = ()
    """In the order in which they arose."""


def notes_of(*texts: str | None) -> tuple[Note, ...]:
    """What is unusual about a recording: a note for each text that there is."""
    return tuple(Note(text) for text in texts if text)
